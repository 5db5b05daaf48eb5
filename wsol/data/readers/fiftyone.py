"""FiftyOne's `labels.json` beside `data/`: image classification and image detection. Its COCO folders are COCO."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from wsol.data.ground_truth import Mistake
from wsol.data.images import images_under
from wsol.data.readers.annotated import AnnotatedImage, Outline, Shape, ShapeError, Split, data_set
from wsol.data.readers.written_paths import parts_of
from wsol.data.samples import DataSet
from wsol.data.splits import split_of
from wsol.data.untrusted import is_id, is_number, is_text, short_repr, to_float
from wsol.errors import WsolError
from wsol.storage.links import refuse_special

KIND = "FiftyOne"
NAME = "labels.json"
HEAD_CHARACTERS = 1 << 16
_CLASSES = re.compile(r'\s*\{\s*"classes"\s*:\s*(\[|null)')
_LABELS = re.compile(r'\s*\{\s*"labels"\s*:\s*\{')


def recognise(root: Path) -> bool:
    """Whether there is such a labels.json, in the folder or in those of its splits."""
    return bool(_files(root))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images, labels and splits; boxes are read later.

    Args:
        root: the folder of labels.json and data, that of one such folder for each split, or the file.
        images: the folder of the images, if it is not `data`.

    Raises:
        WsolError: a file that is not JSON, or not FiftyOne's.
    """
    files = _files(root)
    home = root if root.is_dir() else root.parent
    documents = {file: _document(file) for _, file in files}
    declared = [name for document in documents.values() for name in _class_names(document)]

    def read_images() -> Iterator[AnnotatedImage]:
        for split, file in files:
            folder = file.parent / "data" if images is None else images
            lead = "" if file.parent == home else f"{file.parent.name}/data/"
            yield from _images(file, documents[file], folder, split, lead if images is None else "")

    return data_set(KIND, root, read_images, in_fractions=True, declared=declared)


def _files(root: Path) -> list[tuple[Split, Path]]:
    if not root.is_dir():
        return [("", root)] if root.suffix.lower() == ".json" and _seems_labels(root) else []
    if _seems_labels(root / NAME):
        return [("", root / NAME)]
    found = ((split_of(path.name), path / NAME) for path in sorted(root.iterdir()) if path.is_dir())
    return [(split, file) for split, file in found if split and _seems_labels(file)]


def _seems_labels(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        head = opened.read(HEAD_CHARACTERS)
    return bool(_LABELS.match(head) or (_CLASSES.match(head) and '"labels"' in head))


def _document(file: Path) -> dict[str, Any]:
    refuse_special(file)
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    # A number with thousands of digits is a ValueError, deep nesting a RecursionError.
    except (OSError, ValueError, RecursionError) as error:
        raise WsolError(
            f"{file} is not JSON ({error})", expected="classes and labels", remedy="Export it again."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("labels"), dict):
        raise WsolError(f"{file} has no labels", expected="an object for each image", remedy="Export it again.")
    return document


def _class_names(document: dict[str, Any]) -> list[str]:
    classes = document.get("classes")
    return [name for name in classes if isinstance(name, str) and is_text(name)] if isinstance(classes, list) else []


def _images(file: Path, document: dict[str, Any], folder: Path, split: Split, lead: str) -> Iterator[AnnotatedImage]:
    """The images of a file by their names without suffix, and those below `data` that it does not name."""
    found = {path.relative_to(folder).as_posix(): path for path in images_under(folder)} if folder.is_dir() else {}
    names = {str(PurePosixPath(name).with_suffix("")): name for name in reversed(found)}
    classes = document.get("classes")
    for key, label in document["labels"].items():
        where = f"{file}, {short_repr(key)}"
        written = "/".join(parts_of(key))
        name = names.get(key) or names.get(written) or (written if written in found else f"{written}.jpg")
        problem = None if written else Mistake("unknown image", where, "expected the name of an image")
        tags, shapes = _labels(label, classes if isinstance(classes, list) else [], where)
        yield AnnotatedImage(f"{lead}{name}", folder / name, where, split, tags, shapes, problem=problem)
    named = {names.get(key) for key in document["labels"]}
    for name, path in found.items():
        if name not in named and str(PurePosixPath(name).with_suffix("")) not in document["labels"]:
            yield AnnotatedImage(f"{lead}{name}", path, f"{file}, {name}", split)


def _labels(label: Any, classes: list[Any], where: str) -> tuple[tuple[str, ...], tuple[Shape, ...]]:
    """The labels of an image and its objects: one label or several, or a list of objects with a label each."""
    rows = label if isinstance(label, list) else [] if label is None else [label]
    if any(isinstance(row, dict) and "bounding_box" in row for row in rows):
        return (), tuple(_shape(row, classes, f"{where}, object {number}") for number, row in enumerate(rows, start=1))
    texts = (row.get("label") if isinstance(row, dict) else row for row in rows)
    return tuple(_name(text, classes) or "" for text in texts if text is not None), ()


def _name(label: Any, classes: list[Any]) -> str | None:
    if is_id(label):
        label = classes[label] if 0 <= label < len(classes) else None
    return label.strip() if isinstance(label, str) and is_text(label) else None


def _shape(row: Any, classes: list[Any], where: str) -> Shape:
    label = row.get("label") if isinstance(row, dict) else None
    name = _name(label, classes)
    if name is None:
        return Shape(None, where, partial(_refuse_class, label))
    return Shape(name, where, partial(_outline, row.get("bounding_box")))


def _refuse_class(label: Any) -> Outline:
    raise ShapeError("unknown class", f"expected the name or the number of a class, got {short_repr(label)}")


def _outline(box: Any) -> Outline:
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
        what = f"expected bounding_box [x, y, width, height] in fractions of the image, got {short_repr(box)}"
        raise ShapeError("not a number", what)
    x, y, width, height = map(to_float, box)
    if not all(-0.01 <= value <= 1.01 for value in (x, y, width, height)):
        raise ShapeError("outside the image", f"expected fractions of the image, got {short_repr(box)}; pixels?")
    return Outline((x, y, x + width, y + height))
