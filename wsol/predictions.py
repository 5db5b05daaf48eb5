"""What `wsol predict` leaves: one JSON line per picture, its masks as COCO run lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

from wsol.boxes import Xyxy
from wsol.errors import WsolError
from wsol.folders import read_json

LINES = "predictions.jsonl"
COMMAND = "wsol predict RUN IMAGES --out OUT"


@dataclass(frozen=True)
class PredictedObject:
    """One object: half-open pixel box, score in [0, 1], mask as COCO's compressed run lengths (`size`, `counts`)."""

    xyxy: Xyxy
    score: float
    rle: dict[str, Any]

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The mask over the whole upright picture."""
        return np.asarray(coco_mask.decode(self.rle), dtype=bool)


@dataclass(frozen=True)
class Prediction:
    """One picture: its path below the image root, upright size, objects (none is a result), and class."""

    image: str
    image_hw: tuple[int, int]
    objects: tuple[PredictedObject, ...]
    label: int | None
    class_name: str | None
    top5: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Predictions:
    """A finished prediction folder: where its pictures are, the class names, and the lines."""

    folder: Path
    image_root: Path
    class_names: tuple[str, ...]
    mend: Callable[[Prediction], Prediction | None] | None = None
    """What a review made of a picture; None leaves the picture out."""
    originals: Mapping[str, str] = field(default_factory=dict)
    """The names on the disk of images that are called otherwise here, since no format could hold their own."""

    def __iter__(self) -> Iterator[Prediction]:
        lines = read_lines(self.folder / LINES)
        if self.mend is None:
            return lines
        return (mended for line in lines if (mended := self.mend(line)) is not None)

    def path_of(self, prediction: Prediction) -> Path:
        """Where the image is."""
        return self.image_root / self.originals.get(prediction.image, prediction.image)


def encode(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as run lengths that JSON can hold."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def to_line(prediction: Prediction) -> str:
    """One line of JSON, without its newline."""
    return json.dumps(asdict(prediction), ensure_ascii=False, separators=(",", ":"))


def read_lines(path: Path) -> Iterator[Prediction]:
    """The predictions of a file, in its order.

    Raises:
        WsolError: the file is absent, or a line is not what `wsol predict` writes.
    """
    try:
        file = path.open(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise WsolError(
            f"no {path.name} in {path.parent}: expected the result of `{COMMAND}`. Run that again."
        ) from None
    with file:
        for number, line in enumerate(file, start=1):
            try:
                yield _from_row(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise WsolError(
                    f"{path}, line {number}: not a prediction ({error!r}). Correct that line, or run `{COMMAND}` again."
                ) from None


def _from_row(row: dict[str, Any]) -> Prediction:
    objects = tuple(PredictedObject(_four(one["xyxy"]), float(one["score"]), one["rle"]) for one in row.pop("objects"))
    top5 = tuple((str(name), float(probability)) for name, probability in row.pop("top5"))
    height, width = row.pop("image_hw")
    return Prediction(**row, image_hw=(height, width), objects=objects, top5=top5)


def _four(values: list[float]) -> Xyxy:
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1


def write_lines(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions, one a line."""
    with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(to_line(prediction) + "\n" for prediction in predictions)


def open_predictions(folder: Path) -> Predictions:
    """Open what `wsol predict` wrote.

    Raises:
        WsolError: the folder is not a finished prediction folder.
    """
    manifest = read_json(folder / "manifest.json", COMMAND)
    if manifest.get("stage") != "predict":
        raise WsolError(
            f"{folder} holds the result of `wsol {manifest.get('stage')}`: expected that of `{COMMAND}`. Name that folder."
        )
    return Predictions(folder, Path(manifest["figures"]["image_root"]), tuple(manifest["figures"]["class_names"]))
