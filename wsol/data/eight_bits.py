"""Convert pixels of any depth and transparency to opaque 8-bit pixels, some rows at a time: copies of a whole image
may take gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BAND_PX = 2**18
"""Pixels that are converted at a time."""


def opaque(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB, transparency over white.

    Grey stays grey, so that it can be scaled down before it is converted to RGB, which takes three times the memory.
    """
    if image.mode[0] in "IF":
        return _of_deep_grey(image)
    if image.has_transparency_data:
        return _over_white(image)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def correct_transparency(image: Image.Image) -> None:
    """Scale the transparent colour of a PNG in the same way as Pillow scales its pixels: 2 and 4 bits up to 8, 16-bit
    colours down to 8.

    Must be called before the pixels are loaded: after that, the stored depth is unknown.
    """
    colour, tiles = image.info.get("transparency"), getattr(image, "tile", [])
    if image.format != "PNG" or colour is None or not tiles:
        return
    stored = tiles[0][3]
    if stored in ("L;2", "L;4"):
        image.info["transparency"] = colour * (85 if stored == "L;2" else 17)
    elif stored == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Bands of rows from the top, each with the number of its first row."""
    rows = max(1, BAND_PX // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _over_white(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", image.size)
    for top, band in _bands(image):
        coloured = band.convert("RGBA")
        whole.paste(Image.alpha_composite(Image.new("RGBA", band.size, "white"), coloured).convert("RGB"), (0, top))
    return whole


def _of_deep_grey(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit grey clips at 255: every such image would become white.
    clear = image.info.get("transparency")
    peak = max(_peak(np.asarray(band), clear) for _, band in _bands(image))
    pixels = np.empty((image.height, image.width), np.uint8)
    for top, band in _bands(image):
        values = np.asarray(band)
        scaled = _scaled(values, peak)
        if clear is not None:
            scaled[values == clear] = 255
        pixels[top : top + len(values)] = scaled
    return Image.fromarray(pixels)


def _peak(values: NDArray[Any], clear: int | None) -> float:
    """The largest value that is finite and not transparent, at least 0."""
    counts = np.isfinite(values) if clear is None else values != clear
    return float(values.max(where=counts, initial=0))


def _scaled(values: NDArray[Any], peak: float) -> NDArray[np.uint8]:
    """Scale integers by the bits they use (see `used_bits`) and floats by their peak; negative values and NaN become
    black.
    """
    if np.issubdtype(values.dtype, np.integer):
        full = (1 << used_bits(int(peak))) - 1
        wide = values.clip(0, full).astype(np.uint32 if full < 2**24 else np.uint64)
        return np.asarray(wide * 255 // full, np.uint8)
    peak = max(peak, 1e-9)
    return np.nan_to_num(values.clip(0, peak) * (255.0 / peak)).clip(0, 255).astype(np.uint8)


def used_bits(peak: int) -> int:
    """The bit depth of values up to `peak`: the smallest of 8, 10, 12, ..., 32 that can store it.

    Cameras and scanners write 10, 12 and 14 bits into files with 16 or 32. A merely dark image becomes up to four times
    as bright for each two bits that it does not use.
    """
    return max(8, 2 * -(-peak.bit_length() // 2))
