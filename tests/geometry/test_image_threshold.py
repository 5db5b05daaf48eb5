"""Each image's own threshold: what changes it, and what it does not change."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.data.images import middle
from wsol.geometry.contrast import Colours, colours_of, contrast
from wsol.geometry.image_threshold import THRESHOLDS, ImageThreshold, contrasts
from wsol.geometry.objects import largest_part
from wsol.methods.spol.learn_threshold import THRESHOLDS as LEARNED_AT
from wsol.methods.spol.learn_threshold import learned_of

SIDE = 64
GREY = colours_of(np.full((3, SIDE, SIDE), 128, dtype=np.uint8))
FLAT = (0.5,) * len(THRESHOLDS)


def cone(peak: float = 0.9) -> NDArray[np.float32]:
    """A map that falls from the middle on, to 0 at 30 pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return (peak * np.clip(1 - np.hypot(x, y) / 30, 0, 1)).astype(np.float32)


def disc(radius: float) -> Colours:
    """A red disc on green."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(x, y) < radius
    return colours_of(
        np.stack([np.where(inside, 220, 30), np.where(inside, 30, 160), np.full(x.shape, 40)]).astype(np.uint8)
    )


def own(fits: tuple[float, ...] = FLAT, threshold: float = 0.3) -> ImageThreshold:
    return ImageThreshold(threshold=threshold, fits=fits)


@pytest.mark.parametrize("radius", [12, 16, 20, 24])
def test_the_threshold_is_where_the_colours_change(radius: float) -> None:
    at_border = 0.9 * (1 - radius / 30)
    assert own().of(cone(), disc(radius)) == pytest.approx(at_border, abs=0.05)
    assert THRESHOLDS[contrasts(cone(), disc(radius)).argmax()] == pytest.approx(at_border, abs=0.04)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_window_around_the_object_is_enough(seed: int) -> None:
    random = np.random.default_rng(seed)
    heatmap = cv2.resize(random.random((6, 6), dtype=np.float32), (24, 24)).clip(0, 1) ** 3
    colours = colours_of(cv2.resize(random.integers(0, 256, (4, 4, 3), dtype=np.uint8), (48, 48)).transpose(2, 0, 1))
    fine = cv2.resize(heatmap, colours.shape)
    expected = [contrast(largest_part(fine > threshold), colours) for threshold in THRESHOLDS]
    np.testing.assert_allclose(contrasts(heatmap, colours), expected, atol=1e-12)


@pytest.mark.parametrize("radius", [12, 24])
def test_after_the_shift_the_runs_threshold_cuts_there(radius: float) -> None:
    (found,) = own().shifted(cone()[None], [disc(radius)])
    area = (found > 0.3).sum()
    assert area == pytest.approx(np.pi * radius**2, rel=0.15)


def test_without_a_difference_of_colours_it_is_where_the_masks_fit() -> None:
    fits = tuple(float(fit) for fit in 0.8 - np.abs(THRESHOLDS - 0.4))
    assert own(fits).of(cone(), GREY) == pytest.approx(0.4, abs=0.01)


def test_where_all_masks_fit_badly_elsewhere_colours_do_not_count() -> None:
    fits = tuple(float(fit) for fit in np.where(np.abs(THRESHOLDS - 0.5) < 0.05, 0.9, 0.1))
    assert own(fits).of(cone(), disc(24)) == pytest.approx(0.5, abs=0.05)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_shifted_values_keep_their_order_and_remain_probabilities(seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    heatmap = cv2.resize(random.random((5, 5), dtype=np.float32), (12, 12)).clip(0, 1)
    heatmap[0, 0], heatmap[0, 1] = 0, 1
    pixels = random.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    (found,) = own(threshold=threshold).shifted(heatmap[None], [colours_of(pixels)])
    assert found.dtype == np.float32 and found.min() == 0 and found.max() == 1
    assert (np.diff(found.ravel()[heatmap.ravel().argsort()]) >= 0).all()


@pytest.mark.parametrize(
    "heatmap",
    [
        pytest.param(np.zeros((8, 8)), id="nothing"),
        pytest.param(np.ones((8, 8)), id="everything"),
        pytest.param(np.full((8, 8), 0.02), id="below every threshold"),
        pytest.param(np.eye(1, 64).reshape(8, 8), id="a point in a corner"),
    ],
)
def test_a_map_without_inside_or_outside_gets_the_threshold_of_all(heatmap: NDArray[np.float64]) -> None:
    fits = tuple(float(fit) for fit in 0.8 - np.abs(THRESHOLDS - 0.3))
    (found,) = own(fits).shifted(heatmap[None].astype(np.float32), [disc(20)])
    np.testing.assert_allclose(found, heatmap, atol=0.01)


def test_a_map_that_is_not_finite_is_unchanged() -> None:
    broken = cone()
    broken[3, 3] = np.nan
    (found,) = own().shifted(broken[None], [disc(20)])
    np.testing.assert_array_equal(found, broken)


def test_a_small_change_of_the_map_changes_little() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-4, (SIDE, SIDE)).astype(np.float32)
    before, after = (own().shifted(one.clip(0, 1)[None], [disc(17)]) for one in (cone(), cone() + noise))
    assert np.abs(after - before).max() < 0.01


def test_the_learned_fit_is_the_mean_iou_of_boxes_and_masks() -> None:
    box, mask = (0.9 - np.abs(LEARNED_AT - where) for where in (0.2, 0.4))
    learned = learned_of([box, box - 0.1], [mask, mask - 0.3])
    assert learned.threshold == pytest.approx(0.3) and learned.for_images is not None
    expected = 0.8 - np.abs(THRESHOLDS - 0.2) / 2 - np.abs(THRESHOLDS - 0.4) / 2
    assert learned.for_images.fits == pytest.approx(expected, abs=1e-3) and learned.for_images.threshold == 0.3


def test_the_middle_is_without_the_margin_on_each_side() -> None:
    pixels = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10).expand(1, 3, 10, 10)
    assert middle(pixels, 0.2).shape == (1, 3, 6, 6) and int(middle(pixels, 0.2)[0, 0, 0, 0]) == 22
    assert middle(pixels, 0.0).shape == pixels.shape
