"""CSV tables and JSON Lines: one line per image or box, with the columns path, label and optionally x0, y0, x1, y1,
width, height, split, under their usual names (`csv_columns.py`).

Corners are 0-based, half-open pixels of the upright image; a line without corners is an image without a box. Without
the column label, the folder of an image is its class, so that the boxes.csv of class folders can be read too. An image
has several labels if a cell lists them (`owl|wren`), its lines have different ones, or its labels are columns of 0 and
1. Which files of a folder are its tables is in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from wsol.data.csv_cells import unguarded
from wsol.data.ground_truth import Collector, GroundTruth, Mistake
from wsol.data.image_files import ImageSizes
from wsol.data.readers.csv_columns import ONES, chosen_columns
from wsol.data.readers.csv_rows import CORNERS, add_box
from wsol.data.readers.listed_images import ListedImages, find_images
from wsol.data.readers.tables import METADATA, Split, Table, has_tables, tables_of
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.data.splits import split_of
from wsol.data.untrusted import is_path, short_repr, size_of, whole_in
from wsol.errors import NoGroundTruth, WsolError


def recognise(root: Path) -> bool:
    """Whether this is a table, or a folder of one that lists images."""
    return has_tables(root)


def read(root: Path, images: Path | None = None, columns: str | None = None) -> DataSet:
    """Read images, labels and split; boxes are read later.

    Args:
        root: a table, or a folder with tables.
        images: the folder to which paths are relative; if None, that of the table, its `images`, or another one there.
        columns: the columns of image, label and split, if they have other names: `image=NAME,label=NAME,split=NAME`.

    Raises:
        WsolError: columns missing or misspelt, a line without path, or an image in two splits.
    """
    tables = tables_of(root, chosen_columns(columns) if columns is not None else None)
    lines = [list(_lines(table)) for table in tables]
    found = [
        find_images(table.path, images, [line.name for line in of_table], table.split)
        for table, of_table in zip(tables, lines, strict=True)
    ]
    folder = found[0].folder if len({one.folder for one in found}) == 1 else root
    ids = [_Ids(one, folder) for one in found]
    mistakes: list[Mistake] = []
    listed: dict[str, _Listed] = {}
    for table, image_id_of, of_table in zip(tables, ids, lines, strict=True):
        _collect(listed, table, of_table, image_id_of, mistakes)
    _finish(listed)
    labelled = {image_id: one for image_id, one in listed.items() if any(one.class_names)}
    names = sorted({name for one in labelled.values() for name in one.class_names if name})
    labels = {name: label for label, name in enumerate(names)}
    samples: dict[Split, list[Sample]] = {"train": [], "test": [], "val": [], "": []}
    for image_id, one in labelled.items():
        first, *others = (labels[name] for name in one.class_names if name)
        samples[one.split].append(Sample(image_id, folder / image_id, first, tuple(others)))
    unlabelled: dict[Split, list[Sample]] = {"train": [], "test": [], "val": [], "": []}
    for image_id, one in listed.items():
        if one.class_names == [""]:
            unlabelled[one.split].append(Sample(image_id, folder / image_id, NO_LABEL))
    test_split = _test_split(samples, unlabelled)
    train, test = _splits(samples, test_split)
    paths = {sample.image_id: sample.path for sample in (*train, *test)}
    return DataSet(
        "CSV table",
        root,
        tuple(names),
        train,
        test,
        bool(test_split),
        lambda: _read_truth(list(zip(tables, ids, strict=True)), paths),
        (*mistakes, *_left_out(listed.values())),
        doubts=tuple(doubt for table in tables for doubt in table.columns.doubts),
        unlabelled=_splits(unlabelled, test_split),
    )


def has_columns(root: Path, columns: str) -> bool:
    """Whether this is a table, or a folder of one, that has these columns.

    Args:
        root: any data set.
        columns: as for `read`.
    """
    try:
        return bool(tables_of(root, chosen_columns(columns)))
    except WsolError:
        return False


@dataclass(frozen=True)
class _Line:
    """What a line says of an image."""

    where: str
    name: str
    """The path or id of the image as written, with forward slashes."""
    split: Split
    labels: tuple[str, ...]
    """As in the cell, or the columns with a 1; `""` is none."""


@dataclass
class _Listed:
    """The split and the classes of one image, from all its lines; `first` is the position of the first line."""

    split: Split
    first: str
    class_names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Ids:
    """The image ids of a table."""

    found: ListedImages
    folder: Path
    """The folder of the data set's images."""

    def __call__(self, name: str) -> str:
        image_id = self.found.image_id(name)
        if self.found.folder == self.folder:
            return image_id
        return (PurePosixPath(self.found.folder.relative_to(self.folder)) / image_id).as_posix()


def _lines(table: Table) -> Iterator[_Line]:
    for where, row in table.rows():
        name = _name(row, where)
        yield _Line(where, name, table.split or _split(table, row, where), _labels(table, row, name, where))


def _name(row: Mapping[str, str], where: str) -> str:
    if not row["path"]:
        raise WsolError(where, expected="the path of an image", got="none", remedy="Fix the line, or remove it.")
    if not is_path(row["path"]):
        raise WsolError(
            where,
            expected="the path of an image",
            got=short_repr(row["path"]),
            remedy="Fix the line, or remove it.",
        )
    return row["path"].replace("\\", "/").removeprefix("./")


def _labels(table: Table, row: Mapping[str, str], name: str, where: str) -> tuple[str, ...]:
    if table.columns.classes:
        return tuple(one for one in table.columns.classes if row[one].lower() in ONES) or ("",)
    if "label" in row:
        return (unguarded(row["label"]),)
    folders = name.split("/")[:-1]
    if folders and split_of(folders[0]):
        folders = folders[1:]
    if not folders or folders[0] in ("", ".", ".."):
        raise WsolError(
            where,
            expected=f"the class of {name}: there is no column label and no class folder in the path",
            remedy="Add the column, or write paths as class/image.",
        )
    return (folders[0],)


def _collect(
    listed: dict[str, _Listed],
    table: Table,
    lines: Sequence[_Line],
    image_id_of: _Ids,
    mistakes: list[Mistake],
) -> None:
    """Add the lines of a table to the images by id, in its order."""
    ambiguous = image_id_of.found.ambiguous
    in_folders = _splits_of_folders(table, lines)
    for line in lines:
        if line.name in ambiguous:
            first = ", ".join(ambiguous[line.name][:3])
            mistakes.append(Mistake("unknown image", line.where, f"expected one image {line.name}, got {first}"))
            continue
        image_id, split = image_id_of(line.name), in_folders.get(line.name, line.split)
        one = listed.setdefault(image_id, _Listed(split, line.where))
        if one.split != split:
            raise WsolError(
                line.where,
                expected=f"{image_id} in one split",
                got=f"{split or 'none'!r} here and {one.split or 'none'!r} before ({one.first})",
                remedy="Fix one of the lines.",
            )
        one.class_names += [label for label in line.labels if label not in one.class_names]


def _splits_of_folders(table: Table, lines: Sequence[_Line]) -> dict[str, Split]:
    """The splits of Hugging Face's metadata.csv above the folders of the splits; none if not all images are in one."""
    if table.path.stem != METADATA or any(line.split for line in lines):
        return {}
    found = {line.name: split_of(line.name.split("/")[0]) if "/" in line.name else None for line in lines}
    splits = {name: split for name, split in found.items() if split is not None}
    return dict(splits) if len(splits) == len(found) and len(set(splits.values())) > 1 else {}


def _finish(listed: Mapping[str, _Listed]) -> None:
    """Split the labels in each cell, and check that all images have a split or none."""
    known = {name for one in listed.values() for name in one.class_names}
    for one in listed.values():
        one.class_names = list(dict.fromkeys(part for name in one.class_names for part in _several(name, known)))
    if len({one.split == "" for one in listed.values()}) > 1:
        first = next(one.first for one in listed.values() if not one.split)
        raise WsolError(
            first, expected="a split as in the other lines", got="none", remedy="Fill it in, or empty the column."
        )


def _several(label: str, known: Collection[str]) -> list[str]:
    """The labels in one cell: separated by `|`, or by commas or semicolons if each is the label of another image."""
    if "|" in label:
        return [part.strip() for part in label.split("|")]
    for mark in ",;":
        parts = [part.strip() for part in label.split(mark)]
        if len(parts) > 1 and all(part in known for part in parts):
            return parts
    return [label]


def _split(table: Table, row: Mapping[str, str], where: str) -> Split:
    written = table.columns.split_in(row.get("split", ""))
    if not written:
        return ""
    part = split_of(written)
    if part is None:
        near = get_close_matches(written.lower(), ("train", "test", "val"), n=1)
        raise WsolError(
            where,
            expected="split to be train, test or val",
            got=f"{written!r}",
            remedy=f"Did you mean {near[0]}? Fix the line." if near else "Fix the line.",
        )
    return part


def _test_split(*by_split: Mapping[Split, Sequence[Sample]]) -> Split:
    """The split of the test images; validation images are the test if there are no test images, "" is no split."""
    named: tuple[Split, ...] = ("test", "val")
    return next((split for split in named if any(samples[split] for samples in by_split)), "")


def _splits(samples: Mapping[Split, Sequence[Sample]], test: Split) -> Splits:
    """Training and test images; the same twice without a split."""
    everything = (*samples["train"], *samples[""])
    return Splits(everything, tuple(samples[test]) if test else everything)


def _left_out(listed: Iterable[_Listed]) -> Iterator[Mistake]:
    for one in listed:
        if not any(one.class_names):
            yield Mistake("no label", one.first, "expected a label, got none")


def _read_truth(tables: Sequence[tuple[Table, _Ids]], paths: Mapping[str, Path]) -> GroundTruth:
    if not any(table.has_boxes for table, _ in tables):
        raise NoGroundTruth(
            f"no boxes in {tables[0][0].path}",
            expected=f"the columns {', '.join(CORNERS)}",
            remedy="Add them, or use `wsol predict` for boxes without an evaluation.",
        )
    collector = Collector()
    sizes = ImageSizes(collector)
    written_hw: dict[str, tuple[int, int]] = {}
    rows = [
        (where, row, ids(name), _labels(table, row, name, where))
        for table, ids in tables
        for where, row in table.rows()
        for name in (_name(row, where),)
    ]
    known = {label for *_, labels in rows for label in labels}
    for where, row, image_id, labels in rows:
        if image_id not in paths or not any(row.get(name) for name in CORNERS):
            continue
        image_hw = _written_hw(row, where) or sizes(paths[image_id])
        if image_hw is None:
            continue
        if written_hw.setdefault(image_id, image_hw) != image_hw:
            height, width = written_hw[image_id]
            collector.note(
                "other size", where, f"expected {width} x {height} as before, got {image_hw[1]} x {image_hw[0]}"
            )
            continue
        named = [one for label in labels for one in _several(label, known)]
        if len(named) > 1:
            collector.note("several classes", where, f"expected one label for a box, got {', '.join(named)}")
            continue
        add_box(collector, image_id, row, image_hw, where, named[0])
    return collector.ground_truth()


def _written_hw(row: Mapping[str, str], where: str) -> tuple[int, int] | None:
    """The (height, width) of a line; None if its cells are empty."""
    width, height = row.get("width", ""), row.get("height", "")
    if not width and not height:
        return None
    image_hw = size_of(whole_in(height) or 0, whole_in(width) or 0)
    if image_hw is None:
        cells = short_repr(f"{width},{height}")
        raise WsolError(
            where, expected="width and height of an image in whole pixels", got=cells, remedy="Fix the line."
        )
    return image_hw
