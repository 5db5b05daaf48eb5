"""The records of `wsol predict`: one JSON line per image, masks as COCO run lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask
from pydantic import PositiveInt, TypeAdapter, ValidationError, with_config

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.geometry.mask_rle import check_run_lengths
from wsol.storage.folders import MANIFEST, manifest_of, opened, parse_json
from wsol.storage.schema import check_schema

LINES = "predictions.jsonl"
COMMAND = "wsol predict RUN IMAGES --out OUT"
SCHEMA: Literal[1] = 1
"""Schema of a line."""

_as_written = with_config(extra="forbid", strict=True, allow_inf_nan=False)
"""How a line is validated; objects made in Python are not."""


@_as_written
@dataclass(frozen=True)
class PredictedObject:
    """An object: half-open box in pixels, score in [0, 1], mask as COCO's compressed run lengths (`size`, `counts`)."""

    xyxy: Xyxy
    score: float
    rle: dict[str, Any]
    label: int | None = None
    """Its class, if the objects of an image may have several; else the image's class is that of all objects."""
    class_name: str | None = None

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The mask over the whole upright image."""
        return np.asarray(coco_mask.decode(self.rle), dtype=bool)


@_as_written
@dataclass(frozen=True)
class Prediction:
    """An image: path below the image root, upright size, objects (maybe none), class and five likeliest classes."""

    schema: Literal[1] = field(default=SCHEMA, kw_only=True, repr=False)
    """Schema of the line, which may be copied without its folder. Lines of older versions have no number and the same
    format."""
    image: str
    image_hw: tuple[PositiveInt, PositiveInt]
    objects: tuple[PredictedObject, ...]
    label: int | None
    class_name: str | None
    top5: tuple[tuple[str, float], ...]

    def label_of(self, one: PredictedObject) -> int | None:
        """The label of an object: its own, or that of the image."""
        return self.label if one.label is None else one.label


@dataclass(frozen=True)
class Predictions:
    """A finished prediction folder: where its images are, the class names, and the lines."""

    folder: Path
    image_root: Path
    class_names: tuple[str, ...]
    edit: Callable[[Prediction], Prediction | None] | None = None
    """Applied to each line when it is read, for example the decisions of a review; None leaves the image out."""
    originals: Mapping[str, str] = field(default_factory=dict)
    """Names on disk of images that are renamed here because a format cannot represent their names."""
    no_object: frozenset[str] = frozenset()
    """Names of the classes whose images contain no object, such as `good`."""
    image: Decoding = DEFAULT_DECODING
    """How the image files became pixels."""

    def __iter__(self) -> Iterator[Prediction]:
        lines = read_lines(self.folder / LINES)
        if self.edit is None:
            return lines
        return (edited for line in lines if (edited := self.edit(line)) is not None)

    def path_of(self, prediction: Prediction) -> Path:
        """The path of the image on disk."""
        return self.image_root / self.originals.get(prediction.image, prediction.image)


def encode(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as compressed run lengths, for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(length) for length in rle["size"]], "counts": rle["counts"].decode("ascii")}


def to_line(prediction: Prediction) -> str:
    """One line of JSON, without its newline."""
    line = asdict(prediction)
    for one, written in zip(prediction.objects, line["objects"], strict=True):
        if one.label is None:  # as in runs without several labels
            del written["label"], written["class_name"]
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def read_lines(path: Path) -> Iterator[Prediction]:
    """Read predictions from a file, one at a time.

    Args:
        path: a predictions.jsonl.

    Yields:
        The predictions, in the order of the file.

    Raises:
        WsolError: the file is absent or unreadable, or a line is not a valid prediction.
    """
    with opened(path, COMMAND) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield _from_line(line)
            except (ValueError, RecursionError) as error:
                where = f"{path}, line {number}"
                check_schema(_schema_of(line), SCHEMA, where, COMMAND)
                raise WsolError(
                    f"{where}: not a prediction ({_reason(error):.300})",
                    expected="what `wsol predict` writes",
                    remedy=f"Correct that line, or run `{COMMAND}` again.",
                ) from None


_LINE = TypeAdapter(Prediction)


def _from_line(line: bytes) -> Prediction:
    try:
        prediction = _LINE.validate_json(line)
    except ValidationError as error:
        if _first(error)["type"] != "json_invalid":
            raise
        # Only Python reads file names that are not UTF-8. Not strict, since the value is a dictionary.
        prediction = _LINE.validate_python(parse_json(line), strict=False)
    if "\0" in prediction.image:
        raise ValueError("the name of an image contains NUL")
    for one in prediction.objects:
        x0, y0, x1, y1 = one.xyxy
        if not (x0 <= x1 and y0 <= y1):  # not of NaN either
            raise ValueError(
                f"expected a box with x0 <= x1 and y0 <= y1, got {[x0, y0, x1, y1]}; swapped corners or xywh?"
            )
        check_run_lengths(one.rle, prediction.image_hw)
    return prediction


def _schema_of(line: bytes) -> object:
    try:
        row = parse_json(line)
    except (ValueError, RecursionError):
        return SCHEMA
    return row.get("schema", SCHEMA) if isinstance(row, dict) else SCHEMA


def _reason(error: ValueError | RecursionError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = _first(error)
    message = first["msg"].replace("Input should be", "expected")
    return f"{'.'.join(map(str, first['loc']))}: {message}" if first["loc"] else message


def _first(error: ValidationError) -> Any:
    return error.errors(include_url=False, include_input=False, include_context=False)[0]


def write_lines(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions to a file, one per line."""
    with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(to_line(prediction) + "\n" for prediction in predictions)


def open_predictions(folder: Path) -> Predictions:
    """Open a folder that `wsol predict` wrote.

    Args:
        folder: the prediction folder.

    Returns:
        The predictions, which are read when they are iterated over.

    Raises:
        WsolError: the folder is not a finished prediction folder.
    """
    manifest = manifest_of(folder, "predict")
    if manifest is None:
        raise WsolError(
            f"no {MANIFEST} of wsol in {folder}",
            expected=f"the result of `{COMMAND}`",
            remedy="Run that first, or name another folder.",
        )
    if manifest["stage"] != "predict":
        raise WsolError(
            f"{folder} holds the result of `wsol {manifest['stage']!s:.80}`",
            expected=f"that of `{COMMAND}`",
            remedy="Name a prediction folder.",
        )
    root, class_names = (manifest["figures"].get(name) for name in ("image_root", "class_names"))
    if not root or "\0" in root or class_names is None:
        raise WsolError(
            f"{folder / MANIFEST} lacks the folder of the images or their classes",
            expected=f"what `{COMMAND}` wrote",
            remedy="Run that again, into another folder.",
        )
    no_object = manifest["figures"].get("no_object")  # absent in runs without such classes
    names = no_object if isinstance(no_object, list) else ()
    return Predictions(
        folder,
        Path(root),
        tuple(class_names),
        no_object=frozenset(name for name in names if isinstance(name, str)),
        image=_image(folder, manifest["settings"].get("image", {})),
    )


def _image(folder: Path, changes: object) -> Decoding:
    try:
        return Decoding.model_validate(changes)
    except ValidationError as error:
        raise WsolError(
            f"{folder / MANIFEST} cannot be used (settings.image: {_first(error)['msg']:.200})",
            expected=f"what `{COMMAND}` wrote",
            remedy="Run that again, into another folder.",
        ) from None
