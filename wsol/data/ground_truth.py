"""Ground truth for evaluation: annotated boxes and masks, each checked before it is used; mistakes are listed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool

from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.text import number_of

Kind = Literal[
    "swapped corners",
    "outside the image",
    "reaches outside, clipped",
    "not a number",
    "fractions",
    "no area",
    "unknown class",
    "several classes",
    "unknown image",
    "missing image",
    "broken image",
    "other size",
    "no true box",
    "no label",
    "unexpected object",
    "broken mask",
]

ROUNDING_PX = 1.0
"""Some published boxes end up to a pixel outside the image (CUB's do); such a box is clipped silently."""


FRACTIONS = (-1.0, 1.5)
"""Corners that are all in this range are fractions of the image, including corners of centre boxes a little outside the
image, and those counted from 1."""

MANY_FIRST_PIXELS = 5
"""So many boxes within the first pixel of their images are not plausible in pixels."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in the ground truth; wrong entries are never used."""

    kind: Kind
    where: str
    """The file, and the line, entry or image in it."""
    what: str
    """The expected and the actual value."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.what}"


@dataclass(frozen=True)
class GroundTruthMask:
    """The pixels of the object, and the pixels to be ignored; no pixel is both."""

    is_object: Bool[np.ndarray, "height width"]
    is_ignored: Bool[np.ndarray, "height width"]


ReadMask = Callable[[tuple[int, int]], GroundTruthMask]
"""Decodes a ground-truth mask at a given (height, width), nearest neighbour. Raises `BrokenImage`. Picklable."""


@dataclass(frozen=True)
class ImageTruth:
    """The ground truth of one image: boxes in pixels of the upright image, and a mask if there is one.

    A data set with masks only has no boxes; one without image sizes has no `image_hw`, and only masks can be evaluated.
    """

    boxes: Boxes
    image_hw: tuple[int, int] | None
    read_mask: ReadMask | None = None
    has_object: bool = True
    """False for an image of a class without objects, which has neither boxes nor a mask."""
    by_class: Mapping[str, ImageTruth] = field(default_factory=dict)
    """The ground truth of each class of an object; empty if the ground truth does not name them."""

    def __post_init__(self) -> None:
        """Refuse an object in an image without one."""
        if not self.has_object and (len(self.boxes) or self.read_mask is not None):
            raise ValueError("an image without an object has no boxes and no mask")


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth of a data set by image id, and the mistakes in the rest."""

    by_id: Mapping[str, ImageTruth]
    mistakes: tuple[Mistake, ...] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Upright (height, width) by image id in the ground truth, also of images whose boxes are all wrong."""

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.by_id

    def __getitem__(self, image_id: str) -> ImageTruth:
        return self.by_id[image_id]

    def of_class(self, image_id: str, class_name: str) -> ImageTruth | None:
        """The ground truth of the objects of one class in an image; of all objects if it does not name their classes.

        Returns:
            None if no object of the class is annotated.
        """
        whole = self.by_id.get(image_id)
        return whole.by_class.get(class_name) if whole is not None and whole.by_class else whole


def remedy_for(mistakes: tuple[Mistake, ...]) -> str:
    """Advice, in a sentence or two, for a ground truth without any usable entry."""
    if not mistakes:
        return "Check the paths in the ground truth, or give another file."
    return (
        f"It has {number_of(len(mistakes), 'mistake')}, first {str(mistakes[0]).rstrip('.')}. Fix that, or give"
        " another ground truth."
    )


def size_mistake(ground_truth: GroundTruth, image_id: str, image_hw: tuple[int, int]) -> Mistake | None:
    """The mistake of an image whose size differs from that in its ground truth; None if the sizes agree.

    Args:
        ground_truth: of the data set.
        image_id: the image.
        image_hw: upright (height, width) of the image, in pixels.
    """
    annotated_hw = ground_truth.sizes.get(image_id, image_hw)
    if annotated_hw == image_hw:
        return None
    swapped = " (swapped, as written by tools that ignore EXIF)" if annotated_hw == image_hw[::-1] else ""
    return Mistake(
        "other size",
        image_id,
        f"expected the (height, width) {annotated_hw} of its ground truth, got {image_hw}{swapped}",
    )


def are_fractions(corners: Iterable[float]) -> bool:
    """Whether corners of boxes are all so small that they must be fractions of the image instead of pixels."""
    low, high = FRACTIONS
    return all(low <= corner <= high for corner in corners)


def _has_fraction(corners: Iterable[float]) -> bool:
    return not all(float(corner).is_integer() for corner in corners)


def check_pixels(boxes: Sequence[Xyxy], where: str) -> None:
    """Refuse boxes that are all fractions of their images.

    Args:
        boxes: x0, y0, x1, y1.
        where: the file, for the error.

    Raises:
        WsolError: all boxes are fractions.
    """
    # 0,0,0,0 stands for "no object" in some files.
    boxes = [box for box in boxes if box[2] > box[0] and box[3] > box[1]]
    # One or two boxes in the first pixel may be real; many of them, or fractions of a pixel, are not.
    is_odd = len(boxes) >= MANY_FIRST_PIXELS or any(map(_has_fraction, boxes))
    if is_odd and all(map(are_fractions, boxes)):
        x0, y0, x1, y1 = boxes[0]
        raise WsolError(
            f"{where}: all {number_of(len(boxes), 'box')} lie within 0..1, the first is {x0:g},{y0:g},{x1:g},{y1:g}",
            expected="corners in pixels",
            got="what seem to be fractions of the image",
            remedy="Multiply x by the width and y by the height of each image.",
        )


def count_kinds(mistakes: tuple[Mistake, ...]) -> dict[Kind, int]:
    """The number of mistakes of each kind, the most frequent first."""
    return dict(Counter(mistake.kind for mistake in mistakes).most_common())


@dataclass
class Collector:
    """Collects boxes from a reader: keeps the valid ones, and notes the mistakes in the others."""

    corners_are_pixels: bool = False
    """Corners are the first and the last pixel (wsolevaluation's lists), so that x0 == x1 is a box one pixel wide."""
    may_be_fractions: bool = True
    """False if corners were converted from fractions: then a box in the first pixel of its image is one."""
    mistakes: list[Mistake] = field(default_factory=list)
    _rows: dict[str, list[tuple[str, Xyxy]]] = field(default_factory=dict)
    """Class and box of the objects of each image."""
    _fractions: list[Xyxy] = field(default_factory=list)
    """Boxes that seem to be fractions of the image."""
    _first: str = ""
    """Position of the first box in the file."""
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _masks: dict[str, ReadMask] = field(default_factory=dict)
    _class_masks: dict[str, dict[str, ReadMask]] = field(default_factory=dict)

    def note(self, kind: Kind, where: str, what: str) -> None:
        """Record a mistake."""
        self.mistakes.append(Mistake(kind, where, what))

    def add(
        self,
        image_id: str,
        corners: tuple[float, float, float, float],
        image_hw: tuple[int, int],
        where: str,
        class_name: str = "",
    ) -> None:
        """Add a box if it is valid, else note the mistake.

        Args:
            image_id: the image.
            corners: x0, y0, x1, y1 in pixels of the upright image.
            image_hw: upright (height, width), in pixels.
            where: the position in the file, for the mistake.
            class_name: class of the object, if the objects of an image may have several.
        """
        x0, y0, x1, y1 = corners
        height, width = image_hw
        shown = f"{x0:g},{y0:g},{x1:g},{y1:g}"
        if not all(map(math.isfinite, corners)):
            self.note("not a number", where, f"expected four finite numbers, got {shown}")
        elif x1 < x0 or y1 < y0:
            self.note("swapped corners", where, f"expected x0 < x1 and y0 < y1, got {shown}; swapped corners or xywh?")
        elif self.may_be_fractions and are_fractions(corners) and _has_fraction(corners) and max(image_hw) > 1:
            self._fractions.append(corners)
            self._first = self._first or where
            self.note("fractions", where, f"expected corners in pixels, got {shown}; fractions of the image?")
        elif x0 >= width or y0 >= height or x1 < 0 or y1 < 0 or (not self.corners_are_pixels and (x1 == 0 or y1 == 0)):
            self.note("outside the image", where, f"expected a box in an image of {width} x {height}, got {shown}")
        elif (x1 == x0 or y1 == y0) and not self.corners_are_pixels:
            self.note("no area", where, f"expected a box with a width and a height, got {shown}")
        else:
            if min(x0, y0, width - x1, height - y1) < -ROUNDING_PX:
                self.note(
                    "reaches outside, clipped", where, f"expected a box in an image of {width} x {height}, got {shown}"
                )
            self._first = self._first or where
            clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
            self._rows.setdefault(image_id, []).append((class_name, clipped))
        self._sizes[image_id] = image_hw

    def add_mask(
        self, image_id: str, read_mask: ReadMask, image_hw: tuple[int, int] | None, class_name: str | None = None
    ) -> None:
        """Add a mask, which is read only when it is needed.

        Args:
            image_id: the image.
            read_mask: reads the mask.
            image_hw: upright (height, width) in pixels, if known.
            class_name: the class of the objects in the mask; None for all objects of the image.
        """
        if class_name is None:
            self._masks[image_id] = read_mask
        else:
            self._class_masks.setdefault(image_id, {})[class_name] = read_mask
        if image_hw is not None:
            self._sizes[image_id] = image_hw

    def ground_truth(self) -> GroundTruth:
        """The valid boxes and masks, and the mistakes.

        Raises:
            WsolError: all boxes are fractions of their images.
        """
        if self.may_be_fractions:
            self._check_pixels()
        by_id = {image_id: self._image_truth(image_id) for image_id in self._rows | self._masks}
        return GroundTruth(by_id, tuple(self.mistakes), dict(self._sizes))

    def _image_truth(self, image_id: str) -> ImageTruth:
        rows, image_hw = self._rows.get(image_id, []), self._sizes.get(image_id)
        class_names, masks = dict.fromkeys(name for name, _ in rows), self._class_masks.get(image_id, {})
        by_class = {
            one: ImageTruth(Boxes.of([box for name, box in rows if name == one]), image_hw, masks.get(one))
            for one in class_names
            if "" not in class_names
        }
        boxes = Boxes.of([box for _, box in rows])
        return ImageTruth(boxes, image_hw, self._masks.get(image_id), by_class=by_class)

    def _check_pixels(self) -> None:
        check_pixels([*self._fractions, *(box for rows in self._rows.values() for _, box in rows)], self._first)
