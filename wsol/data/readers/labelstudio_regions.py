"""The regions of one annotation in Label Studio: their labels and outlines, in fractions of the image."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from wsol.data.readers.annotated import Outline, Shape, ShapeError
from wsol.data.readers.coco_masks import run_lengths_of
from wsol.data.readers.labelstudio_brush import brush_mask
from wsol.data.untrusted import short_repr, size_of, to_float
from wsol.geometry.boxes import tight_box

LABELS = ("rectanglelabels", "polygonlabels", "brushlabels", "labels", "ellipselabels", "keypointlabels")
OUTLINES = ("width", "points", "rle", "radiusX", "x")
"""A value with one of these keys is drawn on the image."""


def tags_of(regions: Iterable[Any]) -> tuple[str, ...]:
    """The choices of the whole image; those of a region are attributes of it."""
    values = [_value(region) for region in regions]
    return tuple(
        text for value in values if not _is_drawn(value) for text in _texts(value.get("choices")) if text.strip()
    )


def shapes_of(regions: Iterable[Any], where: str) -> tuple[Shape, ...]:
    """The objects: each region with an outline, with the labels of all entries of its id.

    Args:
        regions: the entries of `result`.
        where: the position of the task.
    """
    drawn: dict[str, Mapping[str, Any]] = {}
    labels: dict[str, list[str]] = defaultdict(list)
    for number, region in enumerate(regions, start=1):
        value = _value(region)
        key = str(region["id"]) if isinstance(region, dict) and isinstance(region.get("id"), str) else f"#{number}"
        labels[key] += [text.strip() for name in LABELS for text in _texts(value.get(name))]
        if _is_drawn(value):
            drawn.setdefault(key, region)
    return tuple(
        Shape(class_name, f"{where}, region {number}", partial(_outline, region))
        for number, (key, region) in enumerate(drawn.items(), start=1)
        for class_name in dict.fromkeys(labels[key] or [""])
    )


def image_size(regions: Iterable[Any]) -> tuple[int, int] | None:
    """(height, width) of the image, if all regions have the same."""
    sizes = {_size(region) for region in regions if isinstance(region, dict) and "original_width" in region}
    return next(iter(sizes)) if len(sizes) == 1 else None


def _value(region: Any) -> Mapping[str, Any]:
    value = region.get("value") if isinstance(region, dict) else None
    return value if isinstance(value, dict) else {}


def _is_drawn(value: Mapping[str, Any]) -> bool:
    return any(key in value for key in OUTLINES)


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _size(region: Mapping[str, Any]) -> tuple[int, int] | None:
    return size_of(to_float(region.get("original_height")), to_float(region.get("original_width")))


def _outline(region: Mapping[str, Any]) -> Outline:
    value = _value(region)
    if to_float(region.get("image_rotation") or 0) % 360 != 0:
        raise ShapeError("no true box", "expected an image that was not rotated in Label Studio")
    if "rle" in value:
        return _brush(region, value)
    if "points" in value:
        return _polygon(value)
    if not {"x", "y", "width", "height"} <= value.keys():
        shape = "an ellipse" if "radiusX" in value else "a point" if "x" in value else short_repr(dict(value))
        raise ShapeError("no true box", f"expected a rectangle, polygon or brush, got {shape}")
    if to_float(value.get("rotation") or 0) % 360 != 0:
        # The upright box around a rotated one is larger than that of the object.
        raise ShapeError(
            "no true box",
            f"expected an upright box, got one rotated by {short_repr(value['rotation'])}; draw a polygon",
        )
    x, y, width, height = (to_float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    return Outline((x, y, x + width, y + height))


def _polygon(value: Mapping[str, Any]) -> Outline:
    points = value["points"] if isinstance(value["points"], list) else []
    numbers = [to_float(number) / 100 for point in points if isinstance(point, list) for number in point]
    if len(numbers) < 6 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise ShapeError("not a number", f"expected points [[x, y], [x, y], [x, y]], got {short_repr(value['points'])}")
    xs, ys = numbers[::2], numbers[1::2]
    return Outline((min(xs), min(ys), max(xs), max(ys)), [numbers])


def _brush(region: Mapping[str, Any], value: Mapping[str, Any]) -> Outline:
    image_hw = _size(region)
    if image_hw is None:
        raise ShapeError("broken mask", "expected original_width and original_height beside a brush, got none")
    try:
        mask = brush_mask(value["rle"], image_hw)
    except ValueError as error:
        raise ShapeError("broken mask", str(error)) from None
    box = tight_box(mask)
    if box is None:
        raise ShapeError("no area", "expected at least one pixel of the object, got an empty mask")
    height, width = image_hw
    x0, y0, x1, y1 = box
    return Outline((x0 / width, y0 / height, x1 / width, y1 / height), run_lengths_of(mask))
