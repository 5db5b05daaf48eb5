"""`wsol export`: predictions in the formats that annotation and training tools read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Literal

from wsol.boxes import Boxes
from wsol.errors import WsolError
from wsol.folders import file_hash, is_finished, new_folder, start_over, write_manifest
from wsol.formats.coco import write_coco
from wsol.formats.crops import write_crops
from wsol.formats.csv_table import write_csv
from wsol.formats.cvat import write_cvat
from wsol.formats.fiftyone import write_fiftyone
from wsol.formats.labelstudio import write_labelstudio
from wsol.formats.masks import write_masks
from wsol.formats.voc import write_voc
from wsol.formats.yolo import write_yolo, write_yolo_polygons
from wsol.predictions import COMMAND, LINES, Prediction, Predictions, open_predictions

Format = Literal["coco", "yolo", "yolo-polygons", "voc", "labelstudio", "cvat", "fiftyone", "csv", "crops", "masks"]

WRITERS: dict[Format, Callable[[Predictions, Path], dict[str, int]]] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "yolo-polygons": write_yolo_polygons,
    "voc": write_voc,
    "labelstudio": write_labelstudio,
    "cvat": write_cvat,
    "fiftyone": write_fiftyone,
    "csv": write_csv,
    "crops": write_crops,
    "masks": write_masks,
}


def run(predictions: Path, format: Format, out: Path) -> Path:
    """Write the predictions of a folder into the new folder `out`, in another tool's format.

    Raises:
        WsolError: `predictions` is no finished prediction folder or holds a line that cannot be exported, or `out` is taken.
    """
    opened = open_predictions(predictions)
    settings, inputs = {"format": format}, {"predictions": file_hash(predictions / LINES)}
    if is_finished(out, "export", settings, inputs):
        return out
    with new_folder(out) as scratch:
        start_over(
            scratch
        )  # what a killed export left may belong to other predictions, and its hard links are in the way
        counts = WRITERS[format](checked(opened), scratch)
        write_manifest(scratch, "export", settings, inputs, counts)
    return out


def checked(predictions: Predictions) -> Predictions:
    """The same predictions after a look at each line, which people edit by hand.

    Where no object has a class (a run without a classifier), they come back with the one class "object".

    Raises:
        WsolError: a line that no format could hold.
    """
    seen: set[str] = set()
    named: set[bool] = set()
    for number, prediction in enumerate(predictions, start=1):
        try:
            _check_path(prediction.image, seen)
            _check_objects(prediction)
            _check_class(prediction, predictions.class_names, named)
        except WsolError as error:
            raise WsolError(
                f"{predictions.folder / LINES}, line {number}: {error} Correct that line, or run `{COMMAND}` again."
            ) from None
    without_classes = False in named or not predictions.class_names
    return replace(predictions, class_names=("object",)) if without_classes else predictions


def _check_path(image: str, seen: set[str]) -> None:
    path = PurePath(image)
    if path.anchor or ".." in path.parts or not path.parts:
        raise WsolError(f"expected a path below the image root, got {image!r}, which leads elsewhere.")
    if str(path) in seen:
        raise WsolError(f"expected each picture once, got {image!r} again.")
    seen.add(str(path))


def _check_objects(prediction: Prediction) -> None:
    Boxes.of([found.xyxy for found in prediction.objects])
    for found in prediction.objects:
        if tuple(found.rle["size"]) != prediction.image_hw:
            raise WsolError(
                f"expected masks of the picture's (height, width) {prediction.image_hw}, got one of {tuple(found.rle['size'])}."
            )
        if not 0 <= found.score <= 1:
            raise WsolError(f"expected scores from 0 to 1, got {found.score}.")


def _check_class(prediction: Prediction, class_names: tuple[str, ...], named: set[bool]) -> None:
    label = prediction.label
    if label is not None and (not 0 <= label < len(class_names) or class_names[label] != prediction.class_name):
        raise WsolError(
            f"expected a label and class_name that agree with manifest.json's {len(class_names)} classes, got {label} and {prediction.class_name!r}."
        )
    if prediction.objects:  # a picture without objects may well have no class
        named.add(label is not None)
    if len(named) == 2:
        raise WsolError(
            f"expected a label on every picture with objects or on none, got {label}, unlike the lines before."
        )
