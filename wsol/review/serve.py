"""Serve the review page until Ctrl-C."""

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
from wsol.review.connections import TimeoutProtocol
from wsol.review.session import ReviewSession
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
    """Serve the review page of a prediction folder on 127.0.0.1; its address is printed on standard output.

    Args:
        predictions: folder written by `wsol predict`.
        sample: review only this many images, chosen at random and remembered for `wsol calibrate`.
        port: port of the page; by default a free one.
        open_browser: also open the page in the default browser.
        quiet: print nothing on standard error.

    Raises:
        WsolError: there are no predictions, a line cannot be exported to any format, the journal is damaged, the port
            is in use, or another server has the folder open.
    """
    predictions, progress = Path(predictions), Progress(quiet=quiet)
    if port is not None and not 1 <= port <= 65535:
        raise WsolError(
            "--port", expected="a number from 1 to 65535", got=f"{port}", remedy="Leave it out to use a free port."
        )
    if sample is not None and sample < 1:
        raise WsolError(
            "--sample",
            expected="at least 1",
            got=f"{sample}",
            remedy="20 images are enough for a rough estimate of a run's accuracy.",
        )
    opened = checked(open_predictions(predictions))
    if not opened.image_root.is_dir():
        raise WsolError(
            f"{opened.image_root} is not a folder",
            expected="the images that were predicted on",
            remedy="Restore it, or run `wsol predict` on the images at their present path.",
        )
    otherwise = "open its page at the address that it printed; any number of windows can use it"
    with held(predictions, "wsol review", otherwise) as hold, Journal(predictions) as journal:
        before = None if sample is None else read_sample(predictions)
        drawn = None if sample is None else draw((one.image for one in opened), sample)
        session = ReviewSession(opened, journal, drawn)
        _report_journal(session, journal, progress)
        with bound(_ports(noted_port(hold.left), port)) as listening:
            # A new key each time: a stored key could be known to the person who made the folder.
            address = Address(listening.getsockname()[1], secrets.token_urlsafe(32))
            hold.note(port_note(address.port))
            if drawn is not None:
                write_sample(predictions, drawn)
                _report_sample_change(before, drawn, progress)
            with suppress(KeyboardInterrupt):  # the usual end, also before the server has started
                print(address.url, flush=True)  # noqa: T201
                progress.say(
                    "Open this address in a browser on this machine. Ctrl-C stops the server; all decisions are saved."
                )
                if open_browser:
                    webbrowser.open(address.url)
                server(session, address).run(sockets=[listening])
        progress.say(_ended(session, journal, predictions))


def _report_sample_change(before: tuple[str, ...] | None, drawn: tuple[str, ...], progress: Progress) -> None:
    if before is not None and len(before) != len(drawn):
        progress.say(
            f"review: the sample had {number_of(len(before), 'image')} and has {len(drawn)} now; `wsol calibrate` needs"
            f" a decision about each. `--sample {len(before)}` restores the old sample"
        )


def _ended(session: ReviewSession, journal: Journal, predictions: Path) -> str:
    done = sum(session.verdict(index) != "undecided" for index in session.order)
    summary = f"review: {done} of {number_of(len(session.order), 'image')} decided, in {journal.path}."
    if session.is_sample:
        learn = shlex.join(["wsol", "calibrate", "RUN", "--reviewed", f"{predictions}"])
        once = "" if done == len(session.order) else " once all are decided"
        return f"{summary} `{learn}` measures the accuracy of the run and chooses its threshold{once}."
    export = shlex.join(
        ["wsol", "export", f"{predictions}", "--reviewed", "--format", "coco", "--out", f"{predictions}-coco"]
    )
    return f"{summary} `{export}` exports them; for other formats see `wsol export --help`."


def server(session: ReviewSession, address: Address) -> uvicorn.Server:
    """Build the server of a review page.

    Args:
        session: the images under review and their decisions.
        address: port and key of the page.

    Returns:
        The server, to be run on a bound socket.
    """
    config = uvicorn.Config(
        application(session, address),
        http=TimeoutProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _report_journal(session: ReviewSession, journal: Journal, progress: Progress) -> None:
    if journal.repaired:
        progress.say(f"review: removed an incomplete last line of {journal.path}, left by an interruption")
    if session.unknown:
        progress.say(
            f"review: {number_of(session.unknown, 'decision')} in {journal.path} about images that are not among these"
            " predictions; kept unchanged"
        )


def _ports(left: int | None, port: int | None) -> list[int]:
    """Ports to try: the requested one, or that of a killed server and then any free one."""
    return [port] if port is not None else [0] if left is None else [left, 0]


def bound(ports: Sequence[int]) -> socket.socket:
    """Open a listening socket on 127.0.0.1.

    Args:
        ports: ports to try in order; 0 is any free one.

    Returns:
        The socket, on the first port that is free.

    Raises:
        WsolError: none of the ports is free.
    """
    reason = None
    for port in ports:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Without it, the port of a server that has just ended is blocked for a minute.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()  # a browser that connects before the server runs waits
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    raise WsolError(
        f"port {ports[0]} cannot be used ({reason})",
        expected="a free port",
        remedy="Choose another, or leave out --port.",
    )
