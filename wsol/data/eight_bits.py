"""Convert pixels of any depth and transparency to opaque 8-bit pixels, some rows at a time: copies of a whole image
may take gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol.config.image import Range

Values = NDArray[Any]
"""Pixels of some rows, of any depth: height x width, or height x width x channels."""

BAND_PX = 2**18
"""Pixels that are converted at a time."""
BITS, SAMPLE_FORMAT = 258, 339
"""Tags of TIFF."""
MAXVAL, PGM_WHITE = "maxval", 65535
"""White in a PGM file of more than 8 bits, and where Pillow stretches it to."""


def opaque(image: Image.Image, window: Range | None = None, low_bytes: Image.Image | None = None) -> Image.Image:
    """The image in mode L or RGB, transparency over white.

    Grey stays grey, so that it can be scaled down before it is converted to RGB, which takes three times the memory.

    Args:
        image: of any mode.
        window: the values that become black and white, if pixels have more than 8 bits; None for `auto`.
        low_bytes: for colours of 16 bits, of which `image` has the upper 8 bits: the lower 8 (see
            `wsol.data.deep_colours`).
    """
    if image.mode[0] in "IF":
        return _of_deep_grey(image, window)
    if window is not None and low_bytes is not None:
        image = _of_deep_colours(image, window, low_bytes)
    if image.has_transparency_data:
        return _over_white(image)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def eight_bits(values: Values, window: Range) -> NDArray[np.uint8]:
    """Convert an array of the caller.

    Args:
        values: integers or floats of any depth.
        window: the values that become black and white.

    Returns:
        uint8 of the same shape.
    """
    return windowed(values, *_limits(lambda: iter([values]), window))


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


def note_maxval(image: Image.Image) -> None:
    """Keep the value of white of a PGM with more than 8 bits, whose grey Pillow stretches to 16.

    Must be called before the pixels are loaded: after that, it is unknown.
    """
    tiles = getattr(image, "tile", [])
    if image.format == "PPM" and image.mode == "I" and isinstance(tiles[0][3], tuple):
        image.info[MAXVAL] = tiles[0][3][1]


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


def _of_deep_grey(image: Image.Image, window: Range | None) -> Image.Image:
    # Pillow's own conversion of 16-bit grey clips at 255: every such image would become white.
    clear = image.info.get("transparency")
    if window is None:
        peak = max(_peak(values, clear) for _, values in _rows(image))
    else:
        low, high = _limits(lambda: (_shown(values, clear) for _, values in _rows(image)), window)
        if not window.is_percentile and MAXVAL in image.info:
            low, high = (value * PGM_WHITE / image.info[MAXVAL] for value in (low, high))
    pixels = np.empty((image.height, image.width), np.uint8)
    for top, values in _rows(image):
        scaled = _scaled(values, peak) if window is None else windowed(values, low, high)
        if clear is not None:
            scaled[values == clear] = 255
        pixels[top : top + len(values)] = scaled
    return Image.fromarray(pixels)


def _of_deep_colours(upper: Image.Image, window: Range, lower: Image.Image) -> Image.Image:
    """All colours have the same window, so that white stays white; the transparency is not changed."""
    if upper.mode == "RGB" and upper.has_transparency_data:  # a colour that is transparent
        upper = upper.convert("RGBA")
    channels = len(upper.getbands())

    def bands() -> Iterator[tuple[int, Values]]:
        for (top, high), (_, low) in zip(_rows(upper), _rows(lower), strict=True):
            yield top, (high[:, :, :3].astype(np.uint16) << 8) | low[:, :, :3]

    limits = _limits(lambda: (values for _, values in bands()), window)
    pixels = np.empty((upper.height, upper.width, channels), np.uint8)
    for top, values in bands():
        pixels[top : top + len(values), :, :3] = windowed(values, *limits)
    if channels == 4:
        pixels[:, :, 3] = np.asarray(upper.getchannel(3))
    return Image.fromarray(pixels, upper.mode)


def _rows(image: Image.Image) -> Iterator[tuple[int, Values]]:
    """Bands of values, each with the number of its first row."""
    tags = getattr(image, "tag_v2", {})
    # Pillow has no mode for unsigned integers of 32 bits.
    is_unsigned = image.mode == "I" and tags.get(BITS) == (32,) and tags.get(SAMPLE_FORMAT, (1,)) == (1,)
    for top, band in _bands(image):
        values = np.asarray(band)
        yield top, values.view(np.uint32) if is_unsigned else values


def _shown(values: Values, clear: int | None) -> Values:
    return values if clear is None else values[values != clear]


def _limits(bands: Callable[[], Iterator[Values]], window: Range) -> tuple[float, float]:
    """The values that become black and white; percentiles are of finite values, 0 if there are none."""
    if not window.is_percentile:
        return window.low, window.high
    first = next(bands())
    if first.dtype.kind == "u" and first.dtype.itemsize <= 2:
        counts = np.zeros(1 << 8 * first.dtype.itemsize, np.int64)
        for values in bands():
            counts += np.bincount(values.reshape(-1), minlength=len(counts))
        ends = counts.cumsum()
        low, high = (np.searchsorted(ends, _rank(one, int(ends[-1])) + 1) for one in window[:2])
        return float(low), float(high)
    finite = np.concatenate([values[np.isfinite(values)] for values in bands()])
    if not finite.size:
        return 0.0, 0.0
    ranks = [_rank(percentile, finite.size) for percentile in window[:2]]
    finite.partition(ranks)
    return float(finite[ranks[0]]), float(finite[ranks[1]])


def _rank(percentile: float, count: int) -> int:
    """The place in the sorted values of the smallest one with at least this percentage of values up to it."""
    return min(max(math.ceil(percentile / 100 * count) - 1, 0), max(count - 1, 0))


def windowed(values: Values, low: float, high: float) -> NDArray[np.uint8]:
    """Scale values linearly, `low` to black and `high` to white.

    Args:
        values: integers or floats.
        low: values up to this are black, as is NaN.
        high: values from this on are white. If it is not above `low`, only values above it are white.

    Returns:
        uint8, rounded to the nearest.
    """
    wide = values.astype(np.float64)
    if not low < high:
        return np.asarray(np.where(wide > high, 255, 0), np.uint8)
    with np.errstate(all="ignore"):  # infinite values
        scaled = (wide - low) * (255 / (high - low))
    return np.asarray(np.rint(np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255)), np.uint8)


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
