"""HTTP routes of the review page."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from wsol.errors import BrokenImage, WsolError
from wsol.predictions.review_journal import Decision
from wsol.review.address import Address
from wsol.review.guard import Guard
from wsol.review.images import LONGEST_EDGES_PX, Thumbnails
from wsol.review.session import DecisionRequest, ReviewSession, StaleDecision

MAX_BODY_BYTES = 256 * 1024

OWN_FILES = {
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    "page.js": "text/javascript",
    "boxes.js": "text/javascript",
    "classes.js": "text/javascript",
    "pace.js": "text/javascript",
    "images.js": "text/javascript",
    "queue.js": "text/javascript",
}
"""The only package files that are served besides the page; request paths never become file names."""

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Number = Annotated[int, Field(ge=0, le=2**53)]


Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _DecideBody(_Body):
    image: Number
    base: Number
    is_rejected: bool
    boxes: list[Annotated[list[float], Field(min_length=4, max_length=4)]]
    class_name: object  # a str or None; pydantic's str refuses the surrogates of folder names that are not UTF-8
    is_class_chosen: bool = False
    """Optional: pages of older versions do not send it."""
    session: Word
    id: Word
    seen: Number


class _UndoBody(_Body):
    session: Word
    id: Word
    seen: Number


def application(session: ReviewSession, address: Address) -> ASGIApp:
    """Build the ASGI application of a review page, behind its guard.

    Args:
        session: the images under review and their decisions.
        address: port and key of the page.

    Returns:
        The application.
    """
    thumbnails = Thumbnails(session.decoding)

    def page(request: Request) -> Response:
        return Response(_own("page.html"), media_type="text/html")

    def own_file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in OWN_FILES:
            raise HTTPException(404, "no such page")
        return Response(_own(name), media_type=OWN_FILES[name])

    def overview(request: Request) -> Response:
        return _json(
            {
                "folder": session.image_root.name,
                "class_names": session.class_names,
                "no_object": session.no_object,
                "order": session.order,
                "verdicts": "".join(session.verdict(index)[0] for index in range(len(session.items))),
                "seen": session.last_number,
                "sizes": LONGEST_EDGES_PX,
                "is_sample": session.is_sample,
            }
        )

    def changes(request: Request) -> Response:
        return _json(
            {
                "seen": session.last_number,
                "changes": session.changes(_whole_number(request.query_params.get("since", ""))),
            }
        )

    def details(request: Request) -> Response:
        return _json(session.image(_index(request, session)))

    def image(request: Request) -> Response:
        item, longest_px = session.items[_index(request, session)], request.path_params["longest_px"]
        if longest_px not in LONGEST_EDGES_PX:
            raise HTTPException(404, f"no such size: there are {', '.join(map(str, LONGEST_EDGES_PX))}")
        try:
            code = thumbnails.jpeg(session.image_root / item.image, item.image_hw, longest_px)
        except BrokenImage as error:
            return _json({"error": str(error)}, 410)
        return Response(code, media_type="image/jpeg")

    def decision_response(decision: Decision | None, seen: int) -> Response:
        if decision is None:
            return _json({"number": None, "seen": session.last_number, "changes": session.changes(seen)})
        index = session.index_of(decision.image)
        return _json(
            {
                "number": decision.number,
                "seen": session.last_number,
                "changes": session.changes(seen),
                "image": session.image(index),
            }
        )

    def decide_now(body: _DecideBody) -> Response:
        boxes = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in body.boxes)
        if not isinstance(body.class_name, str | None):
            raise HTTPException(422, "class_name: expected a class or null")
        wanted = DecisionRequest(
            body.image,
            body.base,
            body.is_rejected,
            boxes,
            body.class_name,
            body.session,
            body.id,
            body.is_class_chosen,
        )
        try:
            return decision_response(session.decide(wanted), body.seen)
        except StaleDecision:
            return _json(
                {
                    "seen": session.last_number,
                    "changes": session.changes(body.seen),
                    "image": session.image(wanted.image),
                },
                409,
            )

    async def decide(request: Request) -> Response:
        return await run_in_threadpool(_saved, decide_now, await _parsed(request, _DecideBody))

    def undo_now(body: _UndoBody) -> Response:
        return decision_response(session.undo(body.session, body.id), body.seen)

    async def undo(request: Request) -> Response:
        return await run_in_threadpool(_saved, undo_now, await _parsed(request, _UndoBody))

    return Starlette(
        routes=[
            Route("/", page),
            Route(f"/review/{address.token}", page),
            Route("/page/{name}", own_file),
            Route("/api/overview", overview),
            Route("/api/changes", changes),
            Route("/api/images/{index:int}", details),
            Route("/images/{index:int}/{longest_px:int}", image),
            Route("/api/decide", decide, methods=["POST"]),
            Route("/api/undo", undo, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, address=address)],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _gone},
    )


def _own(name: str) -> str:
    return files("wsol.review").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any, status: int = 200) -> Response:
    # ASCII: only so can file names that are not UTF-8, with surrogates, be sent.
    return Response(json.dumps(value, separators=(",", ":")), status, media_type="application/json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _gone(request: Request, error: Exception) -> Response:
    """The client left in the middle of its request: nobody reads the response, and nothing is logged."""
    return Response(status_code=400)


def _saved(work: Any, body: Any) -> Response:
    try:
        return work(body)  # type: ignore[no-any-return]
    except WsolError as error:
        return _json({"error": str(error)}, 422)
    except OSError as error:
        return _json({"error": f"not saved: {error.strerror or error}"}, 507)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPException(422, "expected a whole number")
    return int(text)


def _index(request: Request, session: ReviewSession) -> int:
    index: int = request.path_params["index"]
    if index >= len(session.items):
        raise HTTPException(404, "no such image")
    return index


async def _parsed(request: Request, kind: type[Body]) -> Body:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise HTTPException(413, "too long")
    try:
        return kind.model_validate(json.loads(content, parse_constant=_no_constant, parse_float=_finite))
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON") from None


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value
