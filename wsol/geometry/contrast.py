"""Colour contrast between an object and its surroundings: Alexe et al. 2012, "Measuring the Objectness of Image
Windows", sec. 3.2, with a mask instead of a window.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Int16, UInt8

SIZE_PX = 128
"""Colours are compared in an image resized to this height and width."""
BINS = 8
"""Histogram bins for each of L, a and b."""
RING_FRACTION = 0.25
"""Width of the surroundings, as a fraction of the square root of the object's area."""
LEAST_RING_PX = 3
FEWEST_PX = 20
"""An object, or surroundings, with fewer pixels is too small for a colour histogram."""

Colours = Int16[np.ndarray, "rows columns"]
"""The index of each pixel's colour bin."""


def colours_of(pixels: UInt8[np.ndarray, "3 _ _"]) -> Colours:
    """The colour bins of an image, resized to `SIZE_PX` x `SIZE_PX`.

    Args:
        pixels: RGB.
    """
    upright = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    small = cv2.resize(upright, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    lightness, a, b = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.int16) * BINS // 256, 2, 0)
    return np.asarray((lightness * BINS + a) * BINS + b)


def ring_px(area: int) -> int:
    """Width of the surroundings of an object of `area` pixels, in pixels."""
    return max(LEAST_RING_PX, int(RING_FRACTION * area**0.5))


def contrast(inside: Bool[np.ndarray, "rows columns"], colours: Colours) -> float:
    """Colour contrast: 1 minus the Bhattacharyya coefficient of the histograms inside and around the object.

    Args:
        inside: the pixels of the object.
        colours: of `colours_of`, of the same size.

    Returns:
        From 0, equal colours, to 1, no colour in common; 0 also if either region has fewer than `FEWEST_PX` pixels.
    """
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    around = ~inside & (distance <= ring_px(int(inside.sum())))
    if min(inside.sum(), around.sum()) < FEWEST_PX:
        return 0.0
    histograms = [np.bincount(colours[where], minlength=BINS**3) / where.sum() for where in (inside, around)]
    return float(1 - np.sqrt(histograms[0] * histograms[1]).sum())
