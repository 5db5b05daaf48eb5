"""Colours of 16 bits, of which Pillow keeps the upper 8: the lower 8 are decoded as an image of their own."""

from __future__ import annotations

import re
import sys
from typing import Any

from PIL import Image, ImageFile

_OTHER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
"""The byte order that takes the other byte of each value: little, big, and that of this machine."""


def is_deep(image: Image.Image) -> bool:
    """Whether the pixels of an opened image have more than 8 bits in the file.

    Args:
        image: an image that is not loaded yet.
    """
    return image.mode[0] in "IF" or _stored(image) is not None


def low_bytes(image: Image.Image) -> Image.Image | None:
    """Decode the lower bytes of colours of 16 bits.

    Args:
        image: an image that is not loaded yet; it is loaded, which keeps the upper bytes.

    Returns:
        The lower bytes, in the same mode; None if the colours have 8 bits, or the image has no colours.

    Raises:
        ValueError: Pillow cannot decode them.
    """
    stored = None if image.mode[0] in "IF" else _stored(image)
    if stored is None:
        return None
    if re.fullmatch(r"RGB[AX]?;16[LBN]", stored) is None:
        raise ValueError(
            f"of its 16 bits only the upper 8 can be read ({image.format}, {image.mode}), and there is a window; save"
            " it as grey or RGB without transparency, or as TIFF"
        )
    assert isinstance(image, ImageFile.ImageFile) and image.fp is not None, "it has tiles"
    file, page = image.fp, image.tell()
    image.load()
    file.seek(0)
    lower = Image.open(file, formats=[image.format or ""])
    lower.seek(page)
    lower.tile = [tile._replace(args=_swapped(tile.args)) for tile in lower.tile]
    lower.load()
    return lower


def _stored(image: Image.Image) -> str | None:
    """Pillow's name of the pixels' layout in the file, if they have 16 bits."""
    for tile in getattr(image, "tile", [])[:1]:
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if ";16" in str(arguments[0]) or (
            image.format == "PPM" and isinstance(arguments[-1], int) and arguments[-1] > 255
        ):
            return str(arguments[0])
    return None


def _swapped(arguments: tuple[Any, ...] | str | None) -> tuple[Any, ...] | str:
    if isinstance(arguments, tuple):
        return (_swapped(arguments[0]), *arguments[1:])
    text = str(arguments)
    return text[:-1] + _OTHER[text[-1]]
