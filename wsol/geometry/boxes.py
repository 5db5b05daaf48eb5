"""Boxes as half-open pixel intervals: `x0 <= x < x1`, `y0 <= y < y1`, 0-based."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from wsol.errors import WsolError

Xyxy = tuple[float, float, float, float]


@dataclass(frozen=True)
class Boxes:
    """N boxes; `width == x1 - x0`, so a one-pixel box has area 1 without any `+ 1`.

    Args:
        xyxy: rows of x0, y0, x1, y1 in pixels.
    """

    xyxy: Float[np.ndarray, "n 4"]

    def __post_init__(self) -> None:
        """Reject boxes that would silently score an IoU of zero.

        Raises:
            WsolError: another shape, not finite, or swapped corners.
        """
        if self.xyxy.ndim != 2 or self.xyxy.shape[1] != 4:
            raise WsolError("invalid boxes", expected="an array of shape (n, 4)", got=f"shape {self.xyxy.shape}")
        for is_wrong, expected, question in (
            (~np.isfinite(self.xyxy), "finite corners", ""),
            (self.xyxy[:, 2:] < self.xyxy[:, :2], "x0 <= x1 and y0 <= y1", "; swapped corners or xywh?"),
        ):
            if is_wrong.any():
                first = int(is_wrong.any(axis=1).argmax())
                got = f"{self.xyxy[first].tolist()}{question}"
                raise WsolError(f"invalid box {first}", expected=expected, got=got)

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def of(cls, rows: list[Xyxy]) -> Boxes:
        """Boxes from a possibly empty list."""
        return cls(np.asarray(rows, dtype=np.float64).reshape(-1, 4))

    def clipped(self, image_hw: tuple[int, int]) -> Boxes:
        """The boxes clipped to an image of (height, width) `image_hw`, in pixels."""
        height, width = image_hw
        return Boxes(self.xyxy.clip(0, np.asarray([width, height, width, height], dtype=np.float64)))

    def areas(self) -> Float[np.ndarray, " n"]:
        """Width times height, in square pixels."""
        sides = self.xyxy[:, 2:] - self.xyxy[:, :2]
        return np.asarray(sides[:, 0] * sides[:, 1])


def iou(a: Boxes, b: Boxes) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every pair of boxes; 0 if both boxes are empty.

    Returns:
        One row for each box of `a`, one column for each box of `b`.
    """
    low = np.maximum(a.xyxy[:, None, :2], b.xyxy[None, :, :2])
    high = np.minimum(a.xyxy[:, None, 2:], b.xyxy[None, :, 2:])
    sides = (high - low).clip(min=0)
    common = sides[..., 0] * sides[..., 1]
    union = a.areas()[:, None] + b.areas()[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


COVERING = 0.95
"""A box of at least this fraction of the image's area does not localize the object."""


def covers(corners: Sequence[float], image_hw: Sequence[int]) -> bool:
    """Whether a box (x0, y0, x1, y1) covers at least `COVERING` of its image (height, width)."""
    x0, y0, x1, y1 = corners
    return (x1 - x0) * (y1 - y0) >= COVERING * image_hw[0] * image_hw[1]


def tight_box(mask: Bool[np.ndarray, "height width"]) -> Xyxy | None:
    """The smallest box that contains all pixels of the mask.

    Returns:
        x0, y0, x1, y1 in pixels, half-open; None for an empty mask.
    """
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if columns.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def centre_box(image_hw: tuple[int, int], fraction: float) -> Xyxy:
    """A baseline that ignores the image: a centred box with this fraction of the image's width and height."""
    height, width = image_hw
    margin = (1 - fraction) / 2
    return width * margin, height * margin, width * (1 - margin), height * (1 - margin)
