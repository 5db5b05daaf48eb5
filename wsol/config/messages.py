"""Errors about wrong option values, in the form of all other errors: expected, got, remedy."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Any, get_args

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
"""Replaces pydantic's messages that mention parsing and types."""


def as_error(error: ValidationError) -> WsolError:
    """Convert pydantic's error about a configuration.

    Args:
        error: what pydantic raised for a `RunConfig`.

    Returns:
        An error about the first wrong value, with options named as on the command line.
    """
    problem: Any = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    kind, message = problem["type"], problem["msg"]
    if kind == "order":
        values = problem["ctx"]
        low, high = (option(*location, values[name]) for name in ("low", "high"))
        below, above = values["below"], values["above"]
        return WsolError(
            low,
            expected=f"at most {high}",
            got=f"{below} > {above}",
            remedy=f"Set {low} to {above} or less, or {high} to {below} or more.",
        )
    if kind == "classless":
        return WsolError(
            message, expected="same, none, or a timm model", remedy="Choose one of them, or omit --classifier."
        )
    name, got = option(*location) if location else "", _shortened(problem["input"])
    if kind == "extra_forbidden":
        return WsolError(f"there is no option {name} (value {got})", remedy=HELP)
    expected = _EXPECTED.get(kind) or message.removeprefix("Input should be ")
    if expected.startswith(("greater", "less")):
        expected = f"a value {expected}"
    return WsolError(name, expected=expected, got=got, remedy=_suggestion(kind, expected, got) + HELP)


def option(*names: str) -> str:
    """Return `--cam.resize-px` for `cam`, `resize_px`."""
    return "--" + ".".join(names).replace("_", "-")


def _shortened(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _suggestion(kind: str, expected: str, got: str) -> str:
    if kind != "literal_error":
        return ""
    near = get_close_matches(got, re.findall(r"'([^']*)'", expected), n=1)
    return f"Did you mean {near[0]}? " if near else ""


def check_choice(name: str, value: object, literal: object) -> None:
    """Refuse a word that is not one of the choices; from the command line this is known already, from Python it is not.

    Args:
        name: of the option.
        value: the word.
        literal: the `Literal` type with the choices.

    Raises:
        WsolError: none of the choices.
    """
    choices = get_args(literal)
    if value not in choices:
        raise WsolError(option(name), expected=f"one of {', '.join(choices)}", got=f"{value!r}", remedy=HELP)


def check_fraction(name: str, value: float) -> None:
    """Reject a threshold that is not a probability.

    Args:
        name: name of the option, for the message.
        value: the threshold.

    Raises:
        WsolError: the value is not between 0 and 1.
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


def training_needed(error: ModuleNotFoundError) -> WsolError | None:
    """Convert the error about an absent package of the extra `train`; None for any other module."""
    if error.name is None or error.name.partition(".")[0] not in TRAINING:
        return None
    return WsolError(
        f"{error.name} is not installed", expected="the extra `train`", remedy="Run `pip install 'wsol[train]'`."
    )
