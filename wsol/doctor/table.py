"""What `wsol doctor` saw, one line a fact, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsol.doctor.lines import Line, State
from wsol.runtime.terminal import visible

COLOURS: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
LOG_WIDTH, LONGEST = 160, 400


def doctor_table(lines: Sequence[Line]) -> Table:
    """In the order of the checks: which, how it is, what was seen, what mends it."""
    table = Table(show_lines=True)
    table.add_column("check")
    table.add_column("state", no_wrap=True)
    table.add_column("seen", overflow="fold", ratio=1)
    table.add_column("what mends it", overflow="fold", ratio=1)
    for line in lines:
        seen, mend = (visible(words).replace("\n", " ") for words in (line.seen, line.mend))
        shown = seen if len(seen) <= LONGEST else f"{seen[:LONGEST]}…"
        # As Text: a folder may be called [red].
        table.add_row(Text(line.check), Text(line.state, COLOURS[line.state]), Text(shown), Text(mend))
    return table


def print_doctor(lines: Sequence[Line]) -> None:
    """On standard output; wide enough for a log where that is no terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.print(doctor_table(lines))
    counts = {state: sum(line.state == state for line in lines) for state in COLOURS}
    console.print(Text(", ".join(f"{n} {state}" for state, n in counts.items())))
