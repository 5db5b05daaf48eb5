"""What one image looks like, as far as a data set can be checked by it: its size, its colours, and 16 x 16 pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from wsol.data.images import is_turned, read_square
from wsol.data.pixel_cache import given_cores
from wsol.errors import BrokenImage
from wsol.runtime.threads import in_threads

SIZE_PX = 16
"""Enough to tell images apart, little enough to keep a million of them."""

SPREAD = 4
"""Grey values that differ by no more than this are the same: JPEG leaves that much noise."""

DARK = 16
"""Where no grey value reaches this, the image is black to the eye: 10 or 12 bits in 16 a channel, of which the upper 8
are read."""

Thumb = UInt8[np.ndarray, "16 16 3"]


@dataclass(frozen=True)
class Look:
    """One image that could be decoded from its first to its last byte."""

    image_hw: tuple[int, int]
    """Upright, in pixels."""
    is_turned: bool
    """The stored pixels are not upright; EXIF says how to turn them."""
    thumb: Thumb
    """Upright RGB, squashed."""

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.image_hw[0] * self.image_hw[1] / 1e6

    @property
    def elongation(self) -> float:
        """The longer side in shorter sides."""
        return max(self.image_hw) / min(self.image_hw)

    @property
    def is_blank(self) -> bool:
        """Of one colour all over; what is merely dark is not."""
        return not self.is_dark and bool((np.ptp(self.thumb, axis=(0, 1)) <= SPREAD).all())

    @property
    def is_dark(self) -> bool:
        """Not black all over, though it looks so."""
        return 0 < int(self.thumb.max()) < DARK and bool(np.ptp(self.thumb, axis=(0, 1)).any())

    @property
    def is_grey(self) -> bool:
        """Without colour, however it is stored."""
        return bool((np.ptp(self.thumb, axis=2) <= SPREAD).all())


def look(path: Path) -> Look | BrokenImage:
    """Decode an image at a reduced scale; a broken one comes back as its error."""
    try:
        thumb, image_hw = read_square(path, SIZE_PX)
        return Look(image_hw, is_turned(path), thumb)
    except BrokenImage as error:
        return BrokenImage(str(error))  # the one that was raised keeps the decoder's frames, and their pixels


def looks(paths: Sequence[Path], count_one: Callable[[], None]) -> dict[Path, Look | BrokenImage]:
    """Look at each path once, in threads; `count_one` is called after each."""
    found: dict[Path, Look | BrokenImage] = {}
    unique = list(dict.fromkeys(paths))
    # Threads are enough: Pillow releases the GIL while it decodes and scales.
    for path, seen in zip(unique, in_threads(look, unique, threads=given_cores()), strict=True):
        found[path] = seen
        count_one()
    return found
