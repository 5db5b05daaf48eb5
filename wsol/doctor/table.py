"""The results of `wsol doctor` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsol.doctor.lines import Line, State
from wsol.runtime.terminal import visible

COLOURS: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
LOG_WIDTH, MAX_LENGTH = 160, 400


def doctor_table(lines: Sequence[Line]) -> Table:
    """Build the table: check, state, result and remedy, in the order of the checks.

    Args:
        lines: results of the checks.

    Returns:
        The table.
    """
    table = Table(show_lines=True)
    table.add_column("check")
    table.add_column("state", no_wrap=True)
    table.add_column("result", overflow="fold", ratio=1)
    table.add_column("remedy", overflow="fold", ratio=1)
    for line in lines:
        result, remedy = (visible(words).replace("\n", " ") for words in (line.seen, line.mend))
        shown = result if len(result) <= MAX_LENGTH else f"{result[:MAX_LENGTH]}…"
        # As Text: the name of a folder may look like markup.
        table.add_row(Text(line.check), Text(line.state, COLOURS[line.state]), Text(shown), Text(remedy))
    return table


def print_doctor(lines: Sequence[Line]) -> None:
    """Print the table and the number of lines by state on standard output.

    Args:
        lines: results of the checks.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.print(doctor_table(lines))
    counts = {state: sum(line.state == state for line in lines) for state in COLOURS}
    console.print(Text(", ".join(f"{n} {state}" for state, n in counts.items())))
