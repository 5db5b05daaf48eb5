"""Ground-truth masks at the size that somebody asks for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from wsol.data.ground_truth import TrueMask
from wsol.data.images import image_hw as upright_hw
from wsol.data.images import read_mask
from wsol.errors import BrokenImage


def nearest(mask: Bool[np.ndarray, "height width"], image_hw: tuple[int, int]) -> Bool[np.ndarray, "height2 width2"]:
    """A mask at another (height, width), nearest neighbour."""
    if mask.shape == image_hw:
        return mask
    resized = cv2.resize(mask.astype(np.uint8), image_hw[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=bool)


def read_png_mask(mask: Path, image: Path, image_hw: tuple[int, int]) -> TrueMask:
    """The mask file of an image at `image_hw`; every pixel counts, and every value but 0 is object.

    Raises:
        BrokenImage: the mask or its image cannot be decoded, or the mask has not the upright size of its image.
    """
    is_object, own_hw = read_mask(mask), upright_hw(image)
    if is_object.shape != own_hw:
        raise BrokenImage(
            f"{mask} has (height, width) {is_object.shape}",
            expected=f"{own_hw}, the upright size of {image}",
            remedy="Resize the mask, or remove it.",
        )
    is_object = nearest(is_object, image_hw)
    return TrueMask(is_object, np.zeros_like(is_object))
