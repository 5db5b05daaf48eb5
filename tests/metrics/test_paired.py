"""Differences of two systems on the same images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.metrics.evaluator import HUNDREDTHS, Row
from wsol.metrics.localization import ProtocolResult, gather
from wsol.metrics.paired import difference, differences
from wsol.metrics.protocols import PROTOCOLS

pairs = st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), min_size=1, max_size=40).map(
    lambda rows: np.array(rows, float).T / 16
)


@given(pairs)
def test_the_difference_is_that_of_the_means_and_changes_its_sign_with_the_order(both: np.ndarray) -> None:
    one, other = difference(*both), difference(*both[::-1])
    assert one.points.value == pytest.approx(100 * (both[0].mean() - both[1].mean()), abs=1e-9)
    assert one.points.value == pytest.approx(-other.points.value, abs=1e-9)
    assert (one.better, one.worse, one.n) == (other.worse, other.better, both.shape[1])
    assert one.points.low - 1e-9 <= one.points.value <= one.points.high + 1e-9


@given(pairs)
def test_a_system_compared_with_itself_has_no_difference(both: np.ndarray) -> None:
    assert difference(both[0], both[0]).points == (0, 0, 0)


def interval_by_resampling(one: np.ndarray, other: np.ndarray, draws: int) -> tuple[float, float]:
    """Koehn 2004: the same resampled images for both systems, many times; the middle 95 % of the differences."""
    random, n = np.random.default_rng(1), len(one)
    drawn = [random.integers(n, size=n) for _ in range(draws)]
    found = [100 * float(one[images].mean() - other[images].mean()) for images in drawn]
    return float(np.percentile(found, 2.5)), float(np.percentile(found, 97.5))


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_the_interval_is_that_of_images_drawn_for_both_at_once(shared: float) -> None:
    random = np.random.default_rng(0)
    one, fresh = random.random((2, 300))
    other = np.where(random.random(300) < shared, one, fresh)
    rows = (one > 0.3).astype(float), (other > 0.5).astype(float)
    found = difference(*rows).points
    low, high = interval_by_resampling(*rows, 4000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.7)


def result(*ious: float, first: int = 0, has_rank: bool = False) -> ProtocolResult:
    """Images under protocol original, each with the same IoU at every threshold; NaN for one without annotated box."""
    rows = []
    for i, iou in enumerate(ious):
        known = np.nan_to_num(iou)
        sweep = np.full(len(HUNDREDTHS), known, np.float32)
        rank = 0 if has_rank else None
        rows.append(Row(f"{first + i:03}", 0, float(known), True, not np.isnan(iou), sweep, 0, rank, None, None))
    return gather(PROTOCOLS["original"], rows, HUNDREDTHS)


def test_metrics_of_both_are_compared_over_images_with_ground_truth() -> None:
    nothing = float("nan")
    found = differences(result(0.9, 0.7, nothing, 0.2, has_rank=True), result(0.4, 0.8, nothing, 0.1))
    assert set(found) == {"gt_known", "gt_known_30", "mean_box_iou", "gt_known_best_threshold"}, "only one has ranks"
    gt_known, mean_iou = found["gt_known"], found["mean_box_iou"]
    assert (gt_known.n, gt_known.better, gt_known.worse) == (3, 1, 0)
    assert gt_known.points.value == pytest.approx(100 / 3)
    assert (mean_iou.n, mean_iou.better, mean_iou.worse) == (3, 2, 1)
    assert mean_iou.points.value == pytest.approx(100 * (0.5 - 0.1 + 0.1) / 3)


def test_a_mask_that_only_one_image_has_counts_alone() -> None:
    one = replace(result(0.9, 0.7), mask_iou=np.array([0.5, np.nan]))
    other = replace(result(0.9, 0.7), mask_iou=np.array([0.25, np.nan]))
    assert differences(one, other)["mask_iou"].points == (25, 25, 25)
    assert differences(one, other)["mask_iou"].n == 1


def test_different_images_are_refused() -> None:
    with pytest.raises(WsolError) as refused:
        differences(result(0.9, 0.7), result(0.9, 0.7, first=1))
    assert refused.value.got is not None and "000" in refused.value.got
