"""One COCO file: pictures, categories and annotations, looked at before anybody relies on them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.errors import WsolError

HEAD_CHARACTERS = 1 << 16

KEYS = ("images", "categories", "annotations")


@dataclass(frozen=True)
class CocoPicture:
    """A picture as its file lists it; `image_hw` is upright (height, width), None where the file does not say."""

    file_name: str
    image_hw: tuple[int, int] | None


@dataclass(frozen=True)
class CocoFile:
    """A file's pictures by id, its categories by id as (name, supercategory), and its annotations as they stand."""

    path: Path
    pictures: dict[int, CocoPicture]
    categories: dict[int, tuple[str, str]]
    annotations: list[dict[str, Any]]


def seems_coco(path: Path) -> bool:
    """Whether the beginning of a file is that of COCO annotations; cheap, however large the file."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(HEAD_CHARACTERS)
    return head.lstrip().startswith("{") and any(key in KEYS for key in _outer_lists(head))


def _outer_lists(head: str) -> Iterator[str]:
    """The keys of the outermost object that hold lists; deeper ones may be called images in anybody's file."""
    depth = 0
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:\s*\[)?|[\[\]{}]', head):
        is_list = token[2] is not None
        if is_list and depth == 1:
            yield token[1]
        depth += (is_list or token[0] in "[{") - (token[0] in "]}")


def read_coco_file(path: Path) -> CocoFile:
    """Read a file of COCO annotations.

    Raises:
        WsolError: not JSON, not COCO, or an entry without what it needs.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WsolError(f"{path} is not JSON ({error}): expected COCO annotations. Name another file.") from None
    if not (isinstance(document, dict) and all(isinstance(document.get(key), list) for key in KEYS)):
        raise WsolError(
            f"{path} is not a file of COCO annotations: expected an object with the lists {', '.join(KEYS)}, got {_resemblance(document)}"
        )
    pictures = _by_id(path, "images", document["images"], ("file_name",))
    categories = _by_id(path, "categories", document["categories"], ("name",))
    _check_annotations(path, document["annotations"])
    return CocoFile(
        path,
        {number: CocoPicture(_slashes(row["file_name"]), _image_hw(row)) for number, row in pictures.items()},
        {number: (str(row["name"]), str(row.get("supercategory", ""))) for number, row in categories.items()},
        document["annotations"],
    )


def _resemblance(document: object) -> str:
    """What a document seems to be, and what to do then."""
    first = document[0] if isinstance(document, list) and document else {}
    if isinstance(first, dict) and "image_id" in first:
        return "a list of COCO results. Name the file of the true boxes; results are what is compared with it."
    if isinstance(first, dict) and "data" in first:
        return "tasks of Label Studio. Export them from there as COCO."
    if isinstance(document, dict) and "shapes" in document:
        return "LabelMe's file of one picture. Convert the folder to COCO, or to a CSV table."
    if isinstance(document, dict) and "_via_img_metadata" in document:
        return "a project of the VGG Image Annotator. Export it from there as COCO."
    if isinstance(document, dict):
        missing = [key for key in KEYS if not isinstance(document.get(key), list)]
        return f"one without {', '.join(missing)}. Name another file, or add what is missing."
    return f"a {type(document).__name__}. Name another file."


def _by_id(path: Path, key: str, rows: Sequence[Any], needed: Sequence[str]) -> dict[int, dict[str, Any]]:
    by_id: dict[int, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        where = f"{path}, {key}[{number}]"
        if not isinstance(row, dict) or not isinstance(row.get("id"), int) or any(name not in row for name in needed):
            raise WsolError(
                f"{where}: expected an integer id and {', '.join(needed)}, got {str(row)[:80]}. Mend the entry."
            )
        if row["id"] in by_id:
            raise WsolError(f"{where}: expected ids that differ, got {row['id']} twice. Number the {key} anew.")
        by_id[row["id"]] = row
    names = [str(row[needed[0]]) for row in by_id.values()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise WsolError(
            f"{path}: expected every {needed[0]} of {key} once, got {twice!r} twice. Merge the two entries, or rename one."
        )
    return by_id


def _check_annotations(path: Path, rows: Sequence[Any]) -> None:
    for number, row in enumerate(rows):
        if not (
            isinstance(row, dict) and isinstance(row.get("image_id"), int) and isinstance(row.get("category_id"), int)
        ):
            raise WsolError(
                f"{path}, annotations[{number}]: expected integers image_id and category_id, got {str(row)[:80]}. "
                "Mend the entry, or name the file of the instances (not of captions)."
            )


def _slashes(file_name: Any) -> str:
    return str(file_name).replace("\\", "/").removeprefix("./")


def _image_hw(row: dict[str, Any]) -> tuple[int, int] | None:
    height, width = row.get("height"), row.get("width")
    if isinstance(height, int | float) and isinstance(width, int | float) and height >= 1 and width >= 1:
        return int(height), int(width)
    return None
