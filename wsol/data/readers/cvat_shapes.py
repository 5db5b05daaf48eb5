"""One shape of CVAT's XML: a box, a polygon or a mask. Others are mistakes: they do not say where the object ends."""

from __future__ import annotations

import math
from functools import partial
from xml.etree.ElementTree import Element

import numpy as np

from wsol.data.readers.annotated import Outline, Shape, ShapeError
from wsol.data.readers.coco_masks import run_lengths_of
from wsol.data.untrusted import number_in, short_repr, whole_in
from wsol.geometry.boxes import Xyxy, tight_box


def shape_of(element: Element, where: str, image_hw: tuple[int, int] | None) -> Shape:
    """The object of an element, in pixels.

    Args:
        element: a child of `<image>` that is no tag.
        where: its position.
        image_hw: (height, width) of the image, None if it has none.
    """
    return Shape(element.get("label", "").strip(), where, partial(_outline, element, image_hw))


def _outline(element: Element, image_hw: tuple[int, int] | None) -> Outline:
    if element.tag == "box":
        return Outline(_box(element))
    if element.tag == "polygon":
        return _polygon(element)
    if element.tag == "mask":
        return _mask(element, image_hw)
    raise ShapeError("no true box", f"expected a box, polygon or mask, got <{short_repr(element.tag)[1:-1]}>")


def _box(element: Element) -> Xyxy:
    rotation = number_in(element.get("rotation", "0"))
    if rotation % 360 != 0:
        # The upright box around a rotated one is larger than that of the object.
        raise ShapeError(
            "no true box", f"expected an upright box, got one rotated by {element.get('rotation')}; draw a polygon"
        )
    x0, y0, x1, y1 = (number_in(element.get(name, "")) for name in ("xtl", "ytl", "xbr", "ybr"))
    return x0, y0, x1, y1


def _polygon(element: Element) -> Outline:
    written = element.get("points", "")
    numbers = [number_in(text) for point in written.split(";") for text in point.split(",")]
    if len(numbers) < 6 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise ShapeError("not a number", f"expected points `x,y;x,y;x,y`, got {short_repr(written)}")
    xs, ys = numbers[::2], numbers[1::2]
    return Outline((min(xs), min(ys), max(xs), max(ys)), [numbers])


def _mask(element: Element, image_hw: tuple[int, int] | None) -> Outline:
    """Run lengths row by row over a crop; the first counts pixels outside the object."""
    left, top, width, height = (whole_in(element.get(name, "")) for name in ("left", "top", "width", "height"))
    runs = [whole_in(text) for text in element.get("rle", "").split(",")]
    if image_hw is None or left is None or top is None or width is None or height is None:
        raise ShapeError("broken mask", "expected left, top, width and height in whole pixels in an image with a size")
    if left + width > image_hw[1] or top + height > image_hw[0]:
        raise ShapeError("broken mask", f"expected a mask inside {image_hw[1]} x {image_hw[0]}, got a larger one")
    lengths = [run for run in runs if run is not None]
    if len(lengths) != len(runs) or sum(lengths) != width * height:
        raise ShapeError("broken mask", f"expected run lengths of {width * height} pixels together, got others")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)
    mask = np.zeros(image_hw, dtype=bool)
    mask[top : top + height, left : left + width] = values
    box = tight_box(mask)
    if box is None:
        raise ShapeError("no area", "expected at least one pixel of the object, got an empty mask")
    return Outline(box, run_lengths_of(mask))
