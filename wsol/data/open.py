"""Recognise the layout of a data set and read it; no other module lists all readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from wsol.data.class_names import with_distinct_names
from wsol.data.image_files import check_there
from wsol.data.multi_label import with_one_label
from wsol.data.nearest import nearest
from wsol.data.readers import (
    caltech,
    class_folders,
    coco,
    csv_table,
    cub,
    cvat,
    fiftyone,
    imagenet,
    labelstudio,
    pets,
    stanford_dogs,
    tiny_imagenet,
    unlabelled,
    voc,
    wsolevaluation,
    yolo,
)
from wsol.data.readers.tables import table_in
from wsol.data.samples import DataSet, checked
from wsol.data.splits import split_of
from wsol.data.unread import CONVERT, in_words, unread_of
from wsol.errors import WsolError
from wsol.storage.litter import is_litter
from wsol.text import number_of


class Reader(Protocol):
    """The functions of a reader module."""

    def recognise(self, root: Path) -> bool:
        """Whether a path looks like this layout; must be fast."""
        ...

    def read(self, root: Path, images: Path | None = None) -> DataSet:
        """Read images and labels, not the ground truth; `images` is the folder of the images if it is not the usual
        one.
        """
        ...


READERS: dict[str, Reader] = {
    "CUB-200-2011": cub,
    pets.KIND: pets,
    stanford_dogs.KIND: stanford_dogs,
    tiny_imagenet.KIND: tiny_imagenet,
    caltech.KIND: caltech,
    "wsolevaluation": wsolevaluation,
    "ImageNet-1K": imagenet,
    yolo.KIND: yolo,
    cvat.KIND: cvat,
    labelstudio.KIND: labelstudio,
    fiftyone.KIND: fiftyone,
    "COCO": coco,
    "PASCAL VOC": voc,
    "CSV table": csv_table,
    "class folders": class_folders,
}
"""The first reader that recognises a path reads it; any folder may hold class folders, so they come last."""

LAYOUTS = (
    "class folders (DATA/<class>/*.jpg, or DATA/train/<class>/*.jpg with DATA/test/<class>/*.jpg), a CSV table"
    " (path,label),\nCOCO JSON, PASCAL VOC, YOLO, CVAT for images, Label Studio, FiftyOne, or as published"
    " CUB-200-2011, ImageNet-1K, Oxford-IIIT Pet, Stanford Dogs, Tiny ImageNet, Caltech and wsolevaluation"
)


def open_data(
    root: Path,
    images: Path | None = None,
    *,
    needs_labels: bool = True,
    multi_label: bool = False,
    columns: str | None = None,
) -> DataSet:
    """Recognise and read a data set for training.

    Args:
        root: the data set, in any layout of `READERS`.
        images: the folder of the images, if it is not the usual one.
        needs_labels: whether classes are needed; if not, a plain folder of images is a data set too, and one class is
            enough.
        multi_label: whether images with several labels are used; if not, they are left out.
        columns: the columns of a table, if they have unusual names: `image=NAME,label=NAME,split=NAME`.

    Raises:
        WsolError: an unknown layout, nothing to train on, or most of its images do not exist.
    """
    data = open_ground_truth(root, images, multi_label=multi_label, columns=columns)
    if needs_labels and data.kind == unlabelled.KIND:
        raise WsolError(
            f"{root} holds images ({len(data.train)}) and no class folders",
            expected="a folder for each class",
            remedy=(
                f"If it is one of the classes, give {root.resolve().parent}. To find boxes without labels, use"
                f" `wsol fit {root} --method instant`.{_hint_of_nearest(root)}"
            ),
        )
    if below := _data_below(data):
        raise WsolError(
            f"{root} holds one folder, {below.name}, which looks like a data set itself",
            expected="the data set",
            remedy=f"Give {below}.{_hint_of_nearest(root)}",
        )
    try:
        if needs_labels or not data.train:
            checked(data)
    except WsolError as error:
        hint = _hint_of_nearest(root) if data.kind == "class folders" and len(data.class_names) < 2 else ""
        raise _with_hint(error, _hint_of_unread(data) + hint) from None
    if not data.listed:  # else the images were found by listing these folders
        check_there(root, data.train)
    return data


def open_ground_truth(
    root: Path, images: Path | None = None, *, multi_label: bool = False, columns: str | None = None
) -> DataSet:
    """Recognise and read a data set for evaluation; a list of test images is enough, images and labels may be absent.

    Args:
        root: the data set, in any layout of `READERS`.
        images: the folder of the images, if it is not the usual one.
        multi_label: whether images with several labels are used; if not, they are left out.
        columns: the columns of a table, if they have unusual names: `image=NAME,label=NAME,split=NAME`.

    Raises:
        WsolError: an unknown layout, or one that lists no labelled image.
    """
    if not root.exists():
        raise WsolError(f"{root} does not exist", expected=LAYOUTS, remedy="Check the path.")
    if images is not None and not images.is_dir():
        raise WsolError(
            f"{images} is not a folder", expected=f"the folder of the images of {root}", remedy="Check the path."
        )
    try:
        data = _read(root, images) if columns is None else csv_table.read(root, images, columns)
        data = with_distinct_names(data)
        data = data if multi_label else with_one_label(data)
    except PermissionError as error:
        raise WsolError(
            f"cannot read {error.filename}",
            expected="a readable folder",
            remedy="Change its permissions, or move it.",
        ) from None
    if data.kind == "class folders" and len(data.class_names) < 2 and images is None and unlabelled.recognise(root):
        data = unlabelled.read(root)
    if data.train or data.test:
        return _with_nearest(data)
    raise _no_images(data)


def columns_if_table(root: Path, columns: str | None) -> str | None:
    """The columns of a run's table, if this table has them too: a run may be evaluated on another data set.

    Args:
        root: the data set.
        columns: as in the configuration of the run.
    """
    return columns if columns is not None and root.exists() and csv_table.has_columns(root, columns) else None


def _read(root: Path, images: Path | None) -> DataSet:
    for reader in READERS.values():
        if reader.recognise(root):
            try:
                return reader.read(root, images)
            except WsolError as error:
                if reader is not class_folders:
                    raise
                raise _with_hint(error, _hint_of_nearest(root)) from None
    raise WsolError(
        f"{root} is a file",
        expected=f"a folder, or a .json, .csv, .xml or .yaml file: {LAYOUTS}",
        remedy="Give one of them.",
    )


def _with_nearest(data: DataSet) -> DataSet:
    """With a doubt if images without classes look like another layout."""
    words = nearest(data.root) if data.kind in ("class folders", unlabelled.KIND) and len(data.class_names) < 2 else ""
    return replace(data, doubts=(*data.doubts, words)) if words else data


def _data_below(data: DataSet) -> Path | None:
    """The only folder below the root, if it is a data set itself (as in unpacked archives); else None."""
    if data.kind != "class folders" or len(data.class_names) != 1:
        return None
    below = data.root / data.class_names[0]
    if not below.is_dir() or below.name == "masks":
        return None
    kinds = [kind for kind, reader in READERS.items() if reader.recognise(below)]
    folders = [child.name for child in below.iterdir() if child.is_dir() and not is_litter(child.name)]
    has_classes = len(folders) > 1 or any(map(split_of, folders))
    return below if has_classes or kinds != ["class folders"] else None


def _with_hint(error: WsolError, hint: str) -> WsolError:
    remedy = f"{error.remedy or ''}{hint}".strip() or None
    return WsolError(error.problem, expected=error.expected, got=error.got, remedy=remedy)


def _hint_of_nearest(root: Path) -> str:
    words = nearest(root)
    return f" {words}" if words else ""


def _hint_of_unread(data: DataSet) -> str:
    words = in_words(unread_of(data))
    unread = f" It holds {words}: {CONVERT}" if words else ""
    table = table_in(data.root) if data.kind == "class folders" else None
    return f"{unread} If {table} lists the images, give that file." if table else unread


def _no_images(data: DataSet) -> WsolError:
    if data.mistakes:
        return WsolError(
            f"none of the {number_of(len(data.mistakes), 'image')} of {data.root} ({data.kind}) can be used",
            expected="one class each",
            remedy=f"The first mistake is {data.mistakes[0]}. Fix the labels, or give another data set.",
        )
    if data.kind == "class folders":
        hint = _hint_of_unread(data) + _hint_of_nearest(data.root)
        return WsolError(
            f"no images in {data.root}",
            expected=LAYOUTS,
            remedy=f"Give the folder that holds the class folders, or the table.{hint}",
        )
    return WsolError(
        f"no images in {data.root}",
        expected=f"a list of them in the layout {data.kind}",
        remedy="Restore its contents, or give another data set.",
    )
