"""What all formats ask of a prediction's objects: boxes with an area, whole pixels, the class, how many there are."""

from __future__ import annotations

import math

from wsol.geometry.boxes import Boxes, Xyxy
from wsol.predictions.records import Prediction, Predictions
from wsol.text import number_of

Pixels = tuple[int, int, int, int]
"""x0, y0, x1, y1 of whole pixels, half-open, 0-based."""


def clipped_boxes(prediction: Prediction) -> list[Xyxy]:
    """The parts of the boxes inside the image; where that has no area, the pixel it touches, since tools refuse or lose
    it.
    """
    clipped = Boxes.of([found.xyxy for found in prediction.objects]).clipped(prediction.image_hw)
    return [
        (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else _outward((x0, y0, x1, y1), prediction.image_hw)
        for x0, y0, x1, y1 in clipped.xyxy.tolist()
    ]


def pixel_boxes(prediction: Prediction) -> list[Pixels]:
    """The boxes, grown outwards to whole pixels, inside the image, of at least one pixel."""
    return [_outward(xyxy, prediction.image_hw) for xyxy in clipped_boxes(prediction)]


def _outward(xyxy: Xyxy, image_hw: tuple[int, int]) -> Pixels:
    height, width = image_hw
    x0, x1 = _whole(xyxy[0], xyxy[2], width)
    y0, y1 = _whole(xyxy[1], xyxy[3], height)
    return x0, y0, x1, y1


def _whole(low: float, high: float, side: int) -> tuple[int, int]:
    # Six decimals: 8.0000000001 is an 8 that went through arithmetic, not a reason for another pixel.
    first = min(max(math.floor(round(low, 6)), 0), side - 1)
    return first, min(max(math.ceil(round(high, 6)), first + 1), side)


def class_of(predictions: Predictions, prediction: Prediction) -> str:
    """The name of the class of an image's objects."""
    # One name may be "object", put in place of classes that an empty image's label still counts.
    return predictions.class_names[0 if len(predictions.class_names) == 1 else prediction.label or 0]


def count(predictions: Predictions) -> dict[str, int]:
    """How many images, objects and images without an object there are."""
    objects = [len(prediction.objects) for prediction in predictions]
    return {"images": len(objects), "objects": sum(objects), "empty_images": objects.count(0)}


def told(counts: dict[str, int]) -> str:
    """The same for a reader, `{told}` in the README of every format."""
    empty = number_of(counts["empty_images"], "image")
    return (
        f"{number_of(counts['images'], 'image')}, {number_of(counts['objects'], 'object')}, {empty} without an object"
    )
