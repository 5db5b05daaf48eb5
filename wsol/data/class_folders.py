"""Class folders: `root/<class>/**/*.jpg`, or the same below `root/train` and `root/test`.

Truth, where there is one, stands beside the classes: `boxes.csv` with the columns path, x0, y0, x1, y1 (0-based, half-open
pixels of the upright picture, several lines a picture allowed) and `masks/<path>.png` (0 is background).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from functools import partial
from pathlib import Path, PurePosixPath

from wsol.boxes import tight_box
from wsol.data.csv_rows import CORNERS, csv_rows, four_numbers
from wsol.data.masks import read_png_mask
from wsol.data.on_disk import PictureSizes
from wsol.data.samples import DataSet, Sample
from wsol.data.truth import Collector, GroundTruth
from wsol.errors import BrokenPicture, WsolError
from wsol.images import pictures_under
from wsol.litter import is_litter

COLUMNS = ("path", *CORNERS)
TEST_NAMES = ("test", "val", "valid", "validation")
SPLIT_NAMES = ("train", *TEST_NAMES)


def recognise(root: Path) -> bool:
    """Whether this may be a tree of class folders: any folder may."""
    return root.is_dir()


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read a tree of class folders; a split is taken where `train` and `test` (or `val`) exist.

    `images` holds the tree where only the truth lies in `root`.

    Raises:
        WsolError: the test folder has classes that the training folder has not.
    """
    pictures = root if images is None else images
    tests = [name for name in TEST_NAMES if (pictures / name).is_dir()]
    names = {child.name for child in _folders(pictures)}
    has_classes = "train" in names and bool(_folders(pictures / "train"))
    if _is_split(names, has_classes):
        class_names = _class_names(pictures / "train")
        train = _samples(pictures, pictures / "train", class_names)
        test = _samples(pictures, pictures / tests[0], class_names) if tests else train
        # Where there is no test folder, another one beside `train` would end the split.
        stays = _is_split({*names, "another"}, has_classes)
        trees = [pictures / name for name in ("train", *tests[:1])] if stays else [pictures]
    else:
        class_names = _class_names(pictures)
        train = test = _samples(pictures, pictures, class_names)
        trees = [pictures]
    return DataSet(
        "class folders", root, class_names, train, test, train is not test,
        lambda: _read_truth(root, pictures, test, frozenset(sample.image_id for sample in train)),
        listed=tuple(path for tree in trees for path in (tree, *_folders(tree))),
    )  # fmt: skip


class GivenClasses:
    """The classes that their folders give pictures, by the rule of `read`: below a split, the outermost folder called like a class.

    What is a split is told from the folders of all pictures, `image_ids`, in whichever folder of the tree it lies. `read` sees the
    disk: folders without pictures, too. Where none is a class, the tree's own name, `root_name`, may be one: somebody predicted on
    a class folder by itself.
    """

    def __init__(self, image_ids: Iterable[str], class_names: Collection[str], root_name: str) -> None:
        self._class_names = frozenset(class_names)
        self._by_root = root_name if root_name in self._class_names else None
        below: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for folders in set(map(_folders_of, image_ids)):
            for depth, name in enumerate(folders):
                below[folders[:depth]].add(name)
        self._split = {folder for folder, names in below.items() if _is_split(names, (*folder, "train") in below)}

    def of(self, image_id: str) -> str | None:
        """The class of one of the pictures; None where no folder is a class."""
        folders, is_below_split = _folders_of(image_id), False
        for depth, name in enumerate(folders):
            # A class below a split may be called like one, so a second split is none.
            if not is_below_split and name in SPLIT_NAMES and folders[:depth] in self._split:
                is_below_split = True
            elif name in self._class_names:
                return name
        return self._by_root


def _folders_of(image_id: str) -> tuple[str, ...]:
    return PurePosixPath(image_id).parts[:-1]


def _is_split(names: Set[str], has_classes: bool) -> bool:
    """Whether `train` among these folders is a split's: classes lie in it, and a test folder beside it or nothing else.

    A class of trains holds pictures.
    """
    is_alone, has_test = names <= {"masks", *SPLIT_NAMES}, not names.isdisjoint(TEST_NAMES)
    return "train" in names and ((has_classes and has_test) or (is_alone and (has_classes or has_test)))


def _folders(folder: Path) -> list[Path]:
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and not is_litter(child.name)]


def _class_names(folder: Path) -> tuple[str, ...]:
    children = _folders(folder)
    names = {child.name for child in children}
    return tuple(child.name for child in children if not _is_truth(child, names))


def _is_truth(child: Path, siblings: set[str]) -> bool:
    # A class may be called "masks"; a folder of truth repeats its siblings' names.
    below = {folder.name for folder in _folders(child)} if child.name == "masks" else set()
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


def _read_truth(root: Path, pictures: Path, test: tuple[Sample, ...], other_ids: frozenset[str]) -> GroundTruth:
    masks = {sample.image_id: root / "masks" / Path(sample.image_id).with_suffix(".png") for sample in test}
    masks = {image_id: path for image_id, path in masks.items() if path.exists()}
    paths = {sample.image_id: sample.path for sample in test}
    collector = Collector()
    if (root / "boxes.csv").exists():
        _add_boxes(collector, root / "boxes.csv", pictures, paths, other_ids)
        # A mask without a box would count as a picture without an object.
        boxed = collector.truth()
        masks = {image_id: path for image_id, path in masks.items() if image_id in boxed}
    elif masks:
        masks = {image_id: path for image_id, path in masks.items() if _add_box_of(collector, image_id, path, paths)}
    else:
        raise WsolError(
            f"no boxes to compare with in {root}: expected boxes.csv (path,x0,y0,x1,y1) or masks/<path>.png. Write one of them, or use `wsol predict` for boxes without a judgement."
        )
    for image_id, path in masks.items():
        collector.add_mask(image_id, partial(read_png_mask, path, paths[image_id]), None)
    return collector.truth()


def _add_boxes(
    collector: Collector, table: Path, pictures: Path, paths: Mapping[str, Path], other_ids: frozenset[str]
) -> None:
    sizes = PictureSizes(collector)
    for where, row in csv_rows(table, COLUMNS):
        image_id = row["path"].removeprefix("./")
        if image_id in paths:
            if size := sizes(paths[image_id]):
                collector.add(image_id, four_numbers(row, where), size, where)
        # A validation picture beside train and test is not judged, and no mistake.
        elif image_id not in other_ids and not os.path.isfile(pictures / image_id):
            collector.note(
                "unknown picture", where, f"expected the path of a picture below {pictures}, got {image_id!r}"
            )


def _add_box_of(collector: Collector, image_id: str, mask: Path, paths: Mapping[str, Path]) -> bool:
    """Add the tight box of a mask; False where there is none."""
    size = PictureSizes(collector)(paths[image_id])
    if size is None:
        return False
    try:
        box = tight_box(read_png_mask(mask, paths[image_id], size).is_object)
    except BrokenPicture as error:
        collector.note("broken mask", str(mask), str(error))
        return False
    if box is None:
        collector.note("no area", str(mask), "expected at least one pixel of the object, got an empty mask")
        return False
    collector.add(image_id, box, size, str(mask))
    return True
