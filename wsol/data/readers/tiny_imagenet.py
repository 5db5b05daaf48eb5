"""Tiny ImageNet as published (Le & Yang 2015): `train/<wnid>/images/*.JPEG` with `<wnid>_boxes.txt`, and
`val/images` with `val_annotations.txt`. Its `test` has no labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsol.data.ground_truth import Collector, GroundTruth, Mistake
from wsol.data.image_files import ImageSizes
from wsol.data.images import images_under
from wsol.data.samples import WNID, DataSet, Sample
from wsol.data.untrusted import is_path, number_in, short_repr
from wsol.errors import NoGroundTruth, WsolError
from wsol.geometry.boxes import Xyxy
from wsol.storage.links import refuse_special
from wsol.storage.litter import is_litter

KIND = "Tiny ImageNet"
VAL_TABLE = "val_annotations.txt"


def recognise(root: Path) -> bool:
    """Whether the images of a WordNet id are in a subfolder `images`, beside a list of the data set."""
    has_list = (root / "wnids.txt").is_file() or (root / "val" / VAL_TABLE).is_file()
    first = next(iter(_wnids(root / "train")), None) if has_list else None
    return first is not None and (root / "train" / first / "images").is_dir()


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels, which are those of the training folders; boxes are read later.

    Args:
        root: the folder of `train` and `val`.
        images: the folder that holds `train` and `val`, if `root` has only the lists.

    Raises:
        WsolError: no training images, or a malformed list.
    """
    folder = root if images is None else images
    class_names = tuple(_wnids(folder / "train"))
    if not class_names:
        raise WsolError(
            f"no class folders in {folder / 'train'}",
            expected="train/<wnid>/images/*.JPEG",
            remedy="Give the folder that holds train and val.",
        )
    labels = {name: label for label, name in enumerate(class_names)}
    train = tuple(
        Sample(path.relative_to(folder).as_posix(), path, label)
        for name, label in labels.items()
        for path in images_under(folder / "train" / name)
    )
    mistakes: list[Mistake] = []
    test = tuple(_held_out(root, folder, labels, mistakes))
    return DataSet(
        KIND,
        root,
        class_names,
        train,
        test or train,
        bool(test),
        lambda: _read_truth(root, test) if test else _read_training_truth(root, train, class_names),
        tuple(mistakes),
    )


def _wnids(folder: Path) -> list[str]:
    """The names of the folders if all are wnids, else none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    names = [name for name in names if not is_litter(name)]
    return names if all(map(WNID.fullmatch, names)) else []


def _held_out(root: Path, folder: Path, labels: dict[str, int], mistakes: list[Mistake]) -> Iterator[Sample]:
    """The validation images of the list; without it those in folders of wnids, as many users sort them."""
    table = root / "val" / VAL_TABLE
    if not table.is_file():
        for name in _wnids(folder / "val"):
            if name in labels:
                for path in images_under(folder / "val" / name):
                    yield Sample(path.relative_to(folder).as_posix(), path, labels[name])
        return
    for where, (name, wnid, *_) in _rows(table, 6):
        if wnid not in labels:
            got = f"expected one of the classes of {folder / 'train'}, got {short_repr(wnid)}"
            mistakes.append(Mistake("unknown class", where, got))
            continue
        # Many users sort the images by class, and keep the list.
        ids = [f"val/{below}/{name}" for below in ("images", wnid, f"{wnid}/images")]
        image_id = next((one for one in ids if (folder / one).is_file()), ids[0])
        yield Sample(image_id, folder / image_id, labels[wnid])


def _read_truth(root: Path, samples: tuple[Sample, ...]) -> GroundTruth:
    table = root / "val" / VAL_TABLE
    if not table.is_file():
        raise NoGroundTruth(f"no boxes in {root / 'val'}", expected=VAL_TABLE, remedy="Restore the published list.")
    by_name = {Path(sample.image_id).name: sample for sample in samples}
    ground_truth = Collector(corners_are_pixels=True)
    sizes = ImageSizes(ground_truth)
    for where, (name, _, *corners) in _rows(table, 6):
        if name in by_name:
            _add(ground_truth, sizes, by_name[name], corners, where)
    return ground_truth.ground_truth()


def _read_training_truth(root: Path, samples: tuple[Sample, ...], class_names: tuple[str, ...]) -> GroundTruth:
    by_name = {Path(sample.image_id).name: sample for sample in samples}
    ground_truth = Collector(corners_are_pixels=True)
    sizes = ImageSizes(ground_truth)
    tables = [root / "train" / name / f"{name}_boxes.txt" for name in class_names]
    for table in (table for table in tables if table.is_file()):
        for where, (name, *corners) in _rows(table, 5):
            if name in by_name:
                _add(ground_truth, sizes, by_name[name], corners, where)
    return ground_truth.ground_truth()


def _add(ground_truth: Collector, sizes: ImageSizes, sample: Sample, corners: list[str], where: str) -> None:
    # Corners are the first and the last pixel, unchanged as for ImageNet.
    x0, y0, x1, y1 = map(number_in, corners)
    box: Xyxy = (x0, y0, x1, y1)
    if size := sizes(sample.path):
        ground_truth.add(sample.image_id, box, size, where)


def _rows(table: Path, columns: int) -> Iterator[tuple[str, list[str]]]:
    """The position and the words of each line; the first is the name of an image."""
    refuse_special(table)
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not text ({error})", expected="UTF-8", remedy="Restore the published list."
        ) from None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        where = f"{table}, line {number}"
        if words and (len(words) != columns or not is_path(words[0]) or "/" in words[0]):
            raise WsolError(
                where,
                expected=f"{columns} columns, the first a file name",
                got=short_repr(line),
                remedy="Restore the published list.",
            )
        if words:
            yield where, words
