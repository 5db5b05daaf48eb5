"""What every page of ours does: escape everything, show nothing that HTML cannot hold, and bring its own style."""

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
    """A template, style or script of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Jinja that escapes everything, and refuses a name that it does not know."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=legible,
    )


def legible(value: object) -> object:
    """Text without what neither HTML nor a terminal can hold: control characters, and the surrogates of file names that
    are not UTF-8.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" else c for c in value)


def data_uri(pixels: UInt8[ndarray, "height width 3"]) -> str:
    """RGB pixels as WebP for the `src` of an `<img>`."""
    code = io.BytesIO()
    Image.fromarray(pixels).save(code, "WEBP", quality=WEBP_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(code.getvalue()).decode()
