"""Compare a map with annotated boxes at all thresholds at once, under each rule for a box from a map."""

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
"""A function from half-open boxes to the IoU of each with the best matching annotated box."""
PerThreshold = Float[np.ndarray, " thresholds"]
BoxRule = Literal["largest component", "largest contour", "any contour"]


class Layers:
    """A map cut at every threshold: layer t has the pixels `levels > t`. Holds the component trees when computed."""

    def __init__(self, levels: UInt8[np.ndarray, "height width"]) -> None:
        self.levels = levels
        self.count = int(levels.max(initial=0))
        """Layers 0 .. count - 1 are not empty."""

    @cached_property
    def bright(self) -> Components:
        """The objects of all layers."""
        return bright_components(self.levels)

    @cached_property
    def holes(self) -> Components | None:
        """The background components around and inside the objects, of all layers with a hole; None if there is none."""
        has_hole = self.bright.holes > 0
        return dark_components(self.levels, int(self.bright.last[has_hole].max())) if has_hole.any() else None


def layers_at(heatmap: Float[np.ndarray, "_ _"], thresholds: Float[np.ndarray, " thresholds"]) -> Layers:
    """Layers whose layer i has the pixels above `thresholds[i]`, compared in the precision of the map.

    Args:
        heatmap: height x width.
        thresholds: at most 255, ascending.
    """
    levels = np.searchsorted(thresholds.astype(heatmap.dtype), heatmap.ravel(), side="left")
    return Layers(levels.reshape(heatmap.shape).astype(np.uint8))


def best_fits(layers: Layers, rule: BoxRule, fit: Fit) -> PerThreshold:
    """The IoU of the rule's box on each layer that is not empty.

    Args:
        layers: of the map.
        rule: how a box is made from a layer.
        fit: the IoU of boxes with the ground truth.
    """
    return _RULES[rule](layers, fit)


def largest_component(layers: Layers) -> Corners:
    """The box of the component with the most pixels on each layer; with equal sizes, the upper, then the left one."""
    rows = layers.bright
    order = np.lexsort((-rows.xyxy[:, 0], -rows.xyxy[:, 1], rows.pixels))
    return np.asarray(rows.xyxy[_last_painted(order, rows.first, rows.last, layers.count)])


def largest_contour(layers: Layers) -> Corners:
    """The box of the contour with the largest `cv2.contourArea` on each layer, the first one in `cv2.findContours`.

    The area between a contour's pixel centres is the solid area of its component plus that of its holes. So it is known
    except for components with holes, whose area is at least their own solid area and at most that of their box. If this
    is not decisive, the contours of that layer are traced. OpenCV lists contours from the last start to the first.
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
    """The box (x0, y0, x1, y1) of the largest contour of one mask, which must not be empty, by OpenCV."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x, y, x + width, y + height


def _any_contour(layers: Layers, fit: Fit) -> PerThreshold:
    """Outer contours and contours of holes; the latter run along the pixels around the hole, one pixel further out."""
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
    """Paint each row on the layers first .. last, in this order; returns the row on top of each layer."""
    top = np.zeros(count, np.int64)
    for row in order:
        for layer in range(first[row], min(last[row] + 1, count)):
            top[layer] = row
    return top


@no_type_check
@compiled
def _contested(rows, first, last, most, chosen, least):
    """The layers on which one of `rows` may be larger than the chosen one: its upper bound reaches the lower bound."""
    doubtful = np.zeros(len(chosen), np.bool_)
    for row in rows:
        for layer in range(first[row], min(last[row] + 1, len(chosen))):
            if chosen[layer] != row and most[row] >= least[layer]:
                doubtful[layer] = True
    return doubtful
