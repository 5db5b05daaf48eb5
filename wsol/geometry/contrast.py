"""How the colours of an object differ from those around it: the colour contrast of Alexe et al. 2012, "Measuring the
Objectness of Image Windows", sec. 3.2, with a mask in the window's place.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Int16, UInt8

SIZE_PX = 128
"""Colours are compared on a square of this side, whatever the size of the image."""
BINS = 8
"""Of each of L, a and b."""
RING_SHARE = 0.25
"""How wide the surroundings are, as a share of the square root of the object's area."""
LEAST_RING_PX = 3
FEWEST_PX = 20
"""Of an object, and of its surroundings: fewer have no colours to speak of."""

Colours = Int16[np.ndarray, "rows columns"]
"""The number of each place's colour."""


def colours_of(pixels: UInt8[np.ndarray, "3 _ _"]) -> Colours:
    """The colours of an image, at `SIZE_PX`."""
    upright = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    small = cv2.resize(upright, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    lightness, a, b = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.int16) * BINS // 256, 2, 0)
    return np.asarray((lightness * BINS + a) * BINS + b)


def ring_px(area: int) -> int:
    """How far the surroundings of an object of so many pixels reach."""
    return max(LEAST_RING_PX, int(RING_SHARE * area**0.5))


def contrast(inside: Bool[np.ndarray, "rows columns"], colours: Colours) -> float:
    """From 0, the same colours inside as around, to 1, no colour in common: 1 less the Bhattacharyya coefficient of the
    histograms.

    0 too where either holds hardly a pixel.
    """
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    around = ~inside & (distance <= ring_px(int(inside.sum())))
    if min(inside.sum(), around.sum()) < FEWEST_PX:
        return 0.0
    shares = [np.bincount(colours[where], minlength=BINS**3) / where.sum() for where in (inside, around)]
    return float(1 - np.sqrt(shares[0] * shares[1]).sum())
