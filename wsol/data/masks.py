"""Ground-truth masks at a requested size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from wsol.data.ground_truth import GroundTruthMask
from wsol.data.images import image_hw as upright_hw
from wsol.data.images import read_mask
from wsol.errors import BrokenImage


def nearest(mask: Bool[np.ndarray, "height width"], image_hw: tuple[int, int]) -> Bool[np.ndarray, "height2 width2"]:
    """Resize a mask to (height, width) with nearest-neighbour interpolation."""
    if mask.shape == image_hw:
        return mask
    resized = cv2.resize(mask.astype(np.uint8), image_hw[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=bool)


def read_png_mask(mask: Path, image: Path, image_hw: tuple[int, int]) -> GroundTruthMask:
    """Read the mask file of an image; every value except 0 is object, no pixel is ignored.

    Args:
        mask: the mask file.
        image: the image file.
        image_hw: (height, width) of the result.

    Raises:
        BrokenImage: the mask or its image cannot be decoded, or their upright sizes differ.
    """
    is_object, own_hw = read_mask(mask), upright_hw(image)
    if is_object.shape != own_hw:
        raise BrokenImage(
            f"{mask} has (height, width) {is_object.shape}",
            expected=f"{own_hw}, the upright size of {image}",
            remedy="Resize the mask, or remove it.",
        )
    is_object = nearest(is_object, image_hw)
    return GroundTruthMask(is_object, np.zeros_like(is_object))
