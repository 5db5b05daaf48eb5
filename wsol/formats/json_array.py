"""JSON arrays too long for memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def array(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A JSON array in pieces, ASCII, one row a line: a million images need no memory."""
    lead = "["
    for row in rows:
        yield lead + json.dumps(row, allow_nan=False)
        lead = ",\n"
    yield "[]" if lead == "[" else "]"
