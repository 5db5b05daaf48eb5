"""How far a box can be trusted: those that hang on the threshold, on a faint map, or are coloured like what is around
them, are the wrong ones.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from wsol.geometry.contrast import SIZE_PX, Colours, contrast

CONTRAST_WEIGHT = 0.3
"""Of the contrast beside the map. From 0.2 to 0.5 are as good on five kinds of images (studies/recipes.md)."""
LEVELS = np.arange(1, 10) / 10

Square = Float32[np.ndarray, "side side"]
Inside = Bool[np.ndarray, "side side"]


def score_of(
    heatmap: Float32[np.ndarray, "_ _"],
    mask: Bool[np.ndarray, "_ _"],
    others: Bool[np.ndarray, "_ _"] | None = None,
    colours: Colours | None = None,
) -> float:
    """How sure an object is, 0 to 1; it ranks, and is no probability (see `wsol calibrate`).

    It is the geometric mean of `stability` and `agreement`, and where the image's colours are known the weighted mean
    of that and of their `contrast`. `heatmap` holds foreground probabilities, `mask` the object's pixels; both cover
    the whole image, each at a size of its own. What the map says at the pixels of `others`, objects that are found too,
    is not held against this one.
    """
    fine = np.asarray(cv2.resize(heatmap, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR))
    share = _share(mask)
    inside = share >= 0.5 if share.max() >= 0.5 else share > 0
    if others is not None:
        fine = np.where((_share(others) > 0) & ~inside, np.float32(0), fine)
    of_map = math.sqrt(stability(fine, inside) * agreement(fine, inside))
    if colours is None:
        return of_map
    return (of_map + CONTRAST_WEIGHT * contrast(inside, colours)) / (1 + CONTRAST_WEIGHT)


def _share(mask: Bool[np.ndarray, "_ _"]) -> Square:
    return np.asarray(cv2.resize(mask.astype(np.float32), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA))


def stability(heatmap: Square, inside: Inside) -> float:
    """Mean IoU of the object's box with the boxes around its peak at the thresholds 0.1, 0.2, ... 0.9; 0 where the peak
    is lower.
    """
    peak = np.unravel_index(np.argmax(np.where(inside, heatmap, -1)), heatmap.shape)
    box = cv2.boundingRect(inside.astype(np.uint8))
    overlaps = []
    for level in LEVELS:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((heatmap > level).astype(np.uint8), connectivity=8)
        overlaps.append(_overlap(box, stats[labels[peak], :4]) if labels[peak] else 0.0)
    return float(np.mean(overlaps))


def agreement(heatmap: Square, inside: Inside) -> float:
    """IoU of the object with the map, whose values count as shares of a pixel."""
    return float(np.minimum(heatmap, inside).sum() / np.maximum(heatmap, inside).sum())


def _overlap(a: np.ndarray | tuple[int, ...], b: np.ndarray) -> float:
    """IoU of two rectangles x, y, width, height of at least a pixel."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return float(common / (a[2] * a[3] + b[2] * b[3] - common))
