"""The command line: all commands, error messages and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from typing import NoReturn

from cyclopts import App
from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnusedCliTokensError
from pydantic import ValidationError

from wsol.cli.evaluate import calibrate, evaluate
from wsol.cli.predict import export, export_model, predict, review
from wsol.cli.tools import check, compare, demo, doctor, report
from wsol.cli.train import fit, make_pseudo, train_cam, train_classifier, train_seg
from wsol.config.messages import as_error, training_needed
from wsol.errors import WsolError
from wsol.runtime.interrupts import INTERRUPTED, EndedBySignals
from wsol.runtime.terminal import prepare, print_line
from wsol.version import __version__

app = App(
    name="wsol",
    help="Boxes and masks for images that have only class labels (weakly supervised object localization).",
    version=__version__,
    suppress_keyboard_interrupt=False,  # `main` prints what was saved
    help_epilogue="Start with `wsol demo`, or with images in one folder per class: `wsol fit DATA --run runs/mine`.",
)
for _command in (
    fit,
    train_cam,
    make_pseudo,
    train_seg,
    train_classifier,
    predict,
    export,
    review,
    export_model,
    evaluate,
    calibrate,
    check,
    report,
    compare,
    doctor,
    demo,
):
    app.command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run one command.

    Exit codes: 0 success; 2 an error that the user can fix; 130 Ctrl-C or SIGTERM; 141 standard output was closed
    (`| head`). A bug shows its traceback (1).

    Args:
        arguments: the arguments of the command; None for those of the process. If given, signal handlers are left to
            the caller.
    """
    prepare()  # before the signal handlers, which open files
    if arguments is not None:
        return _main(arguments, None)
    with EndedBySignals() as signals:
        _main(None, signals)


def _main(arguments: list[str] | None, signals: EndedBySignals | None) -> None:
    # Pillow warns of images above 89 megapixels, which are decoded all the same.
    warnings.filterwarnings("ignore", "Image size", module="PIL")
    try:
        try:
            _run(arguments, signals)
        except SystemExit:  # has its own exit code; there may be unwritten output
            _flush()
            raise
        _flush()
    except BrokenPipeError:
        _end_unread()
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # rich turns it into SystemExit
            raise
        _end_unread()


def _run(arguments: list[str] | None, signals: EndedBySignals | None) -> None:
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _refuse(_plain(error))
    except ValidationError as error:
        _refuse(str(as_error(error)))
    except WsolError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:
        if (what := training_needed(error)) is None:
            raise
        _refuse(str(what))
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        _refuse(
            f"{_DISK_ERRORS[error.errno]}: {error}. Finished work is kept. Fix the cause; the same command continues."
        )
    except KeyboardInterrupt as stop:
        if signals is not None:
            signals.is_ending = True
        print_line(str(stop) or "interrupted; the same command continues")
        sys.exit(INTERRUPTED)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports the error again at exit
        _refuse(
            f"cannot write to standard output ({error.strerror}). The work is done and saved; the same command prints"
            " the result again."
        )


def _end_unread() -> NoReturn:
    """End as every program in front of `| head`: silently, with the exit code of SIGPIPE."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())  # else Python reports the error again at exit
    sys.exit(128 + getattr(signal, "SIGPIPE", 13))


_DISK_ERRORS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENAMETOOLONG: "a path is longer than the disk allows",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "a file or folder may not be written or read",
}


def _plain(error: CycloptsError) -> str:
    if isinstance(error.__cause__, ValidationError):
        return str(as_error(error.__cause__))
    command = " ".join(("wsol", *(error.command_chain or ())))
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        words = " ".join(error.unused_tokens)
        return (
            f"`{command}` takes no argument {words!r}. A path with spaces needs quotes ('my photos'). See `{command}"
            " --help`."
        )
    if type(error) is MissingArgumentError and error.argument is not None:
        hint = str(error).partition("requires an argument.")[2]  # Did you mean ...?
        name = error.argument.name
        if error.keyword or error.argument.tokens:
            return f"{name} has no value: expected one after it. See `{command} --help`."
        shown = name if error.argument.field_info.is_keyword_only else name.removeprefix("--").upper()
        return f"{shown} is missing: `{command}` needs it.{hint} See `{command} --help`."
    return str(error)


def _refuse(message: str) -> None:
    print_line(f"error: {message}")
    sys.exit(2)
