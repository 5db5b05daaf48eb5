"""The help texts of the command line."""

from __future__ import annotations

import re

import pytest

from wsol.cli.main import app, main

COMMANDS = sorted(name for name in app if not name.startswith("-"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_describes_every_option(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "5000")  # one line per option
    main([command, "--help"])
    shown = capsys.readouterr().out
    options = re.findall(r"^│ \*?\s*(\S.*?)\s*│$", shown.partition("Parameters")[2], re.MULTILINE)
    assert options and all("--" in line for line in options)
    for line in options:
        described = re.sub(r"\[(choices|default|required).*", "", line)
        assert re.search(r"\s{2,}\S+ \S+", described), f"{command} does not describe {line}"
