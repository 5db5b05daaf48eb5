"""JSON arrays that are written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def array(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A JSON array in pieces, ASCII, one row per line, so that a million rows need little memory."""
    lead = "["
    for row in rows:
        yield lead + json.dumps(row, allow_nan=False)
        lead = ",\n"
    yield "[]" if lead == "[" else "]"
