"""Text in table cells, protected from spreadsheets, which evaluate text that looks like a formula."""

from __future__ import annotations

import re

# OWASP, "CSV Injection", with the full-width characters of Japanese keyboards. Spreadsheets ignore leading blanks.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile(rf"'(?='*(?:{_FORMULA.pattern}))")
_TO_GUARD = re.compile(rf"'*(?:{_FORMULA.pattern})")


def guarded(text: str) -> str:
    """A name as a cell, with `'` in front if it could be a formula: spreadsheets read such a cell as text. `unguarded`
    removes the `'`.
    """
    return f"'{text}" if _TO_GUARD.match(text) else text


def unguarded(cell: str) -> str:
    """The name in a cell that `guarded` wrote."""
    return _GUARDED.sub("", cell, count=1) if _GUARDED.match(cell) else cell


def guarded_path(path: str) -> str:
    """A relative path as a cell, with `./` in front if it could be a formula; it is still the same path."""
    return f"./{path}" if _FORMULA.match(path) else path
