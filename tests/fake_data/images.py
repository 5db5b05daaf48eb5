"""Tiny images of random pixels, the same each time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, image_hw: tuple[int, int] = (30, 40)) -> Path:
    """Write an image, its folders included, and return its path."""
    seed = int.from_bytes(os.fsencode(path.name)[:8].ljust(8), "big")
    pixels = np.random.default_rng(seed).integers(0, 256, (*image_hw, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
