"""CUB-200-2011 as published (Wah et al. 2011)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from wsol.boxes import Boxes
from wsol.data.samples import DataSet, Sample, Truth
from wsol.errors import BrokenPicture, WsolError
from wsol.images import image_hw

TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def is_cub(root: Path) -> bool:
    """Whether a folder carries CUB's tables."""
    return all((root / name).is_file() for name in TABLES)


def read(root: Path) -> DataSet:
    """Read the official split; boxes stay unread until they are asked for.

    Raises:
        WsolError: a table is malformed, or the tables do not fit together.
    """
    class_rows = _table(root / "classes.txt", 2)
    labels = {number: label for label, number in enumerate(class_rows)}
    image_rows = _table(root / "images.txt", 2)
    class_of = _table(root / "image_class_labels.txt", 2)
    is_train = _table(root / "train_test_split.txt", 2)
    split: dict[bool, list[Sample]] = {True: [], False: []}
    for number, (name,) in image_rows.items():
        try:
            label, in_train = labels[class_of[number][0]], is_train[number][0] == "1"
        except KeyError as missing:
            raise WsolError(
                f"{root}: picture {number} ({name}) has no class or split (missing {missing}): expected every id of images.txt in {', '.join(TABLES[1:3])}. Restore the published tables."
            ) from None
        split[in_train].append(Sample(name, root / "images" / name, label))
    names = tuple(row[0] for row in class_rows.values())
    train, test = tuple(split[True]), tuple(split[False])
    if not train:
        raise WsolError(
            f"no training pictures in {root / 'train_test_split.txt'}: expected lines `<image id> 1`. Restore the published table."
        )
    return DataSet(
        "CUB-200-2011", root, names, train, test, True, lambda: _read_truth(root, image_rows, (*train, *test))
    )


def _read_truth(root: Path, image_rows: dict[str, list[str]], samples: Iterable[Sample]) -> Mapping[str, Truth]:
    rows = _table(root / "bounding_boxes.txt", 5)
    paths = {sample.image_id: sample.path for sample in samples}
    truth = {}
    for number, (name,) in image_rows.items():
        try:
            x, y, width, height = (float(value) for value in rows[number])
        except (KeyError, ValueError):
            raise WsolError(
                f"{root / 'bounding_boxes.txt'}: expected `{number} x y width height` for {name}, got {rows.get(number)}. Restore the published table."
            ) from None
        if not (np.isfinite([x, y, width, height]).all() and width > 0 and height > 0):
            raise WsolError(
                f"{root / 'bounding_boxes.txt'}: expected a positive width and height for picture {number}, got {width} and {height}. Restore the published table."
            )
        try:
            # 1-based in spirit, yet the published boxes start at 0.0 and end on the last edge: clipping is all it takes.
            truth[name] = Truth(Boxes.of([(x, y, x + width, y + height)]).clipped(image_hw(paths[name])))
        except BrokenPicture:
            continue
    return truth


def _table(path: Path, columns: int) -> dict[str, list[str]]:
    """`<id> <value> ...` by id, in the file's order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise WsolError(f"{path} is not text ({error}): expected UTF-8. Restore the published table.") from None
    except FileNotFoundError:
        raise WsolError(
            f"no {path.name} in {path.parent}: expected CUB-200-2011 as published. Restore that file."
        ) from None
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = line.split(maxsplit=columns - 1)
        if len(parts) != columns:
            raise WsolError(
                f"{path}, line {number}: expected {columns} columns, got {line!r}. Restore the published table."
            )
        rows[parts[0]] = parts[1:]
    return rows
