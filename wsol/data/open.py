"""Which data set is this? The one place that knows all readers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from wsol.data.image_files import check_there
from wsol.data.readers import class_folders, coco, csv_table, cub, imagenet, unlabelled, voc, wsolevaluation
from wsol.data.samples import DataSet, checked
from wsol.data.splits import part_of
from wsol.data.unread import CONVERT, in_words, unread_of
from wsol.errors import WsolError
from wsol.storage.litter import is_litter
from wsol.text import number_of


class Reader(Protocol):
    """What the module of a layout has."""

    def recognise(self, root: Path) -> bool:
        """Whether a path looks like this layout; cheap."""
        ...

    def read(self, root: Path, images: Path | None = None) -> DataSet:
        """Its images and labels; the ground truth stays unread. `images` says where the images are, if not in their usual
        place.
        """
        ...


READERS: dict[str, Reader] = {
    "CUB-200-2011": cub,
    "wsolevaluation": wsolevaluation,
    "ImageNet-1K": imagenet,
    "COCO": coco,
    "PASCAL VOC": voc,
    "CSV table": csv_table,
    "class folders": class_folders,
}
"""The first that recognises a path reads it; any folder may be class folders, so they come last."""

LAYOUTS = (
    "class folders (DATA/<class>/*.jpg, or DATA/train/<class>/*.jpg with DATA/test/<class>/*.jpg), a CSV table"
    " (path,label),\nCOCO JSON, PASCAL VOC, or CUB-200-2011, ImageNet-1K and wsolevaluation's lists as published"
)


def open_data(root: Path, images: Path | None = None, *, needs_labels: bool = True) -> DataSet:
    """Recognise and read a data set to learn from; `images` says where the images are, if not in their usual place.

    Where no labels are needed, a folder that holds images is a data set too, and one class is enough.

    Raises:
        WsolError: no layout that is known, nothing to learn from in it, or most of its images are elsewhere.
    """
    data = open_ground_truth(root, images)
    if needs_labels and data.kind == unlabelled.KIND:
        raise WsolError(
            f"{root} holds images ({len(data.train)}) and no class folders",
            expected="a folder for each class",
            remedy=(
                f"If it is one of the classes, name {root.resolve().parent}; boxes without labels come from `wsol fit"
                f" {root} --method instant`."
            ),
        )
    if below := _data_below(data):
        raise WsolError(
            f"{root} holds one folder, {below.name}, which looks like a data set itself",
            expected="that one",
            remedy=f"Name {below}.",
        )
    try:
        if needs_labels or not data.train:
            checked(data)
    except WsolError as error:
        raise WsolError(f"{error}{_hint_of_unread(data)}") from None
    if not data.listed:  # else the images were found by looking into these folders
        check_there(root, data.train)
    return data


def open_ground_truth(root: Path, images: Path | None = None) -> DataSet:
    """Recognise and read a data set to compare with; a mere list of test images will do, and they may be absent. Labels
    may be, too.

    Raises:
        WsolError: no layout that is known, or no labelled image listed in it.
    """
    if not root.exists():
        raise WsolError(f"{root} does not exist", expected=LAYOUTS, remedy="Check the path.")
    if images is not None and not images.is_dir():
        raise WsolError(
            f"{images} is no folder", expected=f"the one that holds the images of {root}", remedy="Check the path."
        )
    try:
        data = _read(root, images)
    except PermissionError as error:
        raise WsolError(
            f"cannot read {error.filename}",
            expected="a readable folder",
            remedy="Change its permissions, or move it elsewhere.",
        ) from None
    if data.kind == "class folders" and len(data.class_names) < 2 and images is None and unlabelled.recognise(root):
        return unlabelled.read(root)
    if data.train or data.test:
        return data
    raise WsolError(_nothing_in(data))


def _read(root: Path, images: Path | None) -> DataSet:
    for reader in READERS.values():
        if reader.recognise(root):
            return reader.read(root, images)
    raise WsolError(
        f"{root} is a file", expected=f"a folder, or a .json or .csv file: {LAYOUTS}", remedy="Name one of them."
    )


def _data_below(data: DataSet) -> Path | None:
    """The only folder of what would be class folders with one class, when it is a data set in its own right: unpacked
    archives have it.
    """
    if data.kind != "class folders" or len(data.class_names) != 1:
        return None
    below = data.root / data.class_names[0]
    if not below.is_dir():
        return None
    kinds = [kind for kind, reader in READERS.items() if reader.recognise(below)]
    folders = [child.name for child in below.iterdir() if child.is_dir() and not is_litter(child.name)]
    has_classes = len(folders) > 1 or any(map(part_of, folders))
    return below if has_classes or kinds != ["class folders"] else None


def _hint_of_unread(data: DataSet) -> str:
    words = in_words(unread_of(data))
    return f" It holds {words}: {CONVERT}" if words else ""


def _nothing_in(data: DataSet) -> str:
    if data.mistakes:
        return (
            f"none of the {number_of(len(data.mistakes), 'image')} of {data.root} ({data.kind}) can be used: expected"
            f" one class each. The first is {data.mistakes[0]}. Fix the labels, or name another data set."
        )
    if data.kind == "class folders":
        return (
            f"no images in {data.root}: expected {LAYOUTS}. Name the folder that holds the class folders, or the"
            f" table.{_hint_of_unread(data)}"
        )
    return (
        f"no images in {data.root}: expected a list of them as {data.kind} has it. Restore its contents, or name"
        " another data set."
    )
