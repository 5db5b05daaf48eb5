"""The help texts of the command line."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from wsol.cli.main import app

COMMANDS = sorted(name for name in app if not name.startswith("-"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_describes_every_option(
    command: str,
) -> None:
    console = Console(width=5000, record=True, file=io.StringIO())  # one line per option
    app.help_print([command], console=console)
    shown = console.export_text()
    options = re.findall(r"^│ \*?\s*(\S.*?)\s*│$", shown.partition("Parameters")[2], re.MULTILINE)
    assert options and all("--" in line for line in options)
    for line in options:
        described = re.sub(r"\[(choices|default|required).*", "", line)
        assert re.search(r"\s{2,}\S+ \S+", described), f"{command} does not describe {line}"
