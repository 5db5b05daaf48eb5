"""Class folders: `root/<class>/**/*.jpg`, or the same below `root/train` and `root/test`.

Truth, where there is one, stands beside the classes: `boxes.csv` with the columns path, x0, y0, x1, y1 (0-based, half-open
pixels of the upright picture, several lines a picture allowed) and `masks/<path>.png` (0 is background).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wsol.boxes import Boxes, Xyxy, tight_box
from wsol.data.samples import DataSet, Sample, Truth
from wsol.errors import BrokenPicture, WsolError
from wsol.images import image_hw, pictures_under, read_mask

COLUMNS = ("path", "x0", "y0", "x1", "y1")
TEST_NAMES = ("test", "val", "valid", "validation")
LAYOUT = "DATA/<class>/*.jpg or DATA/train/<class>/*.jpg with DATA/test/<class>/*.jpg"


def read(root: Path) -> DataSet:
    """Read a tree of class folders; a split is taken where `train` and `test` (or `val`) exist.

    Raises:
        WsolError: no pictures below class folders.
    """
    tests = [name for name in TEST_NAMES if (root / name).is_dir()]
    if _is_split(root):
        class_names = _class_names(root / "train")
        train = _samples(root, root / "train", class_names)
        test = _samples(root, root / tests[0], class_names) if tests else train
    else:
        class_names = _class_names(root)
        train = test = _samples(root, root, class_names)
    if not train:
        raise WsolError(
            f"no pictures in {root}: expected {LAYOUT}, or CUB-200-2011 as published. Name the folder that holds the class folders."
        )
    return DataSet("class folders", root, class_names, train, test, train is not test, lambda: _read_truth(root, test))


def _is_split(root: Path) -> bool:
    """Whether `train` holds classes: a test folder stands beside it, or nothing does. A class of trains holds pictures."""
    names = {child.name for child in _folders(root)}
    if "train" not in names:
        return False
    has_classes, has_test = bool(_folders(root / "train")), bool(names & set(TEST_NAMES))
    is_alone = names <= {"train", "masks", *TEST_NAMES}
    return (has_classes and has_test) or (is_alone and (has_classes or has_test))


def _folders(folder: Path) -> list[Path]:
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and not child.name.startswith(".")]


def _class_names(folder: Path) -> tuple[str, ...]:
    children = _folders(folder)
    names = {child.name for child in children}
    return tuple(child.name for child in children if not _is_truth(child, names))


def _is_truth(child: Path, siblings: set[str]) -> bool:
    # A class may be called "masks"; a folder of truth repeats its siblings' names.
    below = {folder.name for folder in child.iterdir() if folder.is_dir()} if child.name == "masks" else set()
    return bool(below) and below <= siblings


def _samples(root: Path, folder: Path, class_names: tuple[str, ...]) -> tuple[Sample, ...]:
    unknown = {child.name for child in _folders(folder)} - set(class_names) - {"masks"}
    if unknown and folder != root:
        raise WsolError(
            f"{folder} has classes that {root / 'train'} has not: {', '.join(sorted(unknown)[:5])}. Expected the same class folders in both; rename or remove them."
        )
    return tuple(
        Sample(path.relative_to(root).as_posix(), path, label)
        for label, name in enumerate(class_names)
        if (folder / name).is_dir()
        for path in pictures_under(folder / name)
    )


def _read_truth(root: Path, samples: tuple[Sample, ...]) -> Mapping[str, Truth]:
    masks = {s.image_id: root / "masks" / Path(s.image_id).with_suffix(".png") for s in samples}
    masks = {image_id: path for image_id, path in masks.items() if path.exists()}
    if (root / "boxes.csv").exists():
        boxes = _read_boxes(root / "boxes.csv", {s.image_id: s.path for s in samples})
    elif masks:
        boxes = {image_id: _box_of(path) for image_id, path in masks.items()}
    else:
        raise WsolError(
            f"no boxes to compare with in {root}: expected boxes.csv (path,x0,y0,x1,y1) or masks/<path>.png. Write one of them, or use `wsol predict` for boxes without a judgement."
        )
    return {image_id: Truth(found, masks.get(image_id)) for image_id, found in boxes.items()}


def _box_of(mask: Path) -> Boxes:
    box = tight_box(read_mask(mask))
    if box is None:
        raise WsolError(f"{mask} is empty: expected at least one pixel of the object. Draw it, or remove the file.")
    return Boxes.of([box])


def _read_boxes(table: Path, paths: dict[str, Path]) -> dict[str, Boxes]:
    rows: dict[str, list[Xyxy]] = defaultdict(list)
    sizes: dict[str, tuple[int, int] | None] = {}
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not UTF-8 ({error}): expected text with {', '.join(COLUMNS)}. Save it as UTF-8."
        ) from None
    reader = csv.DictReader(lines)
    if reader.fieldnames is None or set(COLUMNS) - set(reader.fieldnames):
        raise WsolError(
            f"{table} has the columns {reader.fieldnames}: expected {', '.join(COLUMNS)}. Rename or add them."
        )
    for number, row in enumerate(reader, start=2):
        image_id = row["path"]
        if image_id not in paths:
            continue
        if image_id not in sizes:
            sizes[image_id] = _size(paths[image_id])
        size = sizes[image_id]
        if size is not None:
            rows[image_id].append(_box_of_row(row, size, f"{table}, line {number}"))
    return {image_id: Boxes.of(boxes) for image_id, boxes in rows.items()}


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return image_hw(path)
    except BrokenPicture:  # what cannot be decoded is not judged; the judge lists it
        return None


def _box_of_row(row: dict[str, str], size: tuple[int, int], where: str) -> Xyxy:
    try:
        x0, y0, x1, y1 = (float(row[name]) for name in COLUMNS[1:])
    except (TypeError, ValueError):
        raise WsolError(f"{where}: expected four numbers, got {row}. Mend the line.") from None
    if not (np.isfinite([x0, y0, x1, y1]).all() and x0 < x1 and y0 < y1):
        raise WsolError(
            f"{where}: expected x0 < x1 and y0 < y1, got {x0},{y0},{x1},{y1}; swapped corners or xywh? Mend the line."
        )
    height, width = size
    clipped = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise WsolError(
            f"{where}: expected a box in a picture of {width} x {height}, got {x0},{y0},{x1},{y1}, which is outside. Mend the line."
        )
    return clipped
