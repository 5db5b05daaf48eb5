"""The score ranks boxes by their maps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsol.config.options import Box
from wsol.geometry.contrast import colours_of
from wsol.geometry.objects import find_objects
from wsol.geometry.scores import CONTRAST_WEIGHT, LEVELS, SIZE_PX, agreement, score_of, stability

Y, X = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX


def square_of(side: int, value: float = 1.0) -> np.ndarray:
    """A map that is `value` in a square in its middle, else 0."""
    heatmap = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    start = (SIZE_PX - side) // 2
    heatmap[start : start + side, start : start + side] = value
    return heatmap


def corners(mask: np.ndarray) -> tuple[int, int, int, int]:
    y, x = np.nonzero(mask)
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def stability_by_loops(heatmap: np.ndarray, inside: np.ndarray) -> float:
    """Mean IoU of the object's box with the box of what surrounds its peak at each level, as loops."""
    peak = max(zip(*np.nonzero(inside), strict=True), key=lambda place: heatmap[place])
    x0, y0, x1, y1 = corners(inside)
    found = []
    for level in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        mask = heatmap.astype(np.float64) > level  # else numpy rounds the level to 32 bits, and 0.6 is not above it
        if not mask[peak]:
            found.append(0.0)
            continue
        piece = mask.astype(np.uint8)
        cv2.floodFill(piece, None, (int(peak[1]), int(peak[0])), 2, flags=8)
        u0, v0, u1, v1 = corners(piece == 2)
        common = max(min(x1, u1) - max(x0, u0), 0) * max(min(y1, v1) - max(y0, v0), 0)
        found.append(common / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - common))
    return sum(found) / 9


SMALL_MAPS = arrays.arrays(np.float32, (6, 5), elements=st.floats(0, 1, width=32))


@settings(deadline=None, max_examples=40)
@given(SMALL_MAPS)
def test_stability_equals_the_loops(small: np.ndarray) -> None:
    heatmap = cv2.resize(small, (SIZE_PX, SIZE_PX))
    for found in find_objects(heatmap, (SIZE_PX, SIZE_PX), Box()):
        assert stability(heatmap, found.mask) == pytest.approx(stability_by_loops(heatmap, found.mask))


@settings(deadline=None, max_examples=40)
@given(SMALL_MAPS, st.floats(0.05, 0.95))
def test_a_score_lies_between_0_and_1(small: np.ndarray, threshold: float) -> None:
    for found in find_objects(small, (40, 30), Box(threshold=threshold, objects="all", min_area=0)):
        assert 0 <= found.score <= 1


def test_a_map_of_ones_and_zeros_is_sure() -> None:
    heatmap = square_of(40)
    assert score_of(heatmap, heatmap > 0.5) == 1


@pytest.mark.parametrize(
    ("heatmap", "expected_stability", "expected_agreement"),
    [
        pytest.param(square_of(40, 0.55), 5 / 9, 0.55, id="a faint object is there at five thresholds of nine"),
        pytest.param(
            np.maximum(square_of(40), square_of(80, 0.35)),
            (6 + 3 / 4) / 9,
            1600 / (1600 + 0.35 * 4800),
            id="what surrounds it swallows it at low thresholds",
        ),
        pytest.param(
            np.maximum(square_of(40, 0.65), square_of(20)),
            (6 + 3 / 4) / 9,
            (400 + 0.65 * 1200) / 1600,
            id="at high thresholds only its core is left",
        ),
    ],
)
def test_what_lowers_a_score(heatmap: np.ndarray, expected_stability: float, expected_agreement: float) -> None:
    inside = heatmap > 0.5
    assert stability(heatmap, inside) == pytest.approx(expected_stability)
    assert agreement(heatmap, inside) == pytest.approx(expected_agreement)
    assert score_of(heatmap, inside) == pytest.approx((expected_stability * expected_agreement) ** 0.5)


def test_a_distant_object_lowers_only_the_agreement() -> None:
    one = square_of(20)
    both = one.copy()
    both[:10, :10] = 1
    inside = one > 0.5
    assert stability(both, inside) == 1
    assert agreement(both, inside) == pytest.approx(400 / 500)


def test_objects_found_together_do_not_lower_each_others_scores() -> None:
    both = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    both[20:50, 20:50] = both[80:110, 70:110] = 1
    assert [found.score for found in find_objects(both, both.shape, Box(objects="all"))] == [1, 1]
    (alone,) = find_objects(both, both.shape, Box())
    assert alone.score == pytest.approx((1200 / 2100) ** 0.5), "which of the two it is, nothing tells"


def test_the_size_of_the_image_does_not_matter() -> None:
    heatmap = np.exp(-((Y - 0.4) ** 2 + (X - 0.6) ** 2) / 0.05).astype(np.float32)
    scores = [find_objects(heatmap, hw, Box())[0].score for hw in ((SIZE_PX, SIZE_PX), (500, 900), (64, 64))]
    assert scores == pytest.approx([scores[0]] * 3, rel=0.02)


def test_an_object_smaller_than_a_pixel_of_the_square_still_has_a_score() -> None:
    mask = np.zeros((2000, 2000), bool)
    mask[777, 1234] = True
    assert 0 <= score_of(np.full((32, 32), 0.6, np.float32), mask) <= 1


def test_colours_that_end_at_the_border_raise_the_score() -> None:
    heatmap = square_of(40)
    inside = heatmap > 0.5
    scores = {}
    for side in (40, 50, 128):  # of what is red: the object, more than it, everything
        red = square_of(side) > 0.5
        pixels = np.stack([np.where(red, 200, 20), np.full(red.shape, 20), np.where(red, 20, 200)]).astype(np.uint8)
        scores[side] = score_of(heatmap, inside, colours=colours_of(pixels))
    assert scores[40] == 1 and scores[40] > scores[50] > scores[128]
    assert scores[128] == pytest.approx(1 / (1 + CONTRAST_WEIGHT)), "a map that is sure counts more than colours"


def test_the_levels_are_tenths() -> None:
    assert LEVELS.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
