"""Text in the cells of a table that people open in a spreadsheet, which computes what looks like a formula."""

from __future__ import annotations

import re

# OWASP, "CSV Injection"; the wide ones are what Japanese keyboards write. Spreadsheets pass over blanks before them.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile(rf"'(?='*(?:{_FORMULA.pattern}))")
_TO_GUARD = re.compile(rf"'*(?:{_FORMULA.pattern})")


def guarded(text: str) -> str:
    """A name as a cell: behind `'`, which spreadsheets take for "this is text", where it could be a formula;
    `unguarded` undoes it.
    """
    return f"'{text}" if _TO_GUARD.match(text) else text


def unguarded(cell: str) -> str:
    """The name in a cell that `guarded` wrote."""
    return _GUARDED.sub("", cell, count=1) if _GUARDED.match(cell) else cell


def guarded_path(path: str) -> str:
    """A relative path as a cell: behind `./`, which changes nothing for those who open it, where it could be a
    formula.
    """
    return f"./{path}" if _FORMULA.match(path) else path
