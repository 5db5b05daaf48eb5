"""Statistics of one image: its size, its colours, and a thumbnail of 16 x 16 pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.images import is_turned, pages_of, read_square
from wsol.data.pixel_cache import given_cores
from wsol.errors import BrokenImage
from wsol.runtime.threads import in_threads

SIZE_PX = 16
"""Large enough to distinguish images, small enough to keep a million of them in memory."""

SPREAD = 4
"""Grey values that differ by no more than this are the same: JPEG leaves that much noise."""

DARK = 16
"""An image without a value of at least this looks black: for example 10 or 12 bits stored in 16 per channel, of which
the upper 8 are read."""

Thumb = UInt8[np.ndarray, "16 16 3"]


@dataclass(frozen=True)
class ImageStats:
    """Statistics of an image that could be decoded completely."""

    image_hw: tuple[int, int]
    """Upright, in pixels."""
    is_turned: bool
    """The stored pixels are not upright; EXIF has the rotation."""
    thumb: Thumb
    """Upright RGB, resized to a square."""
    pages: int = 1
    """More than one only for TIFF."""

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.image_hw[0] * self.image_hw[1] / 1e6

    @property
    def elongation(self) -> float:
        """The longer side divided by the shorter side."""
        return max(self.image_hw) / min(self.image_hw)

    @property
    def is_blank(self) -> bool:
        """The whole image has one colour, and the image is not merely dark."""
        return not self.is_dark and bool((np.ptp(self.thumb, axis=(0, 1)) <= SPREAD).all())

    @property
    def is_dark(self) -> bool:
        """The image looks black, but is not black everywhere."""
        return 0 < int(self.thumb.max()) < DARK and bool(np.ptp(self.thumb, axis=(0, 1)).any())

    @property
    def is_grey(self) -> bool:
        """The image is without colour, in whatever mode it is stored."""
        return bool((np.ptp(self.thumb, axis=2) <= SPREAD).all())


def read_stats(path: Path, decoding: Decoding = DEFAULT_DECODING) -> ImageStats | BrokenImage:
    """Decode an image at a reduced scale; for a broken image, return the error."""
    try:
        thumb, image_hw = read_square(path, SIZE_PX, decoding)
        return ImageStats(image_hw, is_turned(path), thumb, pages_of(path))
    except BrokenImage as error:
        return BrokenImage(str(error))  # the raised error would keep the decoder's frames and their pixels in memory


def read_all_stats(
    paths: Sequence[Path], count_one: Callable[[], None], decoding: Decoding = DEFAULT_DECODING
) -> dict[Path, ImageStats | BrokenImage]:
    """Read each path once, in threads; `count_one` is called after each."""
    stats_of: dict[Path, ImageStats | BrokenImage] = {}
    unique = list(dict.fromkeys(paths))
    # Threads are enough: Pillow releases the GIL while it decodes and scales.
    for path, stats in zip(
        unique, in_threads(partial(read_stats, decoding=decoding), unique, threads=given_cores()), strict=True
    ):
        stats_of[path] = stats
        count_one()
    return stats_of
