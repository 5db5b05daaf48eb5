"""One COCO file: images, categories and annotations, checked when they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.data.ground_truth import Mistake
from wsol.data.untrusted import is_id, is_text, short_repr, size_of, to_float
from wsol.errors import WsolError

HEAD_CHARACTERS = 1 << 16

KEYS = ("images", "categories", "annotations")


@dataclass(frozen=True)
class CocoImage:
    """An image of the file; `image_hw` is upright (height, width), None if the file has no size."""

    file_name: str
    image_hw: tuple[int, int] | None


@dataclass(frozen=True)
class CocoFile:
    """Images and categories of a file by id, and its annotations unchanged; those without both ids are mistakes."""

    path: Path
    images: dict[int, CocoImage]
    categories: dict[int, str]
    annotations: list[dict[str, Any]]
    mistakes: tuple[Mistake, ...] = ()


def seems_coco(path: Path) -> bool:
    """Whether a file begins like COCO annotations; fast also for large files."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(HEAD_CHARACTERS)
    return head.lstrip().startswith("{") and any(key in KEYS for key in _outer_lists(head))


def _outer_lists(head: str) -> Iterator[str]:
    """The keys of lists in the outermost object; deeper keys may be `images` in files of any kind."""
    depth = 0
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:\s*\[)?|[\[\]{}]', head):
        is_list = token[2] is not None
        if is_list and depth == 1:
            yield token[1]
        depth += (is_list or token[0] in "[{") - (token[0] in "]}")


def read_coco_file(path: Path) -> CocoFile:
    """Read a file of COCO annotations.

    Raises:
        WsolError: not JSON, not COCO, or an entry without a required key.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    # A number with thousands of digits is a ValueError, deep nesting a RecursionError.
    except (ValueError, RecursionError) as error:
        raise WsolError(
            f"{path} is not JSON ({error})", expected="COCO annotations", remedy="Give another file."
        ) from None
    if not (isinstance(document, dict) and all(isinstance(document.get(key), list) for key in KEYS)):
        got, remedy = _resemblance(document)
        raise WsolError(
            f"{path} is not a file of COCO annotations",
            expected=f"an object with the lists {', '.join(KEYS)}",
            got=got,
            remedy=remedy,
        )
    images = _by_id(path, "images", document["images"], ("file_name",))
    categories = _by_id(path, "categories", document["categories"], ("name",))
    for number, row in categories.items():
        if not is_text(str(row["name"])):
            raise WsolError(
                f"{path}, category {number}",
                expected="a name",
                got=f"{short_repr(row['name'])}, which is not text",
                remedy="Rename it.",
            )
    annotations, mistakes = _annotations(path, document["annotations"])
    return CocoFile(
        path,
        {number: CocoImage(_slashes(row["file_name"]), _image_hw(row)) for number, row in images.items()},
        {number: str(row["name"]) for number, row in categories.items()},
        annotations,
        mistakes,
    )


def _resemblance(document: object) -> tuple[str, str]:
    """What a document seems to be, and advice for it."""
    first = document[0] if isinstance(document, list) and document else {}
    if isinstance(first, dict) and "image_id" in first:
        return "a list of COCO results", "Give the file of the annotated boxes, with which results are compared."
    if isinstance(first, dict) and "data" in first:
        return "tasks of Label Studio", "Export them from there as COCO."
    if isinstance(document, dict) and "shapes" in document:
        return "LabelMe's file of one image", "Convert the folder to COCO, or to a CSV table."
    if isinstance(document, dict) and "_via_img_metadata" in document:
        return "a project of the VGG Image Annotator", "Export it from there as COCO."
    if isinstance(document, dict):
        missing = [key for key in KEYS if not isinstance(document.get(key), list)]
        return f"one without {', '.join(missing)}", "Give another file, or add what is missing."
    return f"a {type(document).__name__}", "Give another file."


def _by_id(path: Path, key: str, rows: Sequence[Any], needed: Sequence[str]) -> dict[int, dict[str, Any]]:
    by_id: dict[int, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        where = f"{path}, {key}[{number}]"
        if not (
            isinstance(row, dict)
            and is_id(row.get("id"))
            and all(isinstance(row.get(name), str | int) for name in needed)
        ):
            raise WsolError(
                where,
                expected=f"an integer id and {', '.join(needed)}",
                got=short_repr(row),
                remedy="Fix the entry.",
            )
        if row["id"] in by_id:
            raise WsolError(where, expected="unique ids", got=f"{row['id']} twice", remedy=f"Renumber the {key}.")
        by_id[row["id"]] = row
    names = [str(row[needed[0]]) for row in by_id.values()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise WsolError(
            str(path),
            expected=f"every {needed[0]} of {key} once",
            got=f"{twice!r} twice",
            remedy="Merge the two entries, or rename one.",
        )
    return by_id


def _annotations(path: Path, rows: Sequence[Any]) -> tuple[list[dict[str, Any]], tuple[Mistake, ...]]:
    """The annotations with an image id and a category id, and the mistakes of the others."""
    known, mistakes = [], []
    for number, row in enumerate(rows):
        if isinstance(row, dict) and is_id(row.get("image_id")) and is_id(row.get("category_id")):
            known.append(row)
        else:
            what = f"expected integers image_id and category_id, got {kind_of(row)}"
            mistakes.append(Mistake("unknown class", f"{path}, annotations[{number}]", what))
    if mistakes and not known:
        raise WsolError(
            f"{mistakes[0].where}: {mistakes[0].what}, and so are all", remedy="Give the file of the instances."
        )
    return known, tuple(mistakes)


KINDS = {
    "caption": "a caption",
    "segments_info": "a panoptic segmentation (segments_info)",
    "keypoints": "only keypoints",
    "rbox": "a rotated box",
}
"""The kind of an annotation without a box, by one of its keys."""


def kind_of(annotation: object) -> str:
    """The kind of an annotation in words, for messages."""
    keys = annotation if isinstance(annotation, dict) else {}
    return next((name for key, name in KINDS.items() if keys.get(key)), short_repr(annotation))


def _slashes(file_name: Any) -> str:
    return str(file_name).replace("\\", "/").removeprefix("./")


def _image_hw(row: dict[str, Any]) -> tuple[int, int] | None:
    return size_of(to_float(row.get("height")), to_float(row.get("width")))
