"""Class folders: `root/<class>/**/*.jpg`, or the same below `root/train` and `root/test` (other names: `splits.py`).

Optional ground truth beside the class folders: `boxes.csv` with the columns path, x0, y0, x1, y1 (0-based, half-open
pixels of the upright image, one line per box) and `masks/<path>.png` (0 is background).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from functools import partial
from pathlib import Path, PurePosixPath

from wsol.data.class_names import composed
from wsol.data.ground_truth import Collector, GroundTruth
from wsol.data.image_files import ImageSizes
from wsol.data.images import images_under, is_image
from wsol.data.masks import read_png_mask
from wsol.data.not_classes import check_classes
from wsol.data.readers.csv_rows import CORNERS, add_box, csv_rows
from wsol.data.samples import DataSet, Sample
from wsol.data.splits import split_folders, split_of
from wsol.errors import BrokenImage, NoGroundTruth, WsolError
from wsol.geometry.boxes import tight_box
from wsol.storage.litter import is_litter

COLUMNS = ("path", *CORNERS)


def recognise(root: Path) -> bool:
    """Whether this may hold class folders: any folder may."""
    return root.is_dir()


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read class folders; folders with the names of a split (`splits.py`) are read as one.

    Args:
        root: the folder of the class folders.
        images: the folder of the class folders, if `root` has only the ground truth.

    Raises:
        WsolError: the folders are not classes, or the test folder has classes that the training folder lacks.
    """
    image_root = root if images is None else images
    names = {child.name for child in _folders(image_root)}

    def has_folders(name: str) -> bool:
        return bool(_folders(image_root / name))

    split = split_folders(names, has_folders)
    tree = image_root if split is None else image_root / split.train
    class_names = _class_names(tree)
    if split and not class_names and any(map(is_image, tree.iterdir())):
        raise WsolError(
            f"{tree} holds images and no class folders",
            expected=f"{split.train}/<class>/*.jpg",
            remedy="Sort its images into a folder for each class, or write a CSV table (path,label).",
        )
    train = test = _samples(image_root, tree, tree, class_names)
    if split and split.test:
        test = _samples(image_root, image_root / split.test, tree, class_names)
    doubts = check_classes(tree, _files(image_root, tree, train, class_names))
    # Without a test folder, another folder beside `train` would make `train` a class.
    is_fixed = split is not None and split_folders({*names, "another"}, has_folders) is not None
    trees = [image_root / name for name in split or () if name] if is_fixed else [image_root]
    return DataSet(
        "class folders",
        root,
        class_names,
        train,
        test,
        train is not test,
        lambda: read_ground_truth(root, image_root, test, frozenset(sample.image_id for sample in train)),
        listed=tuple(path for tree in trees for path in (tree, *_folders(tree))),
        doubts=doubts,
    )


class GivenClasses:
    """The classes of images by their folders, by the same rule as `read`: below a split, the outermost folder with the
    name of a class.

    Args:
        image_ids: all images; their folders show which folders are splits. (`read` uses the folders on disk, also those
            without images.)
        class_names: the classes.
        root_name: the name of the image root, which is the class if no folder is one: images of a single class folder.
    """

    def __init__(self, image_ids: Iterable[str], class_names: Collection[str], root_name: str) -> None:
        self._class_names = {composed(name): name for name in class_names}
        self._by_root = self._class_names.get(composed(root_name))
        below: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for folders in set(map(_folders_of, image_ids)):
            for depth, name in enumerate(folders):
                below[folders[:depth]].add(name)

        def is_split(folder: tuple[str, ...], names: Set[str]) -> bool:
            return split_folders(names, lambda name: (*folder, name) in below) is not None

        self._split = {folder for folder, names in below.items() if is_split(folder, names)}

    def of(self, image_id: str) -> str | None:
        """The class of one of the images; None if no folder is a class."""
        folders, is_below_split = _folders_of(image_id), False
        for depth, name in enumerate(folders):
            # A class below a split may have the name of a split, so only the first one is a split.
            if not is_below_split and folders[:depth] in self._split and split_of(name):
                is_below_split = True
            elif composed(name) in self._class_names:
                return self._class_names[composed(name)]
        return self._by_root


def _folders_of(image_id: str) -> tuple[str, ...]:
    return PurePosixPath(image_id).parts[:-1]


def _folders(folder: Path) -> list[Path]:
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and not is_litter(child.name)]


def _class_names(folder: Path) -> tuple[str, ...]:
    children = _folders(folder)
    names = {child.name for child in children}
    return tuple(child.name for child in children if not _is_truth(child, names))


def _is_truth(child: Path, siblings: set[str]) -> bool:
    # A class may have the name "masks"; a folder of ground truth has subfolders with the names of its siblings.
    below = {folder.name for folder in _folders(child)} if child.name == "masks" else set()
    return bool(below) and below <= siblings


def _samples(image_root: Path, folder: Path, train: Path, class_names: tuple[str, ...]) -> tuple[Sample, ...]:
    known = {composed(name): label for label, name in enumerate(class_names)}
    known |= {name: label for label, name in enumerate(class_names)}  # both forms of a name may be folders
    children = [(child, known.get(child.name, known.get(composed(child.name)))) for child in _folders(folder)]
    unknown = {child.name for child, label in children if label is None} - {"masks"}
    if unknown and folder not in (image_root, train):
        raise WsolError(
            f"{folder} has classes that {train} lacks: {', '.join(sorted(unknown)[:5])}",
            expected="the same class folders in both",
            remedy="Rename or remove them.",
        )
    by_label = sorted(((label, child) for child, label in children if label is not None), key=lambda pair: pair[0])
    return tuple(
        Sample(path.relative_to(image_root).as_posix(), path, label)
        for label, child in by_label
        for path in images_under(child)
    )


def _files(
    image_root: Path, tree: Path, samples: tuple[Sample, ...], class_names: tuple[str, ...]
) -> dict[str, list[str]]:
    """The images of each class: paths relative to its folder, without suffix."""
    above = tree.relative_to(image_root).as_posix()
    start = 0 if above == "." else len(above) + 1
    files: dict[str, list[str]] = {name: [] for name in class_names}
    for sample in samples:
        name = class_names[sample.label]
        files[name].append(os.path.splitext(sample.image_id[start + len(name) + 1 :])[0])
    return files


def read_ground_truth(root: Path, image_root: Path, test: tuple[Sample, ...], other_ids: frozenset[str]) -> GroundTruth:
    """Read `boxes.csv` and `masks/` in `root`.

    Args:
        root: the folder of the ground truth.
        image_root: the folder to which image ids are relative.
        test: the images to be evaluated.
        other_ids: other images of the data set; lines about them are ignored.

    Raises:
        NoGroundTruth: neither exists.
        WsolError: the table cannot be read.
    """
    masks = {sample.image_id: root / "masks" / Path(sample.image_id).with_suffix(".png") for sample in test}
    masks = {image_id: path for image_id, path in masks.items() if path.exists()}
    paths = {sample.image_id: sample.path for sample in test}
    collector = Collector()
    if (root / "boxes.csv").exists():
        _add_boxes(collector, root / "boxes.csv", image_root, paths, other_ids)
        # An image with a mask but without a box would count as an image without an object.
        boxed = collector.ground_truth()
        masks = {image_id: path for image_id, path in masks.items() if image_id in boxed}
    elif masks:
        masks = {image_id: path for image_id, path in masks.items() if _add_box_of(collector, image_id, path, paths)}
    else:
        raise NoGroundTruth(
            f"no ground truth in {root}",
            expected="boxes.csv (path,x0,y0,x1,y1) or masks/<path>.png",
            remedy="Add one of them, or use `wsol predict` for boxes without an evaluation.",
        )
    for image_id, path in masks.items():
        collector.add_mask(image_id, partial(read_png_mask, path, paths[image_id]), None)
    return collector.ground_truth()


def _add_boxes(
    collector: Collector, table: Path, image_root: Path, paths: Mapping[str, Path], other_ids: frozenset[str]
) -> None:
    sizes = ImageSizes(collector)
    for where, row in csv_rows(table, COLUMNS):
        image_id = row["path"].removeprefix("./")
        if image_id in paths:
            if size := sizes(paths[image_id]):
                add_box(collector, image_id, row, size, where)
        # A validation image beside train and test is not evaluated, and is not a mistake.
        elif image_id not in other_ids and not os.path.isfile(image_root / image_id):
            collector.note(
                "unknown image", where, f"expected the path of an image below {image_root}, got {image_id!r}"
            )


def _add_box_of(collector: Collector, image_id: str, mask: Path, paths: Mapping[str, Path]) -> bool:
    """Add the tight box of a mask; False if there is none."""
    size = ImageSizes(collector)(paths[image_id])
    if size is None:
        return False
    try:
        box = tight_box(read_png_mask(mask, paths[image_id], size).is_object)
    except BrokenImage as error:
        collector.note("broken mask", str(mask), str(error))
        return False
    if box is None:
        collector.note("no area", str(mask), "expected at least one pixel of the object, got an empty mask")
        return False
    collector.add(image_id, box, size, str(mask))
    return True
