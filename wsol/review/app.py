"""What the page asks for, and the answers."""

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
from wsol.review.images import LONGEST_PX, Thumbnails
from wsol.review.session import Desk, Stale, Wish

LONGEST_BODY = 256 * 1024

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
"""All that is served from the package besides the page; nothing is looked up by a name that came from outside."""

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Number = Annotated[int, Field(ge=0, le=2**53)]


Asked = TypeVar("Asked", bound=BaseModel)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Decide(_Asked):
    image: Number
    base: Number
    is_rejected: bool
    boxes: list[Annotated[list[float], Field(min_length=4, max_length=4)]]
    class_name: object  # a str or None; pydantic's str refuses the surrogates of folder names that are not UTF-8
    is_class_chosen: bool = False
    """Left out by a page that is open since before there was the word."""
    session: Word
    id: Word
    seen: Number


class _Undo(_Asked):
    session: Word
    id: Word
    seen: Number


def application(desk: Desk, address: Address) -> ASGIApp:
    """The server's side of the page, behind its guard."""
    thumbnails = Thumbnails()

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
                "folder": desk.image_root.name,
                "class_names": desk.class_names,
                "order": desk.order,
                "verdicts": "".join(desk.verdict(index)[0] for index in range(len(desk.items))),
                "seen": desk.last_number,
                "sizes": LONGEST_PX,
                "is_sample": desk.is_sample,
            }
        )

    def changes(request: Request) -> Response:
        return _json({"seen": desk.last_number, "changes": desk.changes(_whole(request.query_params.get("since", "")))})

    def details(request: Request) -> Response:
        return _json(desk.image(_index(request, desk)))

    def image(request: Request) -> Response:
        item, longest_px = desk.items[_index(request, desk)], request.path_params["longest_px"]
        if longest_px not in LONGEST_PX:
            raise HTTPException(404, f"no such size: there are {', '.join(map(str, LONGEST_PX))}")
        try:
            code = thumbnails.jpeg(desk.image_root / item.image, item.image_hw, longest_px)
        except BrokenImage as error:
            return _json({"error": str(error)}, 410)
        return Response(code, media_type="image/jpeg")

    def decided(decision: Decision | None, seen: int) -> Response:
        if decision is None:
            return _json({"number": None, "seen": desk.last_number, "changes": desk.changes(seen)})
        index = desk.index_of(decision.image)
        return _json(
            {
                "number": decision.number,
                "seen": desk.last_number,
                "changes": desk.changes(seen),
                "image": desk.image(index),
            }
        )

    def decide_now(asked: _Decide) -> Response:
        boxes = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in asked.boxes)
        if not isinstance(asked.class_name, str | None):
            raise HTTPException(422, "class_name: expected a class or null")
        wish = Wish(
            asked.image,
            asked.base,
            asked.is_rejected,
            boxes,
            asked.class_name,
            asked.session,
            asked.id,
            asked.is_class_chosen,
        )
        try:
            return decided(desk.decide(wish), asked.seen)
        except Stale:
            return _json(
                {"seen": desk.last_number, "changes": desk.changes(asked.seen), "image": desk.image(wish.image)},
                409,
            )

    async def decide(request: Request) -> Response:
        return await run_in_threadpool(_on_disk, decide_now, await _asked(request, _Decide))

    def undo_now(asked: _Undo) -> Response:
        return decided(desk.undo(asked.session, asked.id), asked.seen)

    async def undo(request: Request) -> Response:
        return await run_in_threadpool(_on_disk, undo_now, await _asked(request, _Undo))

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
    # ASCII: names of files that are not UTF-8 hold surrogates, which no other way is theirs.
    return Response(json.dumps(value, separators=(",", ":")), status, media_type="application/json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads it: the client left in the middle of its request, which is no fault of ours to be logged."""
    return Response(status_code=400)


def _on_disk(work: Any, asked: Any) -> Response:
    try:
        return work(asked)  # type: ignore[no-any-return]
    except WsolError as error:
        return _json({"error": str(error)}, 422)
    except OSError as error:
        return _json({"error": f"not saved: {error.strerror or error}"}, 507)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPException(422, "expected a whole number")
    return int(text)


def _index(request: Request, desk: Desk) -> int:
    index: int = request.path_params["index"]
    if index >= len(desk.items):
        raise HTTPException(404, "no such image")
    return index


async def _asked(request: Request, kind: type[Asked]) -> Asked:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "too long")
    try:
        return kind.model_validate(json.loads(body, parse_constant=_no_constant, parse_float=_finite))
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
