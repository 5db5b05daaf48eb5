"""Boxes of any system: COCO results, a CSV table, or predictions of `wsol predict`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from wsol.data.csv_cells import unguarded
from wsol.data.ground_truth import check_pixels
from wsol.data.readers.csv_rows import column_list
from wsol.data.untrusted import is_id, short_repr
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.results.names import matched_in, similar_names
from wsol.results.rows import Table, read_json, read_predictions, read_table
from wsol.storage.folders import manifest_of

CORNERS = ("x0", "y0", "x1", "y1")
REQUIRED = ("path", *CORNERS)
OPTIONAL = ("score", "class")
INSTANCES = "instances.json"
EXPORTED = {"coco": "results.json", "csv": "boxes.csv"}
"""The file of boxes in an export of `wsol export`, for the formats that are read here."""


@dataclass(frozen=True)
class ScoredBoxes:
    """The boxes of one image, best first: in pixels of the upright image, with scores, and classes if known."""

    boxes: Boxes
    scores: Float[np.ndarray, " n"]
    class_names: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.scores) == len(self.class_names):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.scores)} scores, {len(self.class_names)} classes")

    def of_class(self, class_name: str) -> ScoredBoxes:
        """The boxes of a class, and those whose class is not known."""
        kept = [i for i, own in enumerate(self.class_names) if own in (class_name, None)]
        names = tuple(self.class_names[i] for i in kept)
        return ScoredBoxes(Boxes(self.boxes.xyxy[kept]), self.scores[kept], names)


@dataclass(frozen=True)
class BoxResults:
    """The boxes of every requested image; an image without boxes is a result too."""

    by_id: dict[str, ScoredBoxes]
    unknown: tuple[str, ...]
    """Names in the file that are not requested images."""


def read_boxes(file: Path, image_ids: Sequence[str], coco_ids: Mapping[int, str] | None) -> BoxResults:
    """Read boxes from COCO results (.json), a table (.csv), predictions of `wsol predict`, or the folder of an export.

    Args:
        file: the file, the folder of predictions, or the folder of an export.
        image_ids: the requested images.
        coco_ids: image ids by COCO's image number, if the ground truth is COCO; an instances.json beside the results
            takes precedence.

    Raises:
        WsolError: another kind of file, a bad row, names that fit several images, or no requested image.
    """
    by_name = _by_name(file, coco_ids)
    check_pixels([box.xyxy for boxes in by_name.values() for box in boxes], str(file))
    id_of = matched_in(file, by_name, image_ids)
    rows = {image_id: by_name[name] for name, image_id in id_of.items()}
    by_id = {image_id: _best_first(rows.get(image_id, [])) for image_id in image_ids}
    return BoxResults(by_id, tuple(name for name in by_name if name not in id_of))


class _Box(NamedTuple):
    xyxy: Xyxy
    score: float
    class_name: str | None


def _best_first(boxes: list[_Box]) -> ScoredBoxes:
    ordered = sorted(boxes, key=lambda box: -box.score)  # boxes with equal scores keep the order of the file
    return ScoredBoxes(
        Boxes.of([box.xyxy for box in ordered]),
        np.array([box.score for box in ordered], dtype=np.float64),
        tuple(box.class_name for box in ordered),
    )


def _by_name(file: Path, coco_ids: Mapping[int, str] | None) -> dict[str, list[_Box]]:
    """Boxes by the image names of the file."""
    if not file.exists():
        raise WsolError(f"{file} does not exist", expected="a file of boxes", remedy="Check the path.")
    file = _exported(file) or file
    suffix = file.suffix.lower()
    if file.is_dir() or suffix == ".jsonl":
        return _from_predictions(file)
    if suffix == ".json":
        return _from_coco(file, coco_ids)
    if suffix == ".csv":
        return _from_table(file, read_table(file))
    raise WsolError(
        f"{file} has no suffix of a file of boxes",
        expected=f"COCO results (.json), a table {','.join(REQUIRED)} (.csv), or output of `wsol predict` (.jsonl)",
        remedy="Rename or convert it.",
    )


def _exported(folder: Path) -> Path | None:
    """The file of boxes, if the folder is an export of wsol."""
    manifest = manifest_of(folder, "export")
    if manifest is None or manifest["stage"] != "export":
        return None
    form = manifest["settings"].get("format")
    if not isinstance(form, str) or form not in EXPORTED:
        raise WsolError(
            f"{folder} is an export in the format {form if isinstance(form, str) else short_repr(form)}",
            expected=f"{' or '.join(EXPORTED)}, or output of `wsol predict`",
            remedy="Give the folder of predictions, or export them with `--format coco`.",
        )
    return folder / EXPORTED[form]


def _checked(corners: Sequence[float], score: float, class_name: str | None, where: str) -> _Box:
    x0, y0, x1, y1 = corners
    if not all(map(math.isfinite, (*corners, score))):
        raise WsolError(
            where, expected="finite corners and score", got=f"{x0},{y0},{x1},{y1} and {score}", remedy="Fix it."
        )
    if x1 < x0 or y1 < y0:
        raise WsolError(
            where,
            expected="x0 <= x1 and y0 <= y1",
            got=f"{x0},{y0},{x1},{y1}; swapped corners or xywh?",
            remedy="Fix it.",
        )
    return _Box((x0, y0, x1, y1), score, class_name)


def _from_predictions(path: Path) -> dict[str, list[_Box]]:
    return {
        prediction.image: [
            _checked(one.xyxy, one.score, one.class_name or prediction.class_name, where) for one in prediction.objects
        ]
        for where, prediction in read_predictions(path)
    }


# CSV


def _from_table(file: Path, table: Table) -> dict[str, list[_Box]]:
    _check_columns(file, table.columns)
    by_name: dict[str, list[_Box]] = {}
    for where, cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        boxes = by_name.setdefault(row["path"], [])
        if not any(row[name] for name in CORNERS):  # how `wsol export` lists an image without a box
            continue
        try:
            corners = [float(row[name]) for name in CORNERS]
            score = float(row.get("score", 1.0))
        except ValueError:
            raise WsolError(
                where, expected="numbers for the corners and the score", got=short_repr(row), remedy="Fix it."
            ) from None
        # Tables of `wsol export` can be ground truth too, whose readers call the class `label`.
        boxes.append(_checked(corners, score, unguarded(row.get("class") or row.get("label") or "") or None, where))
    return by_name


def _check_columns(file: Path, columns: tuple[str, ...]) -> None:
    wanted = (*REQUIRED, *OPTIONAL)
    others = [name for name in columns if name not in wanted]
    missing = [name for name in REQUIRED if name not in columns]
    remedy = None
    if missing:
        near = {name: _containing(name, others) or similar_names(name, others) for name in missing}
        hints = "".join(f" Did you mean {some[0]!r} to be {name}?" for name, some in near.items() if some)
        remedy = f"Rename or add {', '.join(missing)}.{hints}"
    elif len({*columns} & {*wanted}) < sum(name in wanted for name in columns):
        remedy = "One of them is there twice; rename or remove it."
    else:
        for name in OPTIONAL:
            near_name = next(iter(_containing(name, others)), None)
            if near_name and name not in columns:  # without `scores` read as `score`, all boxes would be equally good
                remedy = f"Did you mean {near_name!r} to be {name}? Rename it, or remove it."
                break
    if remedy:
        raise WsolError(
            f"{file} has the columns {column_list(columns)}",
            expected=(
                f"{','.join(REQUIRED)} (corners in pixels, x1 = x0 + width) and, if you have them, {','.join(OPTIONAL)}"
            ),
            remedy=remedy,
        )


def _containing(word: str, columns: list[str]) -> list[str]:
    return [column for column in columns if word in column.lower()]


# COCO


def _from_coco(file: Path, coco_ids: Mapping[int, str] | None) -> dict[str, list[_Box]]:
    rows = read_json(file)
    if not isinstance(rows, list):
        got = f"an object with {column_list([*rows], ', ')}" if isinstance(rows, dict) else short_repr(rows)
        raise WsolError(
            f"{file} holds {got}",
            expected="COCO results, a list of {image_id, bbox, score, category_id}",
            remedy="Give the file of results, not the file of annotations.",
        )
    beside = file.with_name(INSTANCES)
    name_of, class_of = _instances(beside) if beside.exists() else (coco_ids, {})
    by_name: dict[str, list[_Box]] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{file}, entry {number}"
        image_id, corners, score, category_id = _coco_row(row, where)
        name = image_id if isinstance(image_id, str) else _coco_name(image_id, name_of, where)
        by_name.setdefault(name, []).append(_checked(corners, score, class_of.get(category_id), where))
    return by_name


def _coco_row(row: Any, where: str) -> tuple[int | str, list[float], float, Any]:
    try:
        image_id, box, category_id = row["image_id"], row["bbox"], row.get("category_id")
        if not isinstance(box, list) or not isinstance(image_id, int | str) or isinstance(image_id, bool):
            raise TypeError
        hash(category_id)  # a list is not a category id
        x, y, width, height = map(float, box)
        return image_id, [x, y, x + width, y + height], float(row["score"]), category_id
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise WsolError(
            where,
            expected="an image_id (a number or a path), a bbox [x, y, width, height] and a score",
            got=short_repr(row),
            remedy="Fix it.",
        ) from None


def _coco_name(image_id: int, name_of: Mapping[int, str] | None, where: str) -> str:
    if name_of is None:
        raise WsolError(
            f"{where}: image_id {image_id} is a number without a known image",
            expected=f"an {INSTANCES} beside the file, or ground truth in COCO format",
            remedy="Add that file, or write paths for image_id.",
        )
    return name_of.get(image_id, f"image_id {image_id}")


def _instances(file: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Names of images and of classes by their ids."""
    content = read_json(file)
    try:
        return _names(content["images"], "file_name"), _names(content.get("categories", []), "name")
    except (KeyError, TypeError, AttributeError) as error:
        raise WsolError(
            f"{file} is not COCO ({short_repr(error)})",
            expected="images with id and file_name, and categories with id and name",
            remedy="Fix it, or move it to another folder.",
        ) from None


def _names(rows: list[dict[str, Any]], key: str) -> dict[int, str]:
    names = {row["id"]: row[key] for row in rows}
    if not all(is_id(number) and isinstance(name, str) for number, name in names.items()):
        raise TypeError(f"an id is not an integer, or a {key} is not text")
    return names
