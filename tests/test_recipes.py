"""Recipes, README and docs hold commands that the command line understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from wsol.cli.main import app

REPOSITORY = Path(__file__).parents[1]
PAGES = [
    *sorted((REPOSITORY / "recipes").glob("*.sh")),
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
LAUNCHED = re.compile(r"-m wsol (?:-- )?(.*?)'?$")
"""What torchrun and accelerate start."""

LINES = [
    pytest.param(line.strip(), id=f"{page.name}: {line.strip()}")
    for page in PAGES
    for line in page.read_text().splitlines()
    if line.removeprefix("    ").startswith("wsol ")
] + [
    pytest.param(f"wsol {launched[1]}", id=f"{page.name}: {line.strip()}")
    for page in PAGES
    for line in page.read_text().splitlines()
    if line.startswith("  ") and (launched := LAUNCHED.search(line))
]


@pytest.mark.parametrize("line", LINES)
def test_every_command_parses(line: str) -> None:
    words = shlex.split(line.replace('"$DATA"', "DATA"), comments=True)[1:]
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert command is not None and bound.arguments


def test_launched_commands_are_found() -> None:
    assert sum("-m wsol" in str(line.id) for line in LINES) >= 6
