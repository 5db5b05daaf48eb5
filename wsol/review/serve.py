"""Run the page until Ctrl-C."""

from __future__ import annotations

import secrets
import shlex
import socket
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from wsol.commands.export import checked
from wsol.errors import WsolError
from wsol.predictions.records import open_predictions
from wsol.predictions.review_journal import Journal
from wsol.predictions.review_sample import draw, read_sample, write_sample
from wsol.review.address import Address, noted_port, port_note
from wsol.review.app import application
from wsol.review.connections import ImpatientProtocol
from wsol.review.session import Desk
from wsol.runtime.progress import Progress
from wsol.storage.locks import held
from wsol.text import number_of


def review(
    predictions: str | Path,
    *,
    sample: int | None = None,
    port: int | None = None,
    open_browser: bool = False,
    quiet: bool = False,
) -> None:
    """Serve the review of a prediction folder on 127.0.0.1; the address goes to standard output.

    With `sample`, of so many images drawn at random, which are remembered for `wsol calibrate`.

    Raises:
        WsolError: no predictions, a line that no format could hold, a damaged journal, a port that is taken, or another
            server.
    """
    predictions, progress = Path(predictions), Progress(quiet=quiet)
    if port is not None and not 1 <= port <= 65535:
        raise WsolError(
            "--port", expected="a number from 1 to 65535", got=f"{port}", remedy="Leave it out for a free one."
        )
    if sample is not None and sample < 1:
        raise WsolError(
            "--sample",
            expected="at least 1",
            got=f"{sample}",
            remedy="20 are enough to know roughly how good a run is.",
        )
    opened = checked(open_predictions(predictions))
    if not opened.image_root.is_dir():
        raise WsolError(
            f"{opened.image_root} is no folder",
            expected="the images that were predicted on",
            remedy="Put them back, or run `wsol predict` where they are.",
        )
    otherwise = "open its page, which takes any number of windows, at the address that it printed"
    with held(predictions, "wsol review", otherwise) as hold, Journal(predictions) as journal:
        before = None if sample is None else read_sample(predictions)
        drawn = None if sample is None else draw((one.image for one in opened), sample)
        desk = Desk(opened, journal, drawn)
        _tell(desk, journal, progress)
        with bound(_wishes(noted_port(hold.left), port)) as listening:
            # A new key each time: one that is found with the folder may be known to the person who made the folder.
            address = Address(listening.getsockname()[1], secrets.token_urlsafe(32))
            hold.note(port_note(address.port))
            if drawn is not None:
                write_sample(predictions, drawn)
                _tell_of_another(before, drawn, progress)
            with suppress(KeyboardInterrupt):  # the ordinary end, also before the server has begun
                print(address.url, flush=True)  # noqa: T201
                progress.say("The page is at that address, on this machine alone. Ctrl-C ends it; nothing is lost.")
                if open_browser:
                    webbrowser.open(address.url)
                server(desk, address).run(sockets=[listening])
        progress.say(_ended(desk, journal, predictions))


def _tell_of_another(before: tuple[str, ...] | None, drawn: tuple[str, ...], progress: Progress) -> None:
    if before is not None and len(before) != len(drawn):
        progress.say(
            f"review: the sample was of {number_of(len(before), 'image')} and is of {len(drawn)} now; `wsol calibrate`"
            f" asks for a decision about each. `--sample {len(before)}` goes back"
        )


def _ended(desk: Desk, journal: Journal, predictions: Path) -> str:
    done = sum(desk.verdict(index) != "undecided" for index in desk.order)
    said = f"review: {done} of {number_of(len(desk.order), 'image')} decided, in {journal.path}."
    if desk.is_sample:
        learn = shlex.join(["wsol", "calibrate", "RUN", "--reviewed", f"{predictions}"])
        once = "" if done == len(desk.order) else ", once all are"
        return f"{said} `{learn}` says how good the run is and chooses its threshold{once}."
    export = shlex.join(
        ["wsol", "export", f"{predictions}", "--reviewed", "--format", "coco", "--out", f"{predictions}-coco"]
    )
    return f"{said} `{export}` writes them; other formats are in `wsol export --help`."


def server(desk: Desk, address: Address) -> uvicorn.Server:
    """The page's server, to be run on a socket that is bound."""
    config = uvicorn.Config(
        application(desk, address),
        http=ImpatientProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _tell(desk: Desk, journal: Journal, progress: Progress) -> None:
    if journal.repaired:
        progress.say(f"review: half a line at the end of {journal.path}, never saved as a whole, was cut off")
    if desk.unknown:
        progress.say(
            "review:"
            f" {number_of(desk.unknown, 'decision is about an image that is', 'decisions are about images that are')}"
            f" not among these predictions, and kept in {journal.path}"
        )


def _wishes(left: int | None, port: int | None) -> list[int]:
    """The port asked for; else that of a server that was killed, or a free one."""
    return [port] if port is not None else [0] if left is None else [left, 0]


def bound(ports: Sequence[int]) -> socket.socket:
    """A listening socket on 127.0.0.1, at the first of the ports that can be had; 0 is any free one.

    Raises:
        WsolError: none of them is free.
    """
    reason = None
    for port in ports:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Else the port of a server that ended a moment ago cannot be used for a minute.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()  # a browser that is faster than the server waits
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    raise WsolError(
        f"port {ports[0]} cannot be used ({reason})", expected="a free one", remedy="Name another, or leave out --port."
    )
