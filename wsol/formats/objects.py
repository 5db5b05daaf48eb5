"""Functions for all formats: boxes with an area, boxes in whole pixels, the class, and counts of the objects."""

from __future__ import annotations

import math

from wsol.geometry.boxes import Boxes, Xyxy
from wsol.predictions.records import PredictedObject, Prediction, Predictions
from wsol.text import number_of

Pixels = tuple[int, int, int, int]
"""x0, y0, x1, y1 of whole pixels, half-open, 0-based."""


def clipped_boxes(prediction: Prediction) -> list[Xyxy]:
    """The boxes clipped to the image; a box without area becomes the pixel it touches, since tools refuse or drop it.

    Returns:
        x0, y0, x1, y1 in pixels of the upright image, one per object.
    """
    clipped = Boxes.of([predicted.xyxy for predicted in prediction.objects]).clipped(prediction.image_hw)
    return [
        (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else _outward((x0, y0, x1, y1), prediction.image_hw)
        for x0, y0, x1, y1 in clipped.xyxy.tolist()
    ]


def pixel_boxes(prediction: Prediction) -> list[Pixels]:
    """The boxes rounded outwards to whole pixels, inside the image and at least one pixel large."""
    return [_outward(xyxy, prediction.image_hw) for xyxy in clipped_boxes(prediction)]


def _outward(xyxy: Xyxy, image_hw: tuple[int, int]) -> Pixels:
    height, width = image_hw
    x0, x1 = _whole(xyxy[0], xyxy[2], width)
    y0, y1 = _whole(xyxy[1], xyxy[3], height)
    return x0, y0, x1, y1


def _whole(low: float, high: float, length: int) -> tuple[int, int]:
    # Six decimals: 8.0000000001 is an 8 with a rounding error and needs no further pixel.
    first = min(max(math.floor(round(low, 6)), 0), length - 1)
    return first, min(max(math.ceil(round(high, 6)), first + 1), length)


def class_of(predictions: Predictions, prediction: Prediction, one: PredictedObject) -> str:
    """The class name of an object of an image."""
    # A single name may be "object", which replaces all classes; labels are not renumbered then.
    return predictions.class_names[0 if len(predictions.class_names) == 1 else prediction.label_of(one) or 0]


def count(predictions: Predictions) -> dict[str, int]:
    """Count images, objects and images without objects."""
    objects = [len(prediction.objects) for prediction in predictions]
    return {"images": len(objects), "objects": sum(objects), "empty_images": objects.count(0)}


def summary(counts: dict[str, int]) -> str:
    """The counts in words, for the README of every format."""
    empty = number_of(counts["empty_images"], "image")
    return (
        f"{number_of(counts['images'], 'image')}, {number_of(counts['objects'], 'object')}, {empty} without an object"
    )
