"""What is wrong with a value of the configuration, in the words of all other errors: expected, got, what to do."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from wsol.errors import WsolError

HELP = "See `wsol fit --help` for what it takes."

_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "path_type": "a path",
    "string_type": "a word",
}
"""Where pydantic's own words speak of parsing and types."""


def told(error: ValidationError) -> str:
    """The first mistake; names are those of the command line."""
    problem: Any = error.errors(include_url=False)[0]
    place = [str(part) for part in problem["loc"]]
    kind, got, lead = problem["type"], problem["input"], f"{option(*place)}: " if place else ""
    if kind == "order":
        values = problem["ctx"]
        low, high = (option(*place, values[name]) for name in ("low", "high"))
        below, above = values["below"], values["above"]
        return (
            f"expected {low} to be at most {high}, got {below} > {above}. Set {low} to {above} or less, or {high} to"
            f" {below} or more."
        )
    if kind == "value_error":  # our own words, which say what came
        return f"{lead}{problem['ctx']['error']}. {HELP}"
    if kind == "extra_forbidden":
        return f"{lead}expected an option that there is, got {_shown(got)} for one that there is not. {HELP}"
    expected = _EXPECTED.get(kind) or problem["msg"].removeprefix("Input should be ")
    if expected.startswith(("greater", "less")):
        expected = f"a value {expected}"
    return f"{lead}expected {expected}, got {_shown(got)}.{_meant(kind, expected, got)} {HELP}"


def option(*names: str) -> str:
    """`cam`, `resize_px` as `--cam.resize-px`."""
    return "--" + ".".join(names).replace("_", "-")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _meant(kind: str, expected: str, got: object) -> str:
    if kind != "literal_error":
        return ""
    near = get_close_matches(str(got), re.findall(r"'([^']*)'", expected), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def check_fraction(name: str, value: float) -> None:
    """Refuse a threshold that no probability reaches.

    Raises:
        WsolError: not from 0 to 1.
    """
    if not 0 <= value <= 1:
        raise WsolError(
            option(name),
            expected="a number between 0 and 1",
            got=f"{value}",
            remedy="It is compared with a probability.",
        )


TRAINING = ("torch", "torchvision", "timm", "accelerate", "safetensors")
"""The packages of the extra `train`."""


def training_needed(error: ModuleNotFoundError) -> str | None:
    """What to do where a package of the extra `train` is absent; None for any other module."""
    if error.name is None or error.name.partition(".")[0] not in TRAINING:
        return None
    return f"this needs {error.name}: expected what the extra `train` brings. Run `pip install 'wsol[train]'`."
