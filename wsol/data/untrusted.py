"""Single values from files that others wrote, before anything relies on them: numbers, sizes, file names, and how they
are shown.
"""

from __future__ import annotations

import math
import os
from reprlib import Repr
from typing import TypeGuard

LARGEST_PIXELS = 178_956_970
"""No larger image is decoded (Pillow's limit), and a mask of such a size would fill the memory."""
LONGEST_PATH, LONGEST_NAME = 4096, 255
"""In bytes; no file system that is common has longer ones."""
LONGEST_NUMBER = 18
"""Digits of the longest whole number that means anything here; Python refuses some thousand."""

_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


def shown(value: object) -> str:
    """A value of any size and depth in some hundred letters."""
    return _REPR.repr(value)[:200]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of JSON is a number; NaN is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_of(value: object) -> float:
    """A number of JSON; NaN for everything else, infinity for one that no float holds."""
    if not is_number(value):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number_in(text: str) -> float:
    """A number in a cell; NaN for everything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def whole_in(text: str) -> int | None:
    """A whole number from 0; None for everything else."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def is_id(value: object) -> bool:
    """Whether a value of JSON is a number of an image or a category."""
    return isinstance(value, int) and not isinstance(value, bool)


def size_of(height: float, width: float) -> tuple[int, int] | None:
    """(height, width) in whole pixels; None where no image has that size."""
    is_size = math.isfinite(height) and math.isfinite(width) and height >= 1 and width >= 1
    return (int(height), int(width)) if is_size and int(height) * int(width) <= LARGEST_PIXELS else None


def is_text(text: str) -> bool:
    """Whether a text can be written: JSON may hold halves of characters."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def is_path(text: str) -> bool:
    """Whether a file can be called so: NUL, half a character and a name without end are refused by file systems, each
    in its way.
    """
    if not is_text(text):
        return False
    raw = os.fsencode(text)
    return b"\0" not in raw and len(raw) <= LONGEST_PATH and max(map(len, raw.split(b"/"))) <= LONGEST_NAME
