"""Boxes of all layers at once, against OpenCV's contours one layer at a time."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.config.options import Box
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.objects import find_objects
from wsol.geometry.threshold_sweep import Layers, best_fits, largest_component, largest_contour, layers_at

Levels = NDArray[np.uint8]
Corners = tuple[int, int, int, int]


def contours_by_opencv(levels: Levels, layer: int) -> list[NDArray[np.int32]]:
    """wsolevaluation's own call: outer contours and holes, in OpenCV's order."""
    _, binary = cv2.threshold(levels, layer, 255, cv2.THRESH_BINARY)
    return list(cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0])


def box_of(contour: NDArray[np.int32]) -> Corners:
    x, y, width, height = cv2.boundingRect(contour)
    return x, y, x + width, y + height


def random_map(random: np.random.Generator, side: int) -> Levels:
    return random.integers(0, 256, (side, side), dtype=np.uint8)


def smooth_map(random: np.random.Generator, side: int) -> Levels:
    coarse = random.random((6, 6), dtype=np.float32)
    fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray((fine - fine.min()) / np.ptp(fine) * 255).astype(np.uint8)


def noisy_map(random: np.random.Generator, side: int) -> Levels:
    noise = smooth_map(random, side) + random.normal(0, 6, (side, side))
    return noise.clip(0, 255).astype(np.uint8)


def constant_map(random: np.random.Generator, side: int) -> Levels:
    return np.full((side, side), random.integers(0, 256), dtype=np.uint8)


def one_pixel_map(random: np.random.Generator, side: int) -> Levels:
    levels = np.zeros((side, side), dtype=np.uint8)
    levels[tuple(random.integers(0, side, 2))] = random.integers(1, 256)
    return levels


def rings_map(random: np.random.Generator, side: int) -> Levels:
    """Thin closed lines, so that outer contours and those of their holes are equally large."""
    levels = np.zeros((side, side), dtype=np.uint8)
    for _ in range(6):
        centre = tuple(int(x) for x in random.integers(0, side, 2))
        cv2.circle(levels, centre, int(random.integers(1, side // 2)), int(random.integers(1, 256)), 1)
    return levels


MAPS = [random_map, smooth_map, noisy_map, constant_map, one_pixel_map, rings_map]
few_levels = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


def assert_as_opencv(levels: Levels) -> None:
    layers = Layers(levels)
    largest = largest_contour(layers)
    assert len(largest) == layers.count == levels.max()
    for layer in range(layers.count):
        contours = contours_by_opencv(levels, layer)
        assert tuple(largest[layer]) == box_of(max(contours, key=cv2.contourArea)), f"layer {layer}"
    assert not contours_by_opencv(levels, layers.count)


@settings(max_examples=400)
@given(few_levels)
def test_the_largest_contour_is_opencvs_ties_included(levels: Levels) -> None:
    assert_as_opencv(levels)


@pytest.mark.parametrize("flip", [False, True])
def test_a_ring_and_a_square_of_its_size_are_a_tie(flip: bool) -> None:
    levels = np.zeros((9, 5), dtype=np.uint8)
    levels[1:4, 1:4] = levels[5:8, 1:4] = 1
    levels[2, 2] = 0
    assert_as_opencv(levels[::-1] if flip else levels)


@pytest.mark.parametrize("make", MAPS)
@pytest.mark.parametrize("side", [24, 224])
def test_the_largest_contour_of_all_255_layers_is_opencvs(make: Callable[..., Levels], side: int) -> None:
    if side == 224 and make is random_map:
        side = 96  # OpenCV needs ten seconds for the noise of 224 x 224
    assert_as_opencv(make(np.random.default_rng(side), side))


def fits_by_opencv(levels: Levels, ground_truth: Boxes) -> list[float]:
    """The best of all contours of a layer, one layer at a time."""
    boxes = ([box_of(contour) for contour in contours_by_opencv(levels, layer)] for layer in range(int(levels.max())))
    return [float(iou(Boxes.of(one), ground_truth).max()) for one in boxes]


def fits(levels: Levels, ground_truth: Boxes) -> list[float]:
    return best_fits(
        Layers(levels), "any contour", lambda corners: iou(Boxes(corners), ground_truth).max(axis=1)
    ).tolist()


@settings(max_examples=300)
@given(few_levels, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_any_contour_is_the_best_of_opencvs_holes_included(levels: Levels, x: int, y: int, w: int, h: int) -> None:
    ground_truth = Boxes.of([(x, y, x + w, y + h)])
    assert fits(levels, ground_truth) == fits_by_opencv(levels, ground_truth)


@pytest.mark.parametrize("make", MAPS)
def test_any_contour_of_all_255_layers_is_the_best_of_opencvs(make: Callable[..., Levels]) -> None:
    side = 96 if make is random_map else 224
    levels = make(np.random.default_rng(side), side)
    ground_truth = Boxes.of([(side / 4, side / 5, side / 2, side / 1.5), (0, 0, side / 9, side / 7)])
    assert fits(levels, ground_truth) == fits_by_opencv(levels, ground_truth)


def test_a_hole_has_a_contour_of_its_own() -> None:
    ring = np.zeros((12, 14), dtype=np.uint8)
    ring[1:11, 1:13], ring[4:7, 5:9] = 1, 0
    hole = Boxes.of([(4, 3, 10, 8)])
    assert fits(ring, hole) == [1.0]
    assert fits(np.where(ring, 1, 0).astype(np.uint8)[3:8], hole)[0] < 1, "a gap at the border is no hole"


THRESHOLDS = np.arange(1, 100, 7) / 100


@given(st.integers(0, 10**9), st.sampled_from([0.7, 2.0, 4.0]))
def test_the_largest_component_is_the_one_that_find_objects_boxes(seed: int, spread: float) -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((17, 23), dtype=np.float32), (0, 0), spread)
    heatmap = (noise - noise.min()) / np.ptp(noise)
    heatmap = np.round(heatmap, 1) if seed % 2 else heatmap  # equally large components, values on the grid
    layers = layers_at(heatmap, THRESHOLDS)
    boxes = largest_component(layers)
    for i, threshold in enumerate(THRESHOLDS):
        found = find_objects(heatmap, heatmap.shape, Box(threshold=float(threshold)))
        assert [tuple(box) for box in boxes[i : i + 1]] == [one.xyxy for one in found]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0.0, 0.2, 0.20001], [0, 0, 1], id="at a threshold is not above it"),
        pytest.param([0.5, 0.51, 1.0], [1, 2, 2], id="between and beyond"),
        pytest.param([0.1], [0], id="below all"),
    ],
)
def test_layers_are_counted_by_the_thresholds_below_a_value(values: list[float], expected: list[int]) -> None:
    layers = layers_at(np.array([values], dtype=np.float32), np.array([0.2, 0.5]))
    assert layers.levels.tolist() == [expected]


def test_a_map_of_zeros_has_no_layer() -> None:
    layers = Layers(np.zeros((3, 4), np.uint8))
    assert layers.count == 0
    for rule in ("largest component", "largest contour", "any contour"):
        assert best_fits(layers, rule, lambda corners: np.ones(len(corners))).shape == (0,)
