"""The nearest layout of a data set that no reader recognises, and what to do with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from wsol.storage.litter import is_litter

MANY = 200
"""So many files that match a sign are looked at; a folder may hold a million."""
HEAD_CHARACTERS = 4000

TO_COCO = "Export or convert it to COCO JSON, which is read with boxes and masks."


@dataclass(frozen=True)
class Layout:
    """One row of the table."""

    name: str
    """As in `looks like ...`."""
    signs: tuple[str, ...]
    """Patterns below the folder; the layout is near if a file matches one of them."""
    advice: str
    """What to do, in one sentence or more."""
    words: tuple[str, ...] = ()
    """Texts of which the beginning of such a file has one; none for files that are not read."""
    is_alone: bool = False
    """Whether the folder of the signs is the only one."""


# fmt: off
NEAREST: tuple[Layout, ...] = (
    Layout("YOLO labels without class names", ("labels/*.txt", "labels/*/*.txt", "*/labels/*.txt"),
           "Write the class names into classes.txt, one a line in the order of their numbers, or into data.yaml.",
           ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")),
    Layout("YOLO or Darknet settings", ("*.names", "*.data"),
           "Save the class names as classes.txt, one a line, beside `images` and `labels`."),
    Layout("TensorFlow records", ("*.tfrecord", "*.tfrecord-*", "*/*.tfrecord", "*.tfrec", "*/*.tfrec"),
           f"Their images are packed. {TO_COCO}"),
    Layout("files of LabelMe, one for each image", ("*.json", "*/*.json"), TO_COCO, ('"shapes"',)),
    Layout("a project of the VGG Image Annotator", ("*.json", "*/*.json"),
           "Export it from there as COCO.", ('"_via_img_metadata"', '"regions"', '"_via_settings"')),
    Layout("a Supervisely project", ("ann/*.json", "*/ann/*.json", "meta.json"),
           "Export it from there as COCO.", ('"objects"', '"classTitle"', '"projectType"', '"classes"')),
    Layout("CreateML annotations", ("*.json", "*/*.json"), TO_COCO, ('"coordinates"',)),
    Layout("a FiftyOne dataset with its own fields", ("samples.json",),
           "Export it from FiftyOne with `dataset_type=fiftyone.types.COCODetectionDataset`, or"
           " ImageClassificationDirectoryTree for labels alone."),
    Layout("PASCAL VOC's segmentation, without annotations of objects",
           ("SegmentationClass/*.png", "SegmentationObject/*.png"),
           "Its masks name no class of an image: add Annotations/*.xml, or sort the images into class folders with the"
           " masks as masks/<class>/<image>.png."),
    Layout("masks alone, as `wsol export --format masks` writes them", ("masks/*.png", "masks/*/*.png"),
           "Put `masks` beside the class folders of their images: masks/<class>/<image>.png.", is_alone=True),
    Layout("an export of crops", ("crops/*/*.jpg",), "They are class folders: give `crops`. They have no boxes.",
           is_alone=True),
    Layout("KITTI's labels", ("label_2/*.txt", "*/label_2/*.txt"), TO_COCO),
    Layout("tables of Open Images", ("annotations/*-bbox.csv", "*-annotations-bbox.csv"), TO_COCO),
    Layout("annotations of Datumaro", ("annotations/*.json",), TO_COCO, ('"dm_format_version"', '"media_type"')),
)
# fmt: on
"""The first row that is near counts."""


def nearest(root: Path) -> str:
    """What a folder looks like and what to do, in sentences; empty if it resembles none of the table."""
    found = next((layout for layout in NEAREST if root.is_dir() and _is_near(root, layout)), None)
    return "" if found is None else f"It looks like {found.name}. {found.advice}"


def _is_near(root: Path, layout: Layout) -> bool:
    if layout.is_alone and sum(path.is_dir() and not is_litter(path.name) for path in root.iterdir()) > 1:
        return False
    return any(not layout.words or _has_word(path, layout.words) for path in _matches(root, layout.signs))


def _matches(root: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from (path for path in islice(root.glob(pattern), MANY) if path.is_file())


def _has_word(path: Path, words: tuple[str, ...]) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(HEAD_CHARACTERS)
    except OSError:
        return False
    return any(word in head for word in words)
