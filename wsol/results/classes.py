"""Ranked classes of any system: a CSV table, or predictions of `wsol predict`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsol.data.readers.csv_rows import column_list
from wsol.errors import WsolError
from wsol.results.names import matched_in, similar_names
from wsol.results.rows import Table, read_predictions, read_table

EXPECTED = "path,first,second,... (classes, the best first) or path,class,probability (one line per class)"


@dataclass(frozen=True)
class ClassResults:
    """The labels of each image, the best first; labels of `unknown` classes follow those of the ground truth."""

    by_id: dict[str, tuple[int, ...]]
    unknown: tuple[str, ...]
    """Classes that are not in the ground truth."""


def read_classes(file: Path, image_ids: Sequence[str], class_names: tuple[str, ...]) -> ClassResults:
    """Read the ranked classes of images from a table (.csv) or predictions of `wsol predict`.

    A cell is a class name or a label (0 is the first class). If a class name is itself a number, every cell is read as
    a name. The file may have classes that a small ground truth lacks; if few classes are common, it is refused as
    another vocabulary.

    Args:
        file: the table, the folder of predictions, or predictions.jsonl.
        image_ids: the requested images.
        class_names: the classes of the ground truth, by label.

    Raises:
        WsolError: another kind of file, a bad row, classes of another vocabulary, or no requested image.
    """
    if not file.exists():
        raise WsolError(f"{file} does not exist", expected="a file of classes", remedy="Check the path.")
    labels = _Labels(class_names)
    suffix = file.suffix.lower()
    if file.is_dir() or suffix == ".jsonl":
        by_name = _from_predictions(file, labels)
    elif suffix == ".csv":
        by_name = _from_table(file, read_table(file), labels)
    else:
        raise WsolError(
            f"{file} has no suffix of a file of classes",
            expected=f"a table {EXPECTED} (.csv), or output of `wsol predict` (.jsonl)",
            remedy="Rename or convert it.",
        )
    labels.check_vocabulary()
    id_of = matched_in(file, by_name, image_ids)
    # An image that was predicted without a class (a run without a classifier) counts as missing.
    by_id = {image_id: by_name[name] for name, image_id in id_of.items() if by_name[name]}
    return ClassResults(by_id, tuple(labels.unknown))


class _Labels:
    """Classes by name or number."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.by_name = {name: label for label, name in enumerate(class_names)}
        # With classes "1" to "200", the cells "0" and "1" must not both mean the first class.
        self.are_numbers = not any(_is_number(name) for name in class_names)
        self.named: set[int] = set()
        self.unknown: dict[str, str] = {}
        """Classes that are not in the ground truth, with their first line; their labels follow the known ones."""

    def ranked(self, cells: Sequence[str], where: str) -> tuple[int, ...]:
        """The labels of class names or numbers, in the same order.

        Raises:
            WsolError: not a class, or a class that occurs twice.
        """
        labels = tuple(self._label(cell, where) for cell in cells)
        if len(set(labels)) < len(labels):
            raise WsolError(where, expected="each class once", got=column_list(cells, ", "), remedy="Fix the line.")
        return labels

    def check_vocabulary(self) -> None:
        """Refuse another vocabulary: less than half of the classes of the file, and of the ground truth, are common.

        Raises:
            WsolError: with the first class that is not in the ground truth.
        """
        n_common = len(self.named) - len(self.unknown)
        if self.unknown and 2 * n_common < min(len(self.class_names), len(self.named)):
            raise self._no_class(*next(iter(self.unknown.items())))

    def _label(self, cell: str, where: str) -> int:
        if cell in self.by_name:
            label = self.by_name[cell]
        elif self.are_numbers and _is_number(cell) and int(cell) < len(self.class_names):
            label = int(cell)
        elif not cell or _is_number(cell):
            # Labels that count from 1, or of another list of classes: the other labels would be wrong too.
            raise self._no_class(cell, where)
        else:
            label = self.by_name[cell] = len(self.by_name)
            self.unknown[cell] = where
        self.named.add(label)
        return label

    def _no_class(self, cell: str, where: str) -> WsolError:
        last = len(self.class_names) - 1
        either = f", or a label from 0 to {last}" if self.are_numbers else ""
        near = " or ".join(map(repr, similar_names(cell, self.class_names)))
        first = ", ".join(self.class_names[:3])
        return WsolError(
            f"{where}: {cell!r} is not a class",
            expected=f"one of the {len(self.class_names)} of the ground truth ({first}, ...){either}",
            remedy=f"Did you mean {near}?" if near else "Write the class as in the ground truth.",
        )


def _is_number(cell: str) -> bool:
    # A number too long for Python's int() is not a label either.
    return cell.isascii() and cell.isdigit() and len(cell) < 10


def _from_predictions(file: Path, labels: _Labels) -> dict[str, tuple[int, ...]]:
    return {one.image: labels.ranked([name for name, _ in one.top5], where) for where, one in read_predictions(file)}


def _from_table(file: Path, table: Table, labels: _Labels) -> dict[str, tuple[int, ...]]:
    columns = table.columns
    if columns[0] != "path" or len(columns) < 2:
        raise WsolError(
            f"{file} has the columns {column_list(columns)}", expected=EXPECTED, remedy="Rename or add columns."
        )
    if {"class", "probability"} <= {*columns}:
        return _long(table, labels)
    # In such a table, corners and scores that are whole numbers would be read as labels.
    if "x0" in columns or ("class" in columns and len(columns) > 2):
        raise WsolError(
            f"{file} has the columns {column_list(columns)}", expected=EXPECTED, remedy="Rename or remove columns."
        )
    return _wide(table, labels)


def _wide(table: Table, labels: _Labels) -> dict[str, tuple[int, ...]]:
    by_name: dict[str, tuple[int, ...]] = {}
    for where, (path, *cells) in table.rows:
        while cells and not cells[-1]:  # fewer classes than columns
            cells.pop()
        if path in by_name:
            raise WsolError(where, expected="each image once", got=f"{path!r} again", remedy="Remove one line.")
        by_name[path] = labels.ranked(cells, where)
    return by_name


def _long(table: Table, labels: _Labels) -> dict[str, tuple[int, ...]]:
    scored: dict[str, list[tuple[float, str]]] = {}
    last: dict[str, str] = {}
    for where, cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        labels.ranked([row["class"]], where)
        scored.setdefault(row["path"], []).append((_probability(row["probability"], where), row["class"]))
        last[row["path"]] = where
    return {
        path: labels.ranked([name for _, name in sorted(some, key=lambda one: -one[0])], last[path])
        for path, some in scored.items()
    }


def _probability(cell: str, where: str) -> float:
    try:
        probability = float(cell)
    except ValueError:
        probability = math.nan
    if not math.isfinite(probability):
        raise WsolError(where, expected="a probability", got=f"{cell!r}", remedy="Fix the line.")
    return probability
