"""Write a set of surfaces as class folders: `good`, and one for each kind of defect; masks and boxes beside them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from wsol.demo.drawing.write import SPLITS, write_image, write_mask
from wsol.demo.surfaces.defects import DEFECTS, defect
from wsol.demo.surfaces.textures import TEXTURES, surface
from wsol.geometry.boxes import tight_box

GOOD = "good"
"""The class of images without a defect."""


def write_surface_set(
    root: Path,
    *,
    textures: Sequence[str] = tuple(TEXTURES),
    train_per_class: int = 30,
    test_per_class: int = 10,
    good: int | None = None,
    image_hw: tuple[int, int] = (360, 480),
    areas: tuple[float, float] = (0.002, 0.02),
    contrast: float = 0.25,
    seed: int = 0,
) -> None:
    """Write `{train,test}/CLASS/0000.jpg` for `good` and each kind of defect, `masks/` for the defects, `boxes.csv`.

    Each image has its own seed, so it does not depend on the number of images.

    Args:
        root: an existing folder.
        textures: kinds of surfaces, which take turns.
        train_per_class: training images of each class.
        test_per_class: test images of each class.
        good: images without a defect in each split; as many as of the other classes together by default.
        image_hw: (height, width) of the images in pixels.
        areas: smallest and largest area of a defect as fractions of the image; the logarithm is uniform.
        contrast: change of the grey value inside a defect, whose range is 1.
        seed: seed of all images.
    """
    rows: list[tuple[str | int, ...]] = []
    for split, (split_name, count) in enumerate(zip(SPLITS, (train_per_class, test_per_class), strict=True)):
        good_count = count * len(DEFECTS) if good is None else good
        for label, kind in enumerate((GOOD, *DEFECTS)):
            for i in range(good_count if kind == GOOD else count):
                random = np.random.default_rng([seed, split, label, i])
                image, mask = _draw(textures[i % len(textures)], kind, random, image_hw, areas, contrast)
                path = f"{split_name}/{kind}/{i:04d}.jpg"
                write_image(root / path, image)
                box = tight_box(mask)
                if box is not None:
                    write_mask((root / "masks" / path).with_suffix(".png"), mask)
                    rows.append((path, *(int(edge) for edge in box)))
    with (root / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "x0", "y0", "x1", "y1"), *rows])


def _draw(
    texture: str,
    kind: str,
    random: np.random.Generator,
    image_hw: tuple[int, int],
    areas: tuple[float, float],
    contrast: float,
) -> tuple[UInt8[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """An image and the mask of its defect, empty for `good`."""
    grey, mask = surface(texture, random, image_hw), np.zeros(image_hw, bool)
    if kind != GOOD:
        found = defect(kind, random, image_hw, float(np.exp(random.uniform(*np.log(areas)))))
        grey, mask = grey + contrast * found.strength * found.change, found.mask
    tint = 1 + random.uniform(-0.06, 0.06, 3).astype(np.float32)
    pixels = grey[..., None] * tint + random.normal(0, 0.01, (*image_hw, 3)).astype(np.float32)
    return (pixels.clip(0, 1) * 255).astype(np.uint8), mask
