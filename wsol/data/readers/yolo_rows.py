"""The rows of one YOLO label file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from wsol.data.ground_truth import Mistake
from wsol.data.readers.annotated import Outline, Shape, ShapeError
from wsol.data.untrusted import number_in, short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special

BOX, FEWEST_CORNERS = 4, 6
"""Numbers after the class: of a box, and of the smallest polygon."""
BEYOND = 0.01
"""Trainers accept numbers that are so little outside 0..1; the rest of the box is clipped."""
WHAT = "expected `class x y width height` or `class x1 y1 x2 y2 x3 y3 ...` in fractions of the image"


def read_label_file(
    file: Path, names: Mapping[int, str], *, has_keypoints: bool = False
) -> tuple[tuple[Shape, ...], Mistake | None]:
    """The objects of an image, in fractions of it.

    Args:
        file: the label file; absent or empty if the image has no label.
        names: the classes by number.
        has_keypoints: whether keypoints follow the box in every line.

    Returns:
        The objects, and the mistake of a file that cannot be read.
    """
    try:
        refuse_special(file)
        lines = file.read_text(encoding="utf-8-sig").split("\n") if file.exists() else []
    except (OSError, UnicodeDecodeError, WsolError) as error:
        return (), Mistake("unknown class", str(file), f"{WHAT}, got no text ({error})")
    rows = ((number, line.split()) for number, line in enumerate(lines, start=1) if line.strip())
    return tuple(_shape(cells, f"{file}, line {number}", names, has_keypoints) for number, cells in rows), None


def _shape(cells: list[str], where: str, names: Mapping[int, str], has_keypoints: bool) -> Shape:
    label = number_in(cells[0])
    class_name = names.get(int(label)) if label.is_integer() else None
    if class_name is None:
        return Shape(None, where, partial(_refuse_class, cells[0], max(names, default=-1)))
    return Shape(class_name, where, partial(_outline, cells[: BOX + 1] if has_keypoints else cells))


def _refuse_class(written: str, last: int) -> Outline:
    what = f"expected the number of a class from 0 to {last} in front, got {short_repr(written)}"
    raise ShapeError("unknown class", what)


def _outline(cells: list[str]) -> Outline:
    numbers = [number_in(cell) for cell in cells[1:]]
    shown = short_repr(" ".join(cells[:7]))
    if len(numbers) != BOX and (len(numbers) < FEWEST_CORNERS or len(numbers) % 2):
        score = "; a score belongs in another file" if len(numbers) == BOX + 1 else ""
        raise ShapeError("no true box", f"{WHAT}, got {len(cells)} numbers, {shown}{score}")
    if not all(map(math.isfinite, numbers)):
        raise ShapeError("not a number", f"{WHAT}, got {shown}")
    if not all(-BEYOND <= number <= 1 + BEYOND for number in numbers):
        raise ShapeError("outside the image", f"expected fractions of the image, from 0 to 1, got {shown}; pixels?")
    if len(numbers) == BOX:
        x, y, width, height = numbers
        return Outline((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    xs, ys = numbers[::2], numbers[1::2]
    return Outline((min(xs), min(ys), max(xs), max(ys)), [numbers])
