"""The pointing game: whether the highest value of a map is inside the object (Zhang et al. 2018)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from wsol.data.ground_truth import GroundTruthMask
from wsol.geometry.boxes import Boxes

EQUAL = 1e-6
"""Values closer than this to the highest one are as high: resizing rounds."""


def pointing_hit(
    heatmap: Float[np.ndarray, "height width"], boxes: Boxes, ground_truth_mask: GroundTruthMask | None
) -> float | None:
    """The pointing game for one image (Zhang et al. 2018, "Top-down neural attention by excitation backprop", sec.
    4.2), without tolerance: some papers also count a hit within 15 pixels of the object.

    The highest value must be inside the mask, or inside any of the boxes if there is no mask. Ignored pixels are left
    out: the highest value of the others counts. If several pixels have the highest value, each counts equally, so a
    constant map scores the fraction of the image that the object covers.

    Args:
        heatmap: at the size of the image, values in [0, 1].
        boxes: annotated boxes in pixels of the image; a pixel is inside if its centre is.
        ground_truth_mask: at the size of the image; None if there is none.

    Returns:
        1 for a hit, 0 for a miss, between the two if only some of the highest pixels are inside; None without
        ground truth.
    """
    counts = np.ones(heatmap.shape, dtype=bool)
    if ground_truth_mask is not None:
        counts, is_object = ~ground_truth_mask.is_ignored, ground_truth_mask.is_object
    elif len(boxes):
        is_object = _inside(boxes, heatmap.shape)
    else:
        return None
    if not counts.any():
        return None
    is_highest = counts & (heatmap >= heatmap[counts].max() - EQUAL)
    return float(is_object[is_highest].mean())


def _inside(boxes: Boxes, image_hw: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    height, width = image_hw
    is_inside = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes.xyxy:
        # The first pixel whose centre, at i + 0.5, is in a half-open interval from x0 is ceil(x0 - 0.5).
        left, top, right, bottom = (max(int(np.ceil(edge - 0.5)), 0) for edge in (x0, y0, x1, y1))
        is_inside[top:bottom, left:right] = True
    return is_inside
