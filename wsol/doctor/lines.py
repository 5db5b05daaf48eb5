"""Results of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from wsol.errors import WsolError

State = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One result of a check, its state, and a remedy; without one, the remedy of its check applies."""

    state: State
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the report. The fields are the keys of `--json`; `mend` is the remedy, empty if the state is ok."""

    check: str
    state: State
    seen: str
    mend: str
    seconds: float
    """Duration of the whole check."""


def first_line(error: BaseException) -> str:
    """Shorten an error for a table.

    Args:
        error: any exception.

    Returns:
        The first line of its message, after its type unless it is a `WsolError`.
    """
    first = str(error).strip().partition("\n")[0].rstrip()
    kind = () if isinstance(error, WsolError) else (type(error).__name__,)
    return ": ".join((*kind, *((first,) if first else ())))
