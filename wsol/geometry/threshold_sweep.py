"""A map against annotated boxes at every threshold at once, under each rule that makes a box from a map."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, no_type_check

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from wsol.geometry.component_tree import Components, bright_components, dark_components
from wsol.geometry.numba_cache import compiled

Corners = Float[np.ndarray, "n 4"]
Fits = Float[np.ndarray, " n"]
Fit = Callable[[Corners], Fits]
"""How well each of some boxes (half-open) fits the true one that it fits best."""
PerThreshold = Float[np.ndarray, " thresholds"]


class Layers:
    """A map cut at every threshold: layer t has the pixels `levels > t`. Holds the component trees once they are
    made.
    """

    def __init__(self, levels: UInt8[np.ndarray, "height width"]) -> None:
        self.levels = levels
        self.count = int(levels.max(initial=0))
        """Layers 0 .. count - 1 have pixels."""

    @cached_property
    def bright(self) -> Components:
        """The objects of all layers."""
        return bright_components(self.levels)

    @cached_property
    def holes(self) -> Components | None:
        """What is around and inside of them, of all layers that have a hole; None where no layer has."""
        has_hole = self.bright.holes > 0
        return dark_components(self.levels, int(self.bright.last[has_hole].max())) if has_hole.any() else None


def layers_at(heatmap: Float[np.ndarray, "_ _"], thresholds: Float[np.ndarray, " thresholds"]) -> Layers:
    """Layer i has the pixels above `thresholds[i]`; at most 255 of them, ascending, compared in the map's precision."""
    places = np.searchsorted(thresholds.astype(heatmap.dtype), heatmap.ravel(), side="left")
    return Layers(places.reshape(heatmap.shape).astype(np.uint8))


def best_fits(layers: Layers, rule: BoxRule, fit: Fit) -> PerThreshold:
    """How well the rule's box fits on each layer that has pixels."""
    return _RULES[rule](layers, fit)


def largest_component(layers: Layers) -> Corners:
    """The box of the component with the most pixels on each layer; of equal ones the upper, then the left one."""
    rows = layers.bright
    order = np.lexsort((-rows.xyxy[:, 0], -rows.xyxy[:, 1], rows.pixels))
    return np.asarray(rows.xyxy[_last_painted(order, rows.first, rows.last, layers.count)])


def largest_contour(layers: Layers) -> Corners:
    """The box of the contour with the largest `cv2.contourArea` on each layer, the first that `cv2.findContours` lists.

    The area between a contour's pixel centres is the solid area of its component, and of what the component surrounds.
    So it is known but for components with holes, which have at least their own solid area and at most their box's.
    Where that leaves a doubt, the contours of that layer are drawn. OpenCV lists contours from the last start to the
    first.
    """
    rows = layers.bright
    order = np.lexsort((rows.start, rows.solid_twice))
    chosen = _last_painted(order, rows.first, rows.last, layers.count)
    sides = rows.xyxy[:, 2:] - rows.xyxy[:, :2] - 1
    surrounding = np.flatnonzero(rows.holes > 0)
    doubtful = _contested(
        surrounding, rows.first, rows.last, 2 * sides[:, 0] * sides[:, 1], chosen, rows.solid_twice[chosen]
    )
    boxes = rows.xyxy[chosen]
    for layer in np.flatnonzero(doubtful):
        boxes[layer] = drawn_largest_contour(layers.levels > layer)
    return np.asarray(boxes)


def drawn_largest_contour(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of the largest contour of one mask that is not empty."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x, y, x + width, y + height


def _any_contour(layers: Layers, fit: Fit) -> PerThreshold:
    """Outer contours, and those around holes: they run over the pixels next to the hole, a pixel further on each
    side.
    """
    rows = layers.bright
    boxes, first, last = [rows.xyxy], [rows.first], [rows.last]
    if layers.holes is not None:
        dark = layers.holes
        height, width = layers.levels.shape
        is_hole = (dark.xyxy[:, :2] > 0).all(axis=1) & (dark.xyxy[:, 2:] < [width, height]).all(axis=1)
        boxes.append(dark.xyxy[is_hole] + np.array([-1, -1, 1, 1]))
        first.append(dark.first[is_hole])
        last.append(dark.last[is_hole])
    fits = fit(np.concatenate(boxes))
    return np.asarray(fits[_last_painted(np.argsort(fits), np.concatenate(first), np.concatenate(last), layers.count)])


_RULES: dict[BoxRule, Callable[[Layers, Fit], PerThreshold]] = {
    "largest component": lambda layers, fit: fit(largest_component(layers)),
    "largest contour": lambda layers, fit: fit(largest_contour(layers)),
    "any contour": _any_contour,
}


@no_type_check
@compiled
def _last_painted(order, first, last, count):
    """Paint each row over the layers first .. last in this order; which row is seen on each layer in the end."""
    seen = np.zeros(count, np.int64)
    for row in order:
        for layer in range(first[row], min(last[row] + 1, count)):
            seen[layer] = row
    return seen


@no_type_check
@compiled
def _contested(rows, first, last, most, chosen, least):
    """On which layers one of `rows`, not the chosen one, may have as much as the chosen one has at least."""
    doubtful = np.zeros(len(chosen), np.bool_)
    for row in rows:
        for layer in range(first[row], min(last[row] + 1, len(chosen))):
            if chosen[layer] != row and most[row] >= least[layer]:
                doubtful[layer] = True
    return doubtful


BoxRule = Literal["largest component", "largest contour", "any contour"]
