"""The pointing game on maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.ground_truth import GroundTruthMask
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.metrics.pointing import pointing_hit


def peaks(*pixels: tuple[int, int], hw: tuple[int, int] = (6, 8)) -> np.ndarray:
    """A map with the same highest value at some (row, column)."""
    heatmap = np.full(hw, 0.1, np.float32)
    for pixel in pixels:
        heatmap[pixel] = 0.8
    return heatmap


@pytest.mark.parametrize(
    ("heatmap", "boxes", "expected"),
    [
        pytest.param(peaks((2, 3)), [(3, 2, 5, 4)], 1, id="the first pixel of the box"),
        pytest.param(peaks((3, 4)), [(3, 2, 5, 4)], 1, id="its last pixel"),
        pytest.param(peaks((3, 5)), [(3, 2, 5, 4)], 0, id="the pixel to the right of it"),
        pytest.param(peaks((1, 3)), [(3, 2, 5, 4)], 0, id="the pixel above it: no tolerance"),
        pytest.param(peaks((0, 0)), [(3, 2, 5, 4), (0, 0, 1, 1)], 1, id="any box counts"),
        pytest.param(peaks((2, 3)), [(3.4, 2.5, 5, 4)], 1, id="a pixel is inside if its centre is"),
        pytest.param(peaks((2, 3)), [(3.6, 2.0, 5, 4)], 0, id="and outside if its centre is"),
        pytest.param(peaks((2, 3), (0, 0)), [(3, 2, 5, 4)], 0.5, id="one of two peaks"),
        pytest.param(np.full((6, 8), 0.3, np.float32), [(0, 0, 4, 3)], 0.25, id="a constant map: the area"),
        pytest.param(peaks((2, 3)) + np.float32(1e-8), [(3, 2, 5, 4)], 1, id="rounding"),
        pytest.param(peaks((2, 3)), [], None, id="no box"),
    ],
)
def test_the_highest_value_is_inside_a_box(heatmap: np.ndarray, boxes: list[Xyxy], expected: float | None) -> None:
    assert pointing_hit(heatmap, Boxes.of(boxes), None) == expected


def mask_of(objects: str) -> GroundTruthMask:
    """One row of pixels: o is the object, i is ignored."""
    letters = np.array(list(objects))[None]
    return GroundTruthMask(letters == "o", letters == "i")


@pytest.mark.parametrize(
    ("values", "mask", "expected"),
    [
        pytest.param([0.1, 0.9, 0.2], ".o.", 1, id="inside"),
        pytest.param([0.9, 0.1, 0.2], ".o.", 0, id="outside, although inside the box"),
        pytest.param([0.9, 0.1, 0.5], "i.o", 1, id="an ignored pixel is left out, then a hit"),
        pytest.param([0.9, 0.5, 0.1], "i.o", 0, id="an ignored pixel is left out, then a miss"),
        pytest.param([0.9, 0.5, 0.1], "iii", None, id="everything is ignored"),
        pytest.param([0.9, 0.5, 0.1], "...", 0, id="an empty mask"),
    ],
)
def test_a_mask_decides_instead_of_the_box(values: list[float], mask: str, expected: float | None) -> None:
    heatmap = np.array([values], np.float32)
    assert pointing_hit(heatmap, Boxes.of([(0, 0, 3, 1)]), mask_of(mask)) == expected


def by_loops(heatmap: np.ndarray, boxes: list[Xyxy]) -> float:
    """The fraction of the highest pixels whose centre is in any box."""
    height, width = heatmap.shape
    highest = [(y, x) for y in range(height) for x in range(width) if heatmap[y, x] == heatmap.max()]
    inside = [any(b[0] <= x + 0.5 < b[2] and b[1] <= y + 0.5 < b[3] for b in boxes) for y, x in highest]
    return sum(inside) / len(inside)


edges = st.integers(0, 32).map(lambda step: step / 4)
some_boxes = st.lists(
    st.tuples(edges, edges, edges, edges).map(
        lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
    ),
    min_size=1,
    max_size=3,
)


@given(some_boxes, st.integers(0, 10**6))
def test_the_pointing_game_is_its_definition(boxes: list[Xyxy], seed: int) -> None:
    heatmap = np.random.default_rng(seed).integers(0, 5, (8, 8)).astype(np.float32) / 4
    assert pointing_hit(heatmap, Boxes.of(boxes), None) == pytest.approx(by_loops(heatmap, boxes))
