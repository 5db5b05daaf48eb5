"""The tables of a data set: one file, a usual name in a folder, one for each split, or `metadata` beside the images.

CSV with commas, semicolons or tabs, and JSON Lines (an object a line, as Hugging Face's imagefolder has them).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from wsol.data.image_files import CHECKED_NAMES
from wsol.data.images import is_image
from wsol.data.readers.csv_columns import ADVICE, OPTIONAL, OURS, Columns, Role, columns_of, path_of
from wsol.data.readers.csv_rows import MAX_COLUMNS, check_header, csv_rows, first_rows, header_of, is_misspelt
from wsol.data.readers.listed_images import find_images
from wsol.data.splits import SplitName, mentioned_split, split_of
from wsol.data.untrusted import is_number, is_path, short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special
from wsol.storage.litter import is_litter

Split = SplitName | Literal[""]

SUFFIXES, LINES, PARQUET = (".csv", ".tsv"), (".jsonl", ".ndjson"), ".parquet"
NAMES = ("labels", "annotations")
"""A folder with one of these is a table if its header suggests images; the images may be elsewhere."""
METADATA = "metadata"
BESIDE = (METADATA, "_classes")
"""Tables beside the images of each split: Hugging Face's, and Roboflow's with a column of 0 and 1 for each class."""
EXPORTED = "boxes.csv"
"""`wsol export --format csv` writes it; beside class folders it is their ground truth."""
FIRST = 200
"""Lines that are read to recognise a table."""


@dataclass(frozen=True)
class Table:
    """A table, and the columns that are used."""

    path: Path
    split: Split
    """The split of all its images, if the table is that of one split."""
    header: tuple[str, ...]
    columns: Columns

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The position of each line, and its cells by our names of the columns.

        Raises:
            WsolError: not a table, or columns missing.
        """
        required, advice = self._required(), ADVICE
        if any(is_path(name) and is_image(Path(name)) for name in self.header):
            advice = "The first line must be the names of the columns, such as `image,label`: add it."
        if self.path.suffix.lower() in LINES:
            header = self.columns.renamed(self.header)
            check_header(self.path, header, required, OPTIONAL, self.header, advice)
            for where, cells in _objects(self.path):
                yield where, dict(zip(header, (cells.get(name, "") for name in self.header), strict=True))
        else:
            yield from csv_rows(self.path, required, OPTIONAL, self.columns.renamed, advice)

    @property
    def has_boxes(self) -> bool:
        """Whether there are columns of corners."""
        return "x0" in self.columns.renamed(self.header)

    def _required(self) -> tuple[str, ...]:
        """The required columns: `label` is optional only if all other columns are known, else one may be the label."""
        header = self.columns.renamed(self.header)
        is_known = "path" in header and "label" not in header and OURS.issuperset(name for name in header if name)
        return ("path",) if self.columns.classes or is_known else ("path", "label")


def has_tables(root: Path) -> bool:
    """Whether this is a table, or a folder of one that lists images; must be fast."""
    if not root.is_dir():
        return root.suffix.lower() in (*SUFFIXES, *LINES, PARQUET)
    return bool(_files(root)) or bool(_parquet(root))


def tables_of(root: Path, chosen: Mapping[Role, str] | None = None) -> list[Table]:
    """The tables of a data set.

    Args:
        root: a table, or a folder with tables.
        chosen: the columns that the user names.

    Raises:
        WsolError: none, a file that cannot be read, or a chosen column that does not exist.
    """
    alone: list[tuple[Path, Split]] = [(root, "")]
    files = (_files(root) or (_only(root, is_sure=True) if chosen else [])) if root.is_dir() else alone
    if not files or files[0][0].suffix.lower() == PARQUET:
        raise _no_table(root, _parquet(root) if root.is_dir() else root)
    return [_table(path, split, chosen or {}) for path, split in files]


def table_in(root: Path) -> Path | None:
    """The only table of a folder, which may list anything; None if there is none or several."""
    return next((path for path, _ in _only(root, is_sure=True)), None) if root.is_dir() else None


def _table(path: Path, split: Split, chosen: Mapping[Role, str]) -> Table:
    if path.suffix.lower() in LINES:
        objects = list(_objects(path))
        header = list(dict.fromkeys(name for _, cells in objects for name in cells))
        rows = [[cells.get(name, "") for name in header] for _, cells in objects]
        return Table(path, split, tuple(header), columns_of(path, header, lambda: rows, chosen))
    header = header_of(path)
    return Table(path, split, tuple(header), columns_of(path, header, partial(_cells, path), chosen))


def _cells(path: Path, count: int | None = None) -> list[list[str]]:
    return first_rows(path, count)[1:]


def _no_table(root: Path, parquet: Path | None) -> WsolError:
    if parquet is not None:
        return WsolError(
            f"{parquet} is a Parquet file",
            expected=f"{METADATA}.csv or {METADATA}.jsonl, with the images as files",
            remedy=(
                "Write it as CSV: `pandas.read_parquet(FILE).to_csv('metadata.csv', index=False)`. Images inside it"
                " must be saved as files, and named in the column file_name."
            ),
        )
    return WsolError(
        f"{root} has no table of images",
        expected="labels.csv, train.csv, metadata.csv or another table of images and labels",
        remedy="Give the file itself.",
    )


# The tables in a folder


def _files(root: Path) -> list[tuple[Path, Split]]:
    """The tables of a folder with their splits; none if no table lists images."""
    found = [path for path in _tables_in(root) if path.stem in NAMES and path.suffix.lower() in SUFFIXES]
    if found and (len(found) > 1 or _suggests_a_path(found[0])):
        return [(found[0], "")] if len(found) == 1 else []
    return _of_splits(root) or _metadata(root) or _only(root) or _exported(root)


def _tables_in(folder: Path) -> list[Path]:
    suffixes = (*SUFFIXES, *LINES)
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not is_litter(path.name) and path.is_file()
    )


def _suggests_a_path(table: Path) -> bool:
    header = header_of(table)
    try:
        path = path_of(columns_of(table, header, lambda: [], {}).names)
    except WsolError:
        return True  # two columns could be the label
    if path is None:
        return any(is_misspelt(name, "path") for name in header)
    return path.lower() != "id" or _lists_images(table, None)  # there are ids of anything


def _of_splits(root: Path) -> list[tuple[Path, Split]]:
    """`train.csv`, and `val.csv` and `test.csv` if they have the same columns of labels (Kaggle's have none)."""
    by_split: dict[SplitName, list[Path]] = {}
    for path in _tables_in(root):
        split = mentioned_split(path.stem)
        if split and _lists_images(path, split):
            by_split.setdefault(split, []).append(path)
    if any(len(paths) > 1 for paths in by_split.values()) or "train" not in by_split:
        return []
    labels = _label_columns(by_split["train"][0])
    files: list[tuple[Path, Split]] = [
        (paths[0], split)
        for split, paths in by_split.items()
        if split == "train" or labels & {name.lower() for name in header_of(paths[0])}
    ]
    return files if len(files) > 1 else [(files[0][0], "")]


def _label_columns(table: Path) -> set[str]:
    """The columns of a table that may be labels, in lower case."""
    names = columns_of(table, header_of(table), lambda: [], {}).names
    named = {name.lower() for name, ours in names.items() if ours == "label"}
    return named or {name.lower() for name in header_of(table) if name and name not in names}


def _metadata(root: Path) -> list[tuple[Path, Split]]:
    """A table beside the images, or in the folder of each split (`BESIDE`)."""
    here = [path for path in _tables_in(root) if path.stem in BESIDE and _lists_images(path, None)]
    if here:
        return [(here[0], "")] if len(here) == 1 else []
    files: list[tuple[Path, Split]] = []
    for folder in sorted(root.iterdir()):
        split = split_of(folder.name) if folder.is_dir() else None
        tables = [path for path in _tables_in(folder) if path.stem in BESIDE] if split else []
        files += [(path, split or "") for path in tables[:1] if _lists_images(path, None)]
    return files if len({split for _, split in files}) == len(files) else []


def _only(root: Path, *, is_sure: bool = False) -> list[tuple[Path, Split]]:
    """The only table of a folder, whatever its name, if it lists images or it is sure that there is a table."""
    others = [path for path in _tables_in(root) if not _is_submission(path) and path.name != EXPORTED]
    if len(others) != 1 or not (is_sure or (_lists_images(others[0], None) and not _repeats_folders(others[0]))):
        return []
    return [(others[0], "")]


def _repeats_folders(table: Path) -> bool:
    """Whether a label is the folder of its image: then the folders are the classes, and may hold more images."""
    header, *rows = _head(table)
    try:
        named = columns_of(table, header, lambda: rows, {}).names
    except WsolError:
        return False
    index = {ours: header.index(name) for name, ours in named.items()}
    if not {"path", "label"} <= index.keys():
        return False
    whole = [row for row in rows if len(row) == len(header)]
    found = find_images(table, None, [row[index["path"]].replace("\\", "/") for row in whole])
    ids = (found.image_id(row[index["path"]].replace("\\", "/")) for row in whole)
    return any(row[index["label"]] in image_id.split("/")[:-1] for row, image_id in zip(whole, ids, strict=True))


def _exported(root: Path) -> list[tuple[Path, Split]]:
    """The export of a prediction, whose images are elsewhere."""
    is_there = (root / EXPORTED).is_file() and not any(path.is_dir() for path in root.iterdir())
    return [(root / EXPORTED, "")] if is_there and "label" in header_of(root / EXPORTED) else []


def _is_submission(path: Path) -> bool:
    return "submission" in path.stem.lower()


def _lists_images(table: Path, split: SplitName | None) -> bool:
    """Whether the first lines name images on disk, and have labels unless the folders of the images may be classes."""
    header, *rows = _head(table) or [[]]
    try:
        names = columns_of(table, header, lambda: rows, {}).names
    except WsolError:
        return True  # two columns could be the label
    path = path_of(names)
    others = [name for name in header if name and name not in names]
    if not ("label" in names.values() or others):
        return False
    for index in [header.index(path)] if path else range(min(len(header), MAX_COLUMNS)):
        listed = [row[index] for row in rows if len(row) > index and is_path(row[index])]
        is_class_folders = "label" not in names.values() and all("/" in name for name in listed)
        if listed and not is_class_folders and _are_found(table, listed, split, is_sure=path is not None):
            return True
    return False


def _are_found(table: Path, names: Sequence[str], split: SplitName | None, *, is_sure: bool) -> bool:
    if is_sure:
        return find_images(table, None, names, split or "").are_found
    # A column of any name: its images must be where paths are usually relative to, since a search takes long.
    first = names[:CHECKED_NAMES]
    return any((folder / name).is_file() for folder in (table.parent, table.parent / "images") for name in first)


def _head(table: Path) -> list[list[str]]:
    if table.suffix.lower() not in LINES:
        return first_rows(table, FIRST)
    try:
        objects = [cells for _, cells in zip(range(FIRST), (cells for _, cells in _objects(table)), strict=False)]
    except WsolError:
        return []
    header = list(dict.fromkeys(name for cells in objects for name in cells))
    return [header, *([cells.get(name, "") for name in header] for cells in objects)]


def _parquet(root: Path) -> Path | None:
    """The metadata in Parquet, or images in Parquet files, if there are no class folders."""
    below = [path for path in root.iterdir() if path.is_dir() and not is_litter(path.name)]
    folders = [root, *(path for path in below if split_of(path.name) or path.name == "data")]
    found = [path for folder in folders for path in sorted(folder.glob(f"*{PARQUET}"))]
    is_alone = all(split_of(path.name) or path.name in ("data", "images") for path in below)
    has_classes = any(path.is_dir() for folder in folders[1:] for path in folder.iterdir())
    return found[0] if found and is_alone and not has_classes else None


# JSON Lines


def _objects(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The position of each line, and its values as cells."""
    refuse_special(table)
    try:
        with table.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{table}, line {number}"
                    yield where, {name.strip(): _cell(value) for name, value in _object(line, where).items()}
    except UnicodeDecodeError as error:
        raise WsolError(f"{table} is not UTF-8 ({error})", expected="JSON Lines", remedy="Save it as UTF-8.") from None


def _object(line: str, where: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        raise WsolError(
            f"{where}: not JSON ({short_repr(str(error))})", expected="an object a line", remedy="Fix the line."
        ) from None
    if not isinstance(value, dict):
        raise WsolError(
            where,
            expected='an object such as {"file_name": "1.jpg", "label": "owl"}',
            got=short_repr(value),
            remedy="Fix the line.",
        )
    return value


def _cell(value: object) -> str:
    """A value as the cell of a table; other objects, such as boxes, are empty."""
    if isinstance(value, bool) or is_number(value):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "|".join(value)
    return value.strip() if isinstance(value, str) else ""
