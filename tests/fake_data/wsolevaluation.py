"""Folders of tables as clovaai/wsolevaluation publishes them, with images and masks if a test needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Corners = tuple[float, float, float, float]


def write_boxes(
    folder: Path,
    labels: Mapping[str, int],
    boxes: Mapping[str, Sequence[Corners]],
    image_hw: tuple[int, int] = (30, 40),
) -> None:
    """The four tables of a split with boxes."""
    _write(folder / "image_ids.txt", list(labels))
    _write(folder / "class_labels.txt", [f"{path},{label}" for path, label in labels.items()])
    rows = [f"{path},{x0:g},{y0:g},{x1:g},{y1:g}" for path, found in boxes.items() for x0, y0, x1, y1 in found]
    _write(folder / "localization.txt", rows)
    _write(folder / "image_sizes.txt", [f"{path},{image_hw[1]},{image_hw[0]}" for path in labels])


def write_masks(folder: Path, labels: Mapping[str, int], masks: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """The three tables of a split with masks: for each image (mask, ignored or nothing)."""
    _write(folder / "image_ids.txt", list(labels))
    _write(folder / "class_labels.txt", [f"{path},{label}" for path, label in labels.items()])
    rows = [f"{path},{mask},{ignored}" for path, found in masks.items() for mask, ignored in found]
    _write(folder / "localization.txt", rows)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """A PNG as OpenImages publishes them: 1 bit, white is the object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def write_large_list(folder: Path, images: int = 50_000, boxes: int = 80_477) -> None:
    """Tables of the size of ImageNet's validation set, without images: one box per image, the others at
    random."""
    rng = np.random.default_rng(0)
    names = [f"val/ILSVRC2012_val_{number:08}.JPEG" for number in range(1, images + 1)]
    owners = np.sort(np.concatenate([np.arange(images), rng.integers(0, images, boxes - images)]))
    low = rng.integers(0, (400, 300), (boxes, 2))
    high = low + rng.integers(1, (100, 75), (boxes, 2))
    rows = np.hstack([low, high]).tolist()
    _write(folder / "image_ids.txt", names)
    _write(folder / "class_labels.txt", [f"{name},{number % 1000}" for number, name in enumerate(names)])
    _write(folder / "image_sizes.txt", [f"{name},500,375" for name in names])
    _write(
        folder / "localization.txt",
        [f"{names[i]},{x0},{y0},{x1},{y1}" for i, (x0, y0, x1, y1) in zip(owners.tolist(), rows, strict=True)],
    )


def _write(table: Path, lines: list[str]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("\n".join(lines), encoding="utf-8")  # the published tables have no newline at their end
