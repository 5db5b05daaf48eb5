"""CUB-200-2011 as published (Wah et al. 2011)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wsol.data.ground_truth import Collector, GroundTruth
from wsol.data.image_files import ImageSizes
from wsol.data.samples import DataSet, Sample
from wsol.data.untrusted import is_path, short_repr
from wsol.errors import NoGroundTruth, WsolError
from wsol.geometry.boxes import Xyxy

TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def recognise(root: Path) -> bool:
    """Whether a folder holds CUB's tables."""
    return all((root / name).is_file() for name in TABLES)


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read the official split; boxes are read later.

    Args:
        root: the folder of the published tables.
        images: the folder of the class folders; if None, `root/images`.

    Raises:
        WsolError: a table is malformed, or the tables are inconsistent.
    """
    folder = root / "images" if images is None else images
    class_rows = _table(root / "classes.txt", 2)
    labels = {number: label for label, number in enumerate(class_rows)}
    names = {number: name for number, (name,) in _table(root / "images.txt", 2).items()}
    class_of = _table(root / "image_class_labels.txt", 2)
    is_train = _table(root / "train_test_split.txt", 2)
    split: dict[bool, list[Sample]] = {True: [], False: []}
    for number, name in names.items():
        if not is_path(name):
            raise WsolError(
                f"{root / 'images.txt'}",
                expected="the path of an image",
                got=short_repr(name),
                remedy="Restore the published tables.",
            )
        try:
            label, in_train = labels[class_of[number][0]], is_train[number][0] == "1"
        except KeyError as missing:
            raise WsolError(
                f"{root}: image {number} ({name}) has no class or split (missing {missing})",
                expected=f"every id of images.txt in {', '.join(TABLES[1:3])}",
                remedy="Restore the published tables.",
            ) from None
        split[in_train].append(Sample(name, folder / name, label))
    class_names = tuple(row[0] for row in class_rows.values())
    train, test = tuple(split[True]), tuple(split[False])
    return DataSet("CUB-200-2011", root, class_names, train, test, True, lambda: _read_truth(root, folder, names))


def _read_truth(root: Path, folder: Path, names: Mapping[str, str]) -> GroundTruth:
    table = root / "bounding_boxes.txt"
    rows = _table(table, 5)
    collector = Collector()
    sizes = ImageSizes(collector)
    for number, name in names.items():
        if number not in rows:
            collector.note("no true box", str(table), f"expected a line for image {number} ({name}), got none")
    for number, row in rows.items():
        where = f"{table}, image {number}"
        corners = _corners(number, row, table)
        if number not in names:
            collector.note("unknown image", where, f"expected an id of images.txt, got {number}")
        elif size := sizes(folder / names[number]):
            # Documented as 1-based, but the published boxes start at 0.0 and end at the last edge, so they are only
            # clipped.
            collector.add(names[number], corners, size, where)
    return collector.ground_truth()


def _corners(number: str, row: list[str], table: Path) -> Xyxy:
    try:
        x, y, width, height = (float(value) for value in row)
    except ValueError:
        raise WsolError(
            str(table),
            expected=f"`{number} x y width height`",
            got=short_repr(" ".join((number, *row))),
            remedy="Restore the published table.",
        ) from None
    return x, y, x + width, y + height


def _table(path: Path, columns: int) -> dict[str, list[str]]:
    """`<id> <value> ...` by id, in the file's order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{path} is not text ({error})", expected="UTF-8", remedy="Restore the published table."
        ) from None
    except FileNotFoundError:
        raise NoGroundTruth(
            f"no {path.name} in {path.parent}", expected="CUB-200-2011 as published", remedy="Restore that file."
        ) from None
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = line.split(maxsplit=columns - 1)
        if len(parts) != columns:
            raise WsolError(
                f"{path}, line {number}",
                expected=f"{columns} columns",
                got=short_repr(line),
                remedy="Restore the published table.",
            )
        rows[parts[0]] = parts[1:]
    return rows
