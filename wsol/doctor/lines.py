"""What was seen of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from wsol.errors import WsolError

State = Literal["ok", "warn", "fail"]


class Seen(NamedTuple):
    """One fact, what it means, and what mends it; without the last, its check's own advice holds."""

    state: State
    seen: str
    mend: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the report; `mend` is empty where all is well."""

    check: str
    state: State
    seen: str
    mend: str
    seconds: float
    """What the whole check took."""


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a table, and its kind unless it is ours."""
    first = str(error).strip().partition("\n")[0].rstrip()
    kind = () if isinstance(error, WsolError) else (type(error).__name__,)
    return ": ".join((*kind, *((first,) if first else ())))
