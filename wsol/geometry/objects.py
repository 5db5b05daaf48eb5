"""From a heatmap to masks, components and boxes at the resolution of the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from wsol.config.options import Box
from wsol.geometry.boxes import Xyxy
from wsol.geometry.contrast import Colours
from wsol.geometry.scores import score_of

Heatmap = Float32[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]


@dataclass(frozen=True)
class DetectedObject:
    """One object: its box, its mask over the whole image, and its score (`wsol.geometry.scores`)."""

    xyxy: Xyxy
    mask: Mask
    score: float
    label: int | None = None
    """Its class, if the objects of an image may have several; else the image's class is that of all objects."""
    class_name: str | None = None


def resized(heatmap: Heatmap, image_hw: tuple[int, int]) -> Float32[np.ndarray, "_ _"]:
    """Resize a map to (height, width) bilinearly; pixel centres are at half-integers (a cell covers `stride` px)."""
    height, width = image_hw
    return np.asarray(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR))


def find_objects(
    heatmap: Heatmap, image_hw: tuple[int, int], box: Box, colours: Colours | None = None
) -> list[DetectedObject]:
    """Resize a heatmap to the image, threshold it, and find its components, which touch by edge or corner.

    Args:
        heatmap: of the whole image, at any size.
        image_hw: (height, width) of the image, in pixels.
        box: the threshold, and which components are kept.
        colours: of the whole image, if available; they improve scores.

    Returns:
        Objects, largest first; none if no pixel is above the threshold.
    """
    small = _finite(heatmap)
    fine = resized(small, image_hw)
    labels, stats = _components(fine > box.threshold)
    order = _largest_first(stats)
    areas = stats[order, cv2.CC_STAT_AREA]
    kept = order[:1] if box.objects == "largest" else order[areas >= box.min_area * fine.size]
    masks = [labels == component for component in kept]
    others = [np.isin(labels, kept) & ~mask if len(kept) > 1 else None for mask in masks]
    return [
        DetectedObject(_edges(stats[component]), mask, score_of(small, mask, elsewhere, colours))
        for component, mask, elsewhere in zip(kept, masks, others, strict=True)
    ]


def largest_part(mask: Mask) -> Mask:
    """The pixels of the largest component of a mask; empty for an empty mask."""
    labels, stats = _components(mask)
    return np.asarray(labels == _largest_first(stats)[0]) if len(stats) > 1 else mask


def box_object(fractions: Float32[np.ndarray, " four"], image_hw: tuple[int, int]) -> list[DetectedObject]:
    """The object of a predicted box; its mask is the whole box, and its score is 1, since there is no map.

    Args:
        fractions: x0, y0, x1, y1 as fractions of the image's width and height.
        image_hw: (height, width) of the image, in pixels.

    Returns:
        One object; none if the box is not finite or holds no pixel.
    """
    height, width = image_hw
    if not np.isfinite(fractions).all():
        return []
    x0, y0, x1, y1 = (fractions.clip(0, 1).astype(float) * (width, height, width, height)).tolist()
    mask = np.zeros(image_hw, dtype=bool)
    mask[round(y0) : round(y1), round(x0) : round(x1)] = True
    return [DetectedObject((x0, y0, x1, y1), mask, 1.0)] if mask.any() else []


def _finite(heatmap: Heatmap) -> Heatmap:
    return np.where(np.isfinite(heatmap), heatmap, np.float32(0))


def _components(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """The component number of each pixel, 0 is background, and OpenCV's statistics of each component."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels, stats


def _largest_first(stats: np.ndarray) -> np.ndarray:
    """Numbers of the components by area, the largest first; with equal areas, the upper, then the left one first."""
    left, top, area = (stats[1:, column] for column in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_AREA))
    return 1 + np.lexsort((left, top, -area))


def _edges(stats: np.ndarray) -> Xyxy:
    x, y, width, height = (
        float(stats[i]) for i in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)
    )
    return x, y, x + width, y + height
