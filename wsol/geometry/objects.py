"""From a heatmap to masks, components and boxes at the image's own resolution."""

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
class Found:
    """One object: its box, its mask over the whole image, and how sure it is (`wsol.geometry.scores`)."""

    xyxy: Xyxy
    mask: Mask
    score: float


def resized(heatmap: Heatmap, image_hw: tuple[int, int]) -> Float32[np.ndarray, "_ _"]:
    """Bilinear, pixel centres at half (a map's cell covers `stride` pixels)."""
    height, width = image_hw
    return np.asarray(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR))


def find_objects(heatmap: Heatmap, image_hw: tuple[int, int], box: Box, colours: Colours | None = None) -> list[Found]:
    """Threshold a small heatmap at the image's resolution and box its components, largest first.

    Components touch by edge or corner. Nothing above the threshold, or a map that is not finite, gives an empty list.
    The `colours` of the whole image make scores surer.
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
        Found(_edges(stats[component]), mask, score_of(small, mask, elsewhere, colours))
        for component, mask, elsewhere in zip(kept, masks, others, strict=True)
    ]


def largest_part(mask: Mask) -> Mask:
    """The pixels of the largest component; none where nothing is inside."""
    labels, stats = _components(mask)
    return np.asarray(labels == _largest_first(stats)[0]) if len(stats) > 1 else mask


def box_object(shares: Float32[np.ndarray, " four"], image_hw: tuple[int, int]) -> list[Found]:
    """The object of a box as shares of the image's sides, all of it its mask. Without a map nothing tells how sure it
    is: the score is 1.

    A box that is not finite, or holds no pixel, gives an empty list.
    """
    height, width = image_hw
    if not np.isfinite(shares).all():
        return []
    x0, y0, x1, y1 = (shares.clip(0, 1).astype(float) * (width, height, width, height)).tolist()
    mask = np.zeros(image_hw, dtype=bool)
    mask[round(y0) : round(y1), round(x0) : round(x1)] = True
    return [Found((x0, y0, x1, y1), mask, 1.0)] if mask.any() else []


def _finite(heatmap: Heatmap) -> Heatmap:
    return np.where(np.isfinite(heatmap), heatmap, np.float32(0))


def _components(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """A number for each pixel, 0 is background, and OpenCV's figures for each number."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels, stats


def _largest_first(stats: np.ndarray) -> np.ndarray:
    """Numbers of the components by area; of equally large ones the upper, then the left one first."""
    left, top, area = (stats[1:, column] for column in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_AREA))
    return 1 + np.lexsort((left, top, -area))


def _edges(stats: np.ndarray) -> Xyxy:
    x, y, width, height = (
        float(stats[i]) for i in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)
    )
    return x, y, x + width, y + height
