"""Output to the terminal: text that every encoding accepts, without control sequences."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from pathlib import Path

# Characters like U+202E show `gpj.exe` as `exe.jpg`; U+2028 and U+2029 end lines.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def visible(text: str) -> str:
    r"""Escape characters that control a terminal or cannot be shown: `\x1b`, `\u202e`.

    Line breaks and tabs stay. A byte of a file name that is not UTF-8 is shown as that byte: `\xe4`.
    """
    return "".join(_escaped(c) if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    return character not in "\n\t" and (unicodedata.category(character) in ("Cc", "Cs") or character in _REORDERING)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()


def print_line(line: str) -> None:
    """Print a message to standard error."""
    print(visible(line), file=sys.stderr)  # noqa: T201


def print_result(line: str | Path) -> None:
    """Print a result to standard output; a path is printed unchanged into a pipe, for scripts."""
    is_exact = isinstance(line, Path) and not sys.stdout.isatty()
    print(line if is_exact else visible(str(line)))  # noqa: T201


ERRORS = "wsol"
"""Name of our error handler for characters that an encoding lacks."""


def prepare() -> None:
    """Make standard output and error accept every text in any encoding, and open streams that were closed.

    Otherwise, if the encoding is ASCII, a folder called `Käuzchen` ends a finished command with a UnicodeEncodeError.
    """
    _open_closed()
    codecs.register_error(ERRORS, _instead)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _open_closed() -> None:
    """Open the null device for closed standard streams (`>&-`): else the next file opened would replace one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False, encoding="utf-8"))  # noqa: SIM115


def _instead(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write the original bytes of file names, and backslash escapes for other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    code = ord(error.object[error.start])
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00]), error.start + 1
    return error.object[error.start].encode("ascii", "backslashreplace").decode(), error.start + 1
