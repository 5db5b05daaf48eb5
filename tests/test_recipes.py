"""The recipes are commands that the command line understands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from wsol.cli import app

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.sh"))
LINES = [
    pytest.param(line, id=f"{path.name}: {line}")
    for path in RECIPES
    for line in path.read_text().splitlines()
    if line.startswith("wsol ")
]


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_a_recipe_parses(line: str) -> None:
    command, bound, _ = app.parse_args(
        shlex.split(line.replace('"$DATA"', "DATA"))[1:], exit_on_error=False, print_error=False
    )
    assert command is not None and bound.arguments
