"""Shared by all pages: Jinja that escapes everything, removes characters that HTML cannot hold, and inlines images."""

from __future__ import annotations

import base64
import io
import unicodedata
from importlib.resources import files

from jaxtyping import UInt8
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy import ndarray
from PIL import Image

WEBP_QUALITY = 75


def own_text(name: str, package: str = "wsol.reports") -> str:
    """Text of a template, style sheet or script inside a package.

    Args:
        name: file name.
        package: the package that holds it.

    Returns:
        The text.
    """
    return files(package).joinpath(name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Jinja environment that escapes everything and raises an error for undefined names."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=legible,
    )


def legible(value: object) -> object:
    """Replace characters that HTML cannot hold: control characters, and surrogates of file names that are not UTF-8."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" else c for c in value)


def data_uri(pixels: UInt8[ndarray, "height width 3"]) -> str:
    """Encode pixels for the `src` of an `<img>`.

    Args:
        pixels: RGB, height x width x 3.

    Returns:
        A `data:` URI that holds the image as WebP.
    """
    code = io.BytesIO()
    Image.fromarray(pixels).save(code, "WEBP", quality=WEBP_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(code.getvalue()).decode()
