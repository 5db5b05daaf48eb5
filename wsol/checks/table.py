"""The findings of `wsol check` on the terminal, one row per kind."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsol.checks.findings import Finding, Findings, Severity
from wsol.runtime.terminal import visible

COLOURS: dict[Severity, str] = {"error": "bold red", "warn": "yellow", "info": "dim"}
EXAMPLES = 3
LOG_WIDTH, LONGEST = 160, 240


def check_table(findings: Findings) -> Table:
    """One row per finding, the most severe first: severity, kind, count, first examples, what to do."""
    table = Table(show_lines=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("kind")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first examples", overflow="fold", ratio=2)
    table.add_column("what to do", ratio=1)
    for finding in findings.found:
        severity = Text(finding.severity, COLOURS[finding.severity])
        # As Text: a file may be called [red].jpg.
        cells = (finding.kind, str(len(finding.items)), examples(finding), finding.what_to_do)
        table.add_row(severity, *map(Text, cells))
    return table


def examples(finding: Finding) -> str:
    """The first few items, one line each; long lines are cut."""
    lines = [visible(str(item)).replace("\n", " ") for item in finding.items[:EXAMPLES]]
    return "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines)


def print_findings(findings: Findings) -> None:
    """Print the findings on standard output, at a fixed width if it is not a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.print(Text(visible(findings.data.describe())))
    if findings.found:
        console.print(check_table(findings))
    else:
        console.print("nothing to fix")
