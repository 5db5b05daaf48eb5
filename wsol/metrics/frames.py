"""Where a protocol looks: annotated boxes, found boxes and maps, brought into its geometry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32

from wsol.geometry.boxes import Boxes
from wsol.geometry.objects import resized
from wsol.metrics.protocols import Geometry

Map = Float[np.ndarray, "_ _"]

SQUARE_PX, RESIZED_PX, CROP_PX = 224, 256, 224
MARGIN_PX = (RESIZED_PX - CROP_PX) // 2
CROP_MARGIN_FRACTION = MARGIN_PX / RESIZED_PX
"""How much of a squashed image's side the crop leaves out at each end."""


def boxes_in(geometry: Geometry, boxes: Boxes, image_hw: tuple[int, int]) -> Boxes:
    """Boxes of an upright image in a protocol's geometry; those wholly outside it are dropped."""
    return _BOXES[geometry](boxes, image_hw)


def map_in(geometry: Geometry, heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    """A map of the whole image in a protocol's geometry, values in [0, 1]; only `image` needs the image's size."""
    found: Map = _MAPS[geometry](heatmap, image_hw)
    return found


def map_of_crop(heatmap: Map) -> Map:
    """A map that a network made of the crop alone, in the geometry `crop`."""
    return resized(fraction_map(heatmap), (CROP_PX, CROP_PX))


def fraction_map(heatmap: Map) -> Float32[np.ndarray, "_ _"]:
    """Values in [0, 1] as they are; any others from the lowest to the highest. What is not finite counts as 0."""
    finite = np.nan_to_num(heatmap.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    return finite if finite.min() >= 0 and finite.max() <= 1 else normalised(finite)


def normalised(heatmap: Map) -> Map:
    """From the lowest value to the highest, as [0, 1]; zeros for a constant map and one that holds a NaN
    (wsolevaluation).
    """
    if not np.isfinite(heatmap).all() or heatmap.min() == heatmap.max():
        return np.zeros_like(heatmap)
    shifted = heatmap - heatmap.min()
    return np.asarray(shifted / shifted.max())


def _scaled(boxes: Boxes, image_hw: tuple[int, int], size_px: int) -> Float[np.ndarray, "n 4"]:
    height, width = image_hw
    return np.asarray(boxes.xyxy * size_px / np.array([width, height, width, height], dtype=float))


def _boxes_in_image(boxes: Boxes, image_hw: tuple[int, int]) -> Boxes:
    return boxes


def _boxes_in_crop(boxes: Boxes, image_hw: tuple[int, int]) -> Boxes:
    clipped = Boxes(_scaled(boxes, image_hw, RESIZED_PX) - MARGIN_PX).clipped((CROP_PX, CROP_PX))
    return Boxes(clipped.xyxy[clipped.areas() > 0])


def _boxes_in_square(boxes: Boxes, image_hw: tuple[int, int]) -> Boxes:
    # Multiplied first and divided then, in doubles, as in wsolevaluation: 223.99999 becomes 223.
    return Boxes(np.trunc(_scaled(boxes, image_hw, SQUARE_PX)))


def _map_in_image(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    assert image_hw is not None
    return resized(fraction_map(heatmap), image_hw)


def _map_in_crop(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    whole = resized(fraction_map(heatmap), (RESIZED_PX, RESIZED_PX))
    return whole[MARGIN_PX : MARGIN_PX + CROP_PX, MARGIN_PX : MARGIN_PX + CROP_PX]


def _map_in_square(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    # wsolevaluation takes maps of this size in [0, 1] as they are, constant ones too, and normalises only those that it
    # resizes.
    if heatmap.shape == (SQUARE_PX, SQUARE_PX) and heatmap.min() >= 0 and heatmap.max() <= 1:
        return heatmap
    # Looked at before resizing, which is not exact: a constant map would come out as stretched rounding errors.
    if not np.isfinite(heatmap).all() or heatmap.min() == heatmap.max():
        return np.zeros((SQUARE_PX, SQUARE_PX), dtype=heatmap.dtype)
    return normalised(np.asarray(cv2.resize(heatmap, (SQUARE_PX, SQUARE_PX), interpolation=cv2.INTER_CUBIC)))


_BOXES: dict[Geometry, Callable[[Boxes, tuple[int, int]], Boxes]] = {
    "image": _boxes_in_image,
    "crop": _boxes_in_crop,
    "square": _boxes_in_square,
}
_MAPS: dict[Geometry, Callable[[Any, tuple[int, int] | None], Any]] = {
    "image": _map_in_image,
    "crop": _map_in_crop,
    "square": _map_in_square,
}
