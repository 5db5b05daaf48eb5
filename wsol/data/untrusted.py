"""Check and print single values from files of other programs: numbers, sizes, file names."""

from __future__ import annotations

import math
import os
from reprlib import Repr
from typing import TypeGuard

LARGEST_PIXELS = 178_956_970
"""No larger image is decoded (Pillow's limit), and a larger mask would fill the memory."""
LONGEST_PATH, LONGEST_NAME = 4096, 255
"""In bytes; the limits of common file systems."""
LONGEST_NUMBER = 18
"""Digits of the longest integer that is accepted; Python itself refuses thousands of digits."""

_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


def short_repr(value: object) -> str:
    """A value of any size and depth in at most 200 characters, for messages."""
    return _REPR.repr(value)[:200]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; NaN is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_float(value: object) -> float:
    """A JSON number as float; NaN for everything else, infinity for integers beyond the range of float."""
    if not is_number(value):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number_in(text: str) -> float:
    """The number in a table cell; NaN for everything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def whole_in(text: str) -> int | None:
    """The integer from 0 in a table cell; None for everything else."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def is_id(value: object) -> bool:
    """Whether a JSON value can be an image id or a category id: an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def size_of(height: float, width: float) -> tuple[int, int] | None:
    """(height, width) in whole pixels; None if no image can have that size."""
    is_size = math.isfinite(height) and math.isfinite(width) and height >= 1 and width >= 1
    return (int(height), int(width)) if is_size and int(height) * int(width) <= LARGEST_PIXELS else None


def is_text(text: str) -> bool:
    """Whether a text can be encoded as UTF-8: JSON may hold single surrogates."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def is_path(text: str) -> bool:
    """Whether a text can be a path: file systems refuse NUL, single surrogates and names that are too long."""
    if not is_text(text):
        return False
    raw = os.fsencode(text)
    return b"\0" not in raw and len(raw) <= LONGEST_PATH and max(map(len, raw.split(b"/"))) <= LONGEST_NAME
