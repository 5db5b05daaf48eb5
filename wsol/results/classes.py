"""Ranked classes of any system: a CSV table, or what `wsol predict` wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsol.data.readers.csv_rows import listed
from wsol.errors import WsolError
from wsol.results.names import alike, matched_in
from wsol.results.rows import Table, read_predictions, read_table

EXPECTED = "path,first,second,... (classes, the best first) or path,class,probability (a line for each class)"


@dataclass(frozen=True)
class ClassResults:
    """The labels of each image, the best first; those of `unknown` begin after the last of the ground truth's."""

    by_id: dict[str, tuple[int, ...]]
    unknown: tuple[str, ...]
    """Classes that the ground truth does not have."""


def read_classes(file: Path, image_ids: Sequence[str], class_names: tuple[str, ...]) -> ClassResults:
    """What the file names each image, from a table (.csv) or `wsol predict`'s result.

    A cell is a class name or a label (0 is the first class). Where a class is itself called by a number, every cell is
    a name. A ground truth of few images lacks some of a system's classes; one that shares few classes with the file is another
    vocabulary.

    Raises:
        WsolError: another kind of file, a bad row, classes of another vocabulary, or names of none of the images.
    """
    if not file.exists():
        raise WsolError(f"{file} does not exist", expected="a file of classes", remedy="Check the path.")
    labels = _Labels(class_names)
    suffix = file.suffix.lower()
    if file.is_dir() or suffix == ".jsonl":
        found = _from_predictions(file, labels)
    elif suffix == ".csv":
        found = _from_table(file, read_table(file), labels)
    else:
        raise WsolError(
            f"{file} is no file of classes by its name",
            expected=f"a table {EXPECTED} (.csv), or what `wsol predict` wrote (.jsonl)",
            remedy="Rename or convert it.",
        )
    labels.check_vocabulary()
    by_name = matched_in(file, found, image_ids)
    # An image that was predicted without a class (a run without a classifier) is as good as missing.
    by_id = {image_id: found[name] for name, image_id in by_name.items() if found[name]}
    return ClassResults(by_id, tuple(labels.unknown))


class _Labels:
    """Classes by name or number."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.by_name = {name: label for label, name in enumerate(class_names)}
        # Of the classes "1" to "200", a cell "0" must not be the first and a cell "1" the first again.
        self.are_numbers = not any(_is_number(name) for name in class_names)
        self.named: set[int] = set()
        self.unknown: dict[str, str] = {}
        """Classes that are not the ground truth's, and where each stands first; they get the labels after its own."""

    def ranked(self, cells: Sequence[str], where: str) -> tuple[int, ...]:
        """Their labels in this order.

        Raises:
            WsolError: no class, or one that stands there twice.
        """
        labels = tuple(self._label(cell, where) for cell in cells)
        if len(set(labels)) < len(labels):
            raise WsolError(
                f"{where}", expected="each class once", got=f"{listed(cells, ', ')}", remedy="Fix the line."
            )
        return labels

    def check_vocabulary(self) -> None:
        """Refuse classes of another ground truth: less than half of what either side has is common to both.

        Raises:
            WsolError: with the first class that is not the ground truth's.
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
            # Counted from 1, or in the order of more classes: the others would be wrong too.
            raise self._no_class(cell, where)
        else:
            label = self.by_name[cell] = len(self.by_name)
            self.unknown[cell] = where
        self.named.add(label)
        return label

    def _no_class(self, cell: str, where: str) -> WsolError:
        last = len(self.class_names) - 1
        either = f", or a label from 0 to {last}" if self.are_numbers else ""
        near = " or ".join(map(repr, alike(cell, self.class_names)))
        hint = f" Did you mean {near}?" if near else " Write the class as the ground truth has it."
        return WsolError(
            f"{where}: {cell!r} is no class: expected one of the ground truth's {len(self.class_names)}"
            f" ({', '.join(self.class_names[:3])}, ...){either}.{hint}"
        )


def _is_number(cell: str) -> bool:
    # More digits than Python turns into a number are no label either.
    return cell.isascii() and cell.isdigit() and len(cell) < 10


def _from_predictions(file: Path, labels: _Labels) -> dict[str, tuple[int, ...]]:
    return {one.image: labels.ranked([name for name, _ in one.top5], where) for where, one in read_predictions(file)}


def _from_table(file: Path, table: Table, labels: _Labels) -> dict[str, tuple[int, ...]]:
    columns = table.columns
    if columns[0] != "path" or len(columns) < 2:
        raise WsolError(
            f"{file} has the columns {listed(columns)}", expected=f"{EXPECTED}", remedy="Rename or add columns."
        )
    if {"class", "probability"} <= {*columns}:
        return _long(table, labels)
    # Labels would be read from the cells of such a table, where corners and scores happen to be whole numbers.
    if "x0" in columns or ("class" in columns and len(columns) > 2):
        raise WsolError(
            f"{file} has the columns {listed(columns)}", expected=f"{EXPECTED}", remedy="Rename or remove columns."
        )
    return _wide(table, labels)


def _wide(table: Table, labels: _Labels) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for where, (path, *cells) in table.rows:
        while cells and not cells[-1]:  # fewer classes than columns
            cells.pop()
        if path in found:
            raise WsolError(f"{where}", expected="each image once", got=f"{path!r} again", remedy="Remove one line.")
        found[path] = labels.ranked(cells, where)
    return found


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
        raise WsolError(f"{where}", expected="a probability", got=f"{cell!r}", remedy="Fix the line.")
    return probability
