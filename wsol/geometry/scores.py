"""The score of a box. Boxes that depend on the threshold, come from a faint map, or have the colours of their
surroundings are more often wrong.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from wsol.geometry.contrast import SIZE_PX, Colours, contrast

CONTRAST_WEIGHT = 0.3
"""Weight of the contrast relative to the map. On five kinds of images 0.2 to 0.5 are as good (studies/recipes.md)."""
LEVELS = np.arange(1, 10) / 10

Square = Float32[np.ndarray, "side side"]
Inside = Bool[np.ndarray, "side side"]


def score_of(
    heatmap: Float32[np.ndarray, "_ _"],
    mask: Bool[np.ndarray, "_ _"],
    others: Bool[np.ndarray, "_ _"] | None = None,
    colours: Colours | None = None,
) -> float:
    """The score of an object, 0 to 1, for ranking; it is not a probability (see `wsol calibrate`).

    It is the geometric mean of `stability` and `agreement`; with colours, the weighted mean of that and of `contrast`.

    Args:
        heatmap: foreground probabilities of the whole image, at any size.
        mask: the object's pixels in the whole image, at any size.
        others: pixels of the other objects of the image; the map is ignored there.
        colours: of the whole image, if available.
    """
    fine = np.asarray(cv2.resize(heatmap, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR))
    coverage = _coverage(mask)
    inside = coverage >= 0.5 if coverage.max() >= 0.5 else coverage > 0
    if others is not None:
        fine = np.where((_coverage(others) > 0) & ~inside, np.float32(0), fine)
    of_map = math.sqrt(stability(fine, inside) * agreement(fine, inside))
    if colours is None:
        return of_map
    return (of_map + CONTRAST_WEIGHT * contrast(inside, colours)) / (1 + CONTRAST_WEIGHT)


def _coverage(mask: Bool[np.ndarray, "_ _"]) -> Square:
    """The fraction of each cell that the mask covers."""
    return np.asarray(cv2.resize(mask.astype(np.float32), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA))


def stability(heatmap: Square, inside: Inside) -> float:
    """Mean IoU of the object's box with the boxes around its peak at the thresholds 0.1, 0.2, ... 0.9; the IoU is 0 at
    thresholds above the peak.
    """
    peak = np.unravel_index(np.argmax(np.where(inside, heatmap, -1)), heatmap.shape)
    box = cv2.boundingRect(inside.astype(np.uint8))
    overlaps = []
    for level in LEVELS:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((heatmap > level).astype(np.uint8), connectivity=8)
        overlaps.append(_overlap(box, stats[labels[peak], :4]) if labels[peak] else 0.0)
    return float(np.mean(overlaps))


def agreement(heatmap: Square, inside: Inside) -> float:
    """Soft IoU of the object with the map, whose values count as fractions of a pixel."""
    return float(np.minimum(heatmap, inside).sum() / np.maximum(heatmap, inside).sum())


def _overlap(a: np.ndarray | tuple[int, ...], b: np.ndarray) -> float:
    """IoU of two rectangles x, y, width, height of at least one pixel."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return float(common / (a[2] * a[3] + b[2] * b[3] - common))
