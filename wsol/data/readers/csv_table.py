"""A CSV table: one line per image or box, with the columns path, label and optionally x0, y0, x1, y1, width, height,
split.

Corners are 0-based, half-open pixels of the upright image; a line without corners is an image without a box. Without
the column label, the folder of an image is its class, so that the boxes.csv of class folders can be read too. An image
has several labels if a cell lists them (`owl|wren`) or its lines have different ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from wsol.data.csv_cells import unguarded
from wsol.data.ground_truth import Collector, GroundTruth, Mistake
from wsol.data.image_files import ImageSizes, image_root
from wsol.data.readers.csv_rows import CORNERS, add_box, csv_rows, header_of, means_a_path
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.data.splits import SplitName, split_of
from wsol.data.untrusted import is_path, short_repr, size_of, whole_in
from wsol.errors import NoGroundTruth, WsolError

NAMES = ("labels.csv", "annotations.csv")
EXPORTED = "boxes.csv"
"""`wsol export --format csv` writes it; beside class folders it is their ground truth."""
OPTIONAL = (CORNERS, ("width", "height"), ("split",))

Split = SplitName | Literal[""]


def recognise(root: Path) -> bool:
    """Whether this is a CSV file, or a folder with one labels.csv or annotations.csv that lists images."""
    if not root.is_dir():
        return root.suffix.lower() == ".csv"
    found = _tables(root)
    return len(found) == 1 and any(means_a_path(name) for name in header_of(found[0]))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images, labels and split; boxes are read later.

    Args:
        root: the table, or the folder of a labels.csv or annotations.csv.
        images: the folder to which paths are relative; if None, that of the table or its `images`.

    Raises:
        WsolError: columns missing or misspelt, a line without path, or an image in two splits.
    """
    table = _table(root)
    listed = _listed(table)
    candidates = (table.parent, table.parent / "images") if images is None else (images,)
    folder = image_root(candidates, listed)
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
        lambda: _read_truth(table, paths),
        tuple(_left_out(listed.values())),
        unlabelled=_splits(unlabelled, test_split),
    )


@dataclass
class _Listed:
    """The split and the classes of one image, from all its lines; `first` is the position of the first line."""

    split: Split
    first: str
    class_names: list[str] = field(default_factory=list)


def _table(root: Path) -> Path:
    return _tables(root)[0] if root.is_dir() else root


def _tables(root: Path) -> list[Path]:
    found = [root / name for name in NAMES if (root / name).is_file()]
    if found or not (root / EXPORTED).is_file() or any(path.is_dir() for path in root.iterdir()):
        return found
    return [root / EXPORTED] if "label" in header_of(root / EXPORTED) else []


def _image_id(row: Mapping[str, str], where: str) -> str:
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


def _required(table: Path) -> tuple[str, ...]:
    """The required columns: `label` is optional only if all other columns are known, else one may be the label."""
    header, ours = {*header_of(table)}, {"path", *(name for group in OPTIONAL for name in group)}
    return ("path",) if {"path"} <= header <= ours else ("path", "label")


def _label(row: Mapping[str, str], image_id: str, where: str) -> str:
    if "label" in row:
        return unguarded(row["label"])
    folders = image_id.split("/")[:-1]
    if folders and split_of(folders[0]):
        folders = folders[1:]
    if not folders or folders[0] in ("", ".", ".."):
        raise WsolError(
            where,
            expected=f"the class of {image_id}: there is no column label and no class folder in the path",
            remedy="Add the column, or write paths as class/image.",
        )
    return folders[0]


def _listed(table: Path) -> dict[str, _Listed]:
    """By image id, in the table's order."""
    listed: dict[str, _Listed] = {}
    for where, row in csv_rows(table, _required(table), OPTIONAL):
        image_id, split = _image_id(row, where), _split(row, where)
        one = listed.setdefault(image_id, _Listed(split, where))
        if one.split != split:
            raise WsolError(
                where,
                expected=f"{image_id} in one split",
                got=f"{split or 'none'!r} here and {one.split or 'none'!r} before ({one.first})",
                remedy="Fix one of the lines.",
            )
        if (label := _label(row, image_id, where)) not in one.class_names:
            one.class_names.append(label)
    known = {name for one in listed.values() for name in one.class_names}
    for one in listed.values():
        one.class_names = list(dict.fromkeys(part for name in one.class_names for part in _several(name, known)))
    if len({one.split == "" for one in listed.values()}) > 1:
        first = next(one.first for one in listed.values() if not one.split)
        raise WsolError(
            first, expected="a split as in the other lines", got="none", remedy="Fill it in, or empty the column."
        )
    return listed


def _several(label: str, known: Collection[str]) -> list[str]:
    """The labels in one cell: separated by `|`, or by commas or semicolons if each is the label of another image."""
    if "|" in label:
        return [part.strip() for part in label.split("|")]
    for mark in ",;":
        parts = [part.strip() for part in label.split(mark)]
        if len(parts) > 1 and all(part in known for part in parts):
            return parts
    return [label]


def _split(row: Mapping[str, str], where: str) -> Split:
    written = row.get("split", "")
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


def _read_truth(table: Path, paths: Mapping[str, Path]) -> GroundTruth:
    if "x0" not in header_of(table):
        raise NoGroundTruth(
            f"no boxes in {table}",
            expected=f"the columns {', '.join(CORNERS)}",
            remedy="Add them, or use `wsol predict` for boxes without an evaluation.",
        )
    collector = Collector()
    sizes = ImageSizes(collector)
    written_hw: dict[str, tuple[int, int]] = {}
    rows = [(where, row, _image_id(row, where)) for where, row in csv_rows(table, _required(table), OPTIONAL)]
    known = {_label(row, image_id, where) for where, row, image_id in rows}
    for where, row, image_id in rows:
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
        named = _several(_label(row, image_id, where), known)
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
