"""Boxes of any system: COCO results, a CSV table, or what `wsol predict` wrote."""

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
from wsol.data.readers.csv_rows import listed
from wsol.data.untrusted import is_id, shown
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.results.names import alike, matched_in
from wsol.results.rows import Table, read_json, read_predictions, read_table
from wsol.storage.folders import manifest_of

CORNERS = ("x0", "y0", "x1", "y1")
REQUIRED = ("path", *CORNERS)
OPTIONAL = ("score", "class")
INSTANCES = "instances.json"
EXPORTED = {"coco": "results.json", "csv": "boxes.csv"}
"""The file of boxes in what `wsol export` writes, for the formats that are read here."""


@dataclass(frozen=True)
class ScoredBoxes:
    """What was found in one image, best first: boxes in its upright pixels, their scores, and their classes if
    known.
    """

    boxes: Boxes
    scores: Float[np.ndarray, " n"]
    class_names: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.scores) == len(self.class_names):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.scores)} scores, {len(self.class_names)} classes")


@dataclass(frozen=True)
class BoxResults:
    """What was found in every image asked for; nothing found is a result."""

    by_id: dict[str, ScoredBoxes]
    unknown: tuple[str, ...]
    """Names in the file that are none of the images asked for."""


def read_boxes(file: Path, image_ids: Sequence[str], coco_ids: Mapping[int, str] | None) -> BoxResults:
    """Read boxes from COCO results (.json), a table (.csv), `wsol predict`'s folder or predictions.jsonl, or the folder
    of an export.

    `coco_ids` are the numbers of the ground truth's images, where it is COCO's too; an instances.json beside the results comes
    first.

    Raises:
        WsolError: another kind of file, a bad row, names that fit several images, or none of an image asked for.
    """
    found = _found(file, coco_ids)
    check_pixels([one.xyxy for some in found.values() for one in some], str(file))
    id_of = matched_in(file, found, image_ids)
    rows = {image_id: found[name] for name, image_id in id_of.items()}
    by_id = {image_id: _best_first(rows.get(image_id, [])) for image_id in image_ids}
    return BoxResults(by_id, tuple(name for name in found if name not in id_of))


class _Found(NamedTuple):
    xyxy: Xyxy
    score: float
    class_name: str | None


def _best_first(found: list[_Found]) -> ScoredBoxes:
    ordered = sorted(found, key=lambda one: -one.score)  # of equal scores, the first in the file stays first
    return ScoredBoxes(
        Boxes.of([one.xyxy for one in ordered]),
        np.array([one.score for one in ordered], dtype=np.float64),
        tuple(one.class_name for one in ordered),
    )


def _found(file: Path, coco_ids: Mapping[int, str] | None) -> dict[str, list[_Found]]:
    """By the file's own names of images."""
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
        f"{file} is no file of boxes by its name",
        expected=f"COCO results (.json), a table {','.join(REQUIRED)} (.csv), or what `wsol predict` wrote (.jsonl)",
        remedy="Rename or convert it.",
    )


def _exported(folder: Path) -> Path | None:
    """The file of boxes where the folder is an export of ours."""
    manifest = manifest_of(folder, "export")
    if manifest is None or manifest["stage"] != "export":
        return None
    form = manifest["settings"].get("format")
    if not isinstance(form, str) or form not in EXPORTED:
        raise WsolError(
            f"{folder} is an export in the format {form if isinstance(form, str) else shown(form)}",
            expected=f"{' or '.join(EXPORTED)}, or what `wsol predict` wrote",
            remedy="Name the folder of predictions, or export them with `--format coco`.",
        )
    return folder / EXPORTED[form]


def _checked(corners: Sequence[float], score: float, class_name: str | None, where: str) -> _Found:
    x0, y0, x1, y1 = corners
    if not all(map(math.isfinite, (*corners, score))):
        raise WsolError(
            f"{where}", expected="finite corners and score", got=f"{x0},{y0},{x1},{y1} and {score}", remedy="Fix it."
        )
    if x1 < x0 or y1 < y0:
        raise WsolError(
            f"{where}: expected x0 <= x1 and y0 <= y1, got {x0},{y0},{x1},{y1}; swapped corners or xywh? Fix it."
        )
    return _Found((x0, y0, x1, y1), score, class_name)


def _from_predictions(path: Path) -> dict[str, list[_Found]]:
    return {
        one.image: [_checked(found.xyxy, found.score, one.class_name, where) for found in one.objects]
        for where, one in read_predictions(path)
    }


# CSV


def _from_table(file: Path, table: Table) -> dict[str, list[_Found]]:
    _check_columns(file, table.columns)
    found: dict[str, list[_Found]] = {}
    for where, cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        rows = found.setdefault(row["path"], [])
        if not any(row[name] for name in CORNERS):  # how `wsol export` lists an image without a box
            continue
        try:
            corners = [float(row[name]) for name in CORNERS]
            score = float(row.get("score", 1.0))
        except ValueError:
            raise WsolError(
                f"{where}", expected="numbers for the corners and the score", got=f"{shown(row)}", remedy="Fix it."
            ) from None
        # Tables of `wsol export` are ground truth too, whose readers call a class the label.
        rows.append(_checked(corners, score, unguarded(row.get("class") or row.get("label") or "") or None, where))
    return found


def _check_columns(file: Path, columns: tuple[str, ...]) -> None:
    wanted = (*REQUIRED, *OPTIONAL)
    others = [name for name in columns if name not in wanted]
    missing = [name for name in REQUIRED if name not in columns]
    head = (
        f"{file} has the columns {listed(columns)}: expected {','.join(REQUIRED)} (corners in pixels, x1 = x0 + width)"
        f" and, if you have them, {','.join(OPTIONAL)}."
    )
    if missing:
        near = {name: _holding(name, others) or alike(name, others) for name in missing}
        hints = "".join(f" Did you mean {some[0]!r} to be {name}?" for name, some in near.items() if some)
        raise WsolError(f"{head} Rename or add {', '.join(missing)}.{hints}")
    if len({*columns} & {*wanted}) < sum(name in wanted for name in columns):
        raise WsolError(f"{head} One of them stands there twice; rename or remove it.")
    for name in OPTIONAL:
        meant = _holding(name, others)
        if meant and name not in columns:  # to overlook `scores` would make all boxes equally good
            raise WsolError(f"{head} Did you mean {meant[0]!r} to be {name}? Rename it, or remove it.")


def _holding(word: str, columns: list[str]) -> list[str]:
    return [column for column in columns if word in column.lower()]


# COCO


def _from_coco(file: Path, coco_ids: Mapping[int, str] | None) -> dict[str, list[_Found]]:
    rows = read_json(file)
    if not isinstance(rows, list):
        got = f"an object with {listed([*rows], ', ')}" if isinstance(rows, dict) else shown(rows)
        raise WsolError(
            f"{file} holds {got}",
            expected="COCO results, a list of {image_id, bbox, score, category_id}",
            remedy="Name the file of results, which is not that of annotations.",
        )
    beside = file.with_name(INSTANCES)
    name_of, class_of = _instances(beside) if beside.exists() else (coco_ids, {})
    found: dict[str, list[_Found]] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{file}, entry {number}"
        image_id, corners, score, category_id = _coco_row(row, where)
        name = image_id if isinstance(image_id, str) else _coco_name(image_id, name_of, where)
        found.setdefault(name, []).append(_checked(corners, score, class_of.get(category_id), where))
    return found


def _coco_row(row: Any, where: str) -> tuple[int | str, list[float], float, Any]:
    try:
        image_id, box, category_id = row["image_id"], row["bbox"], row.get("category_id")
        if not isinstance(box, list) or not isinstance(image_id, int | str) or isinstance(image_id, bool):
            raise TypeError
        hash(category_id)  # a list is no number of a category
        x, y, width, height = map(float, box)
        return image_id, [x, y, x + width, y + height], float(row["score"]), category_id
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise WsolError(
            f"{where}",
            expected="an image_id (a number or a path), a bbox [x, y, width, height] and a score",
            got=f"{shown(row)}",
            remedy="Fix it.",
        ) from None


def _coco_name(image_id: int, name_of: Mapping[int, str] | None, where: str) -> str:
    if name_of is None:
        raise WsolError(
            f"{where}: image_id {image_id} is a number, and nothing says of which image",
            expected=f"an {INSTANCES} beside the file, or ground truth in COCO's format",
            remedy="Put it there, or write paths for image_id.",
        )
    return name_of.get(image_id, f"image_id {image_id}")


def _instances(file: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Names of images and of classes by their numbers."""
    content = read_json(file)
    try:
        return _names(content["images"], "file_name"), _names(content.get("categories", []), "name")
    except (KeyError, TypeError, AttributeError) as error:
        raise WsolError(
            f"{file} is not COCO ({shown(error)})",
            expected="images with id and file_name, and categories with id and name",
            remedy="Fix it, or move it away from the results.",
        ) from None


def _names(rows: list[dict[str, Any]], key: str) -> dict[int, str]:
    names = {row["id"]: row[key] for row in rows}
    if not all(is_id(number) and isinstance(name, str) for number, name in names.items()):
        raise TypeError(f"an id is no integer, or a {key} no text")
    return names
