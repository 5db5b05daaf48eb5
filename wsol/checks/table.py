"""What `wsol check` found, one line a kind, on the terminal."""

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
    """The worst first: how bad, what, how many, the first examples, what to do."""
    table = Table(show_lines=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("kind")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first examples", overflow="fold", ratio=2)
    table.add_column("what to do", ratio=1)
    for finding in findings.found:
        severity = Text(finding.severity, COLOURS[finding.severity])
        # As Text: a file may be called [red].jpg.
        words = (finding.kind, str(len(finding.items)), examples(finding), finding.what_to_do)
        table.add_row(severity, *map(Text, words))
    return table


def examples(finding: Finding) -> str:
    """The first few, a line each, long ones cut."""
    lines = [visible(str(item)).replace("\n", " ") for item in finding.items[:EXAMPLES]]
    return "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines)


def print_findings(findings: Findings) -> None:
    """On standard output; wide enough for a log where that is no terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.print(Text(visible(findings.data.describe())))
    if findings.found:
        console.print(check_table(findings))
    else:
        console.print("nothing to mend")
