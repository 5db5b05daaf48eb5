"""Convert annotated boxes, predicted boxes and maps to the geometry of a protocol."""

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
"""The margin of the crop on each side, as a fraction of the resized image's width."""


def boxes_in(geometry: Geometry, boxes: Boxes, image_hw: tuple[int, int]) -> Boxes:
    """Convert boxes of an upright image to a protocol's geometry; boxes completely outside are dropped.

    Args:
        geometry: of the protocol.
        boxes: in pixels of the upright image.
        image_hw: upright (height, width), in pixels.
    """
    return _BOXES[geometry](boxes, image_hw)


def map_in(geometry: Geometry, heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    """Convert a map of the whole image to a protocol's geometry.

    Args:
        geometry: of the protocol.
        heatmap: scores before thresholding.
        image_hw: upright (height, width), in pixels; only needed for the geometry `image`.

    Returns:
        The map, values in [0, 1].
    """
    converted: Map = _MAPS[geometry](heatmap, image_hw)
    return converted


def map_of_crop(heatmap: Map) -> Map:
    """A network's map of the crop, in the geometry `crop`."""
    return resized(fraction_map(heatmap), (CROP_PX, CROP_PX))


def fraction_map(heatmap: Map) -> Float32[np.ndarray, "_ _"]:
    """The map unchanged if its values are in [0, 1], else scaled to [0, 1]; values that are not finite become 0."""
    finite = np.nan_to_num(heatmap.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    return finite if finite.min() >= 0 and finite.max() <= 1 else normalised(finite)


def normalised(heatmap: Map) -> Map:
    """Scale the lowest to the highest value to [0, 1]; zeros for a constant map or one with NaN, as wsolevaluation."""
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
    # Multiplied, then divided, in double precision, as in wsolevaluation: 223.99999 becomes 223.
    return Boxes(np.trunc(_scaled(boxes, image_hw, SQUARE_PX)))


def _map_in_image(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    assert image_hw is not None
    return resized(fraction_map(heatmap), image_hw)


def _map_in_crop(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    whole = resized(fraction_map(heatmap), (RESIZED_PX, RESIZED_PX))
    return whole[MARGIN_PX : MARGIN_PX + CROP_PX, MARGIN_PX : MARGIN_PX + CROP_PX]


def _map_in_square(heatmap: Map, image_hw: tuple[int, int] | None) -> Map:
    # wsolevaluation uses maps of this size with values in [0, 1] unchanged, also constant ones, and normalises only
    # those that it resizes.
    if heatmap.shape == (SQUARE_PX, SQUARE_PX) and heatmap.min() >= 0 and heatmap.max() <= 1:
        return heatmap
    # Checked before resizing, which is not exact: a constant map would become amplified rounding errors.
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
