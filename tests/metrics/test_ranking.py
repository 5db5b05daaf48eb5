"""The area under the ROC curve of a score, against all pairs."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.metrics import ranking
from wsol.metrics.ranking import FINE, average_precision, score_auc

Image = tuple[float, bool]
images = st.lists(st.tuples(st.integers(-4, 8).map(lambda step: step / 8), st.booleans()), min_size=1, max_size=40)


def by_all_pairs(rows: list[Image]) -> float | None:
    """Hanley and McNeil 1982: how often a right image has a higher score than a wrong one; equal scores count half."""
    right, wrong = ([score for score, is_found in rows if is_found is wanted] for wanted in (True, False))
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(right, wrong)]
    return 100 * sum(pairs) / len(pairs) if pairs else None


def auc(rows: list[Image]) -> tuple[float, float, float] | None:
    return score_auc(
        np.array([score for score, _ in rows], dtype=float), np.array([found for _, found in rows], dtype=bool)
    )


@given(images)
def test_the_area_is_the_fraction_of_pairs_in_the_right_order(rows: list[Image]) -> None:
    found, expected = auc(rows), by_all_pairs(rows)
    assert (found is None) == (expected is None)
    assert found is None or found[0] == pytest.approx(expected)


@given(images)
def test_the_interval_holds_the_area_and_is_the_same_in_any_order(rows: list[Image]) -> None:
    found = auc(rows)
    if found is not None:
        assert 0 <= found[1] <= found[0] + 1e-9 and found[0] - 1e-9 <= found[2] <= 100
        assert auc(rows[::-1]) == found


@given(images)
def test_only_the_order_of_the_scores_matters(rows: list[Image]) -> None:
    assert auc([(np.exp(3 * score) - 7, found) for score, found in rows]) == auc(rows)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(0.9, True), (0.8, True), (0.1, False)], 100, id="parted"),
        pytest.param([(0.1, True), (0.8, False)], 0, id="upside down"),
        pytest.param([(0.5, True), (0.5, False), (0.5, False)], 50, id="all alike"),
        pytest.param([(0.9, True), (0.5, True), (0.5, False), (0.1, False)], 87.5, id="one tie of four pairs"),
        pytest.param([(0.9, True), (-np.inf, False)], 100, id="no box"),
        pytest.param([(0.9, True), (0.1, True)], None, id="all right"),
        pytest.param([(0.9, False)], None, id="all wrong"),
        pytest.param([], None, id="no image"),
    ],
)
def test_areas_counted_by_hand(rows: list[Image], expected: float | None) -> None:
    found = auc(rows)
    assert expected is None if found is None else found[0] == pytest.approx(expected)


def precision_by_thresholds(rows: list[Image]) -> float | None:
    """Of the images with at least each score: precision times the recall that this score adds."""
    right = sum(is_right for _, is_right in rows)
    if right in (0, len(rows)):
        return None
    area = recall = 0.0
    for threshold in sorted({score for score, _ in rows}, reverse=True):
        taken = [is_right for score, is_right in rows if score >= threshold]
        area += sum(taken) / len(taken) * (sum(taken) / right - recall)
        recall = sum(taken) / right
    return 100 * area


def precision(rows: list[Image]) -> tuple[float, float, float] | None:
    return average_precision(
        np.array([score for score, _ in rows], float), np.array([right for _, right in rows], bool)
    )


@given(images)
def test_average_precision_is_precision_times_the_step_in_recall(rows: list[Image]) -> None:
    found, expected = precision(rows), precision_by_thresholds(rows)
    assert (found is None) == (expected is None)
    assert found is None or found[0] == pytest.approx(expected)
    assert found is None or (0 <= found[1] <= found[0] + 1e-9 and found[0] - 1e-9 <= found[2] <= 100)
    assert precision(rows[::-1]) == found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(0.9, True), (0.8, True), (0.1, False)], 100, id="the right ones first"),
        pytest.param([(0.9, False), (0.8, True)], 50, id="the wrong one first"),
        pytest.param([(0.5, True), (0.5, False), (0.5, False), (0.5, False)], 25, id="all alike: the right fraction"),
        pytest.param([(0.9, True), (0.8, False), (0.7, True)], 100 * (1 + 2 / 3) / 2, id="one wrong between"),
        pytest.param([(0.9, True)], None, id="all right"),
        pytest.param([(0.9, False)], None, id="all wrong"),
    ],
)
def test_average_precision_counted_by_hand(rows: list[Image], expected: float | None) -> None:
    found = precision(rows)
    assert expected is None if found is None else found[0] == pytest.approx(expected)


def interval_by_resampling(scores: np.ndarray, is_found: np.ndarray, draws: int) -> tuple[float, float]:
    """Efron 1979, image by image."""
    random, found = np.random.default_rng(1), []
    for _ in range(draws):
        drawn = random.integers(0, len(scores), len(scores))
        area = by_all_pairs(list(zip(scores[drawn].tolist(), is_found[drawn].tolist(), strict=True)))
        found += [] if area is None else [area]
    return float(np.percentile(found, 2.5)), float(np.percentile(found, 97.5))


@pytest.mark.parametrize("n", [12, 60])
def test_the_interval_is_that_of_resampled_images(n: int) -> None:
    random = np.random.default_rng(n)
    is_found = np.arange(n) % 4 > 0
    scores = random.random(n) + 0.5 * is_found
    found = score_auc(scores, is_found)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(interval_by_resampling(scores, is_found, 1500), abs=2.5)


def test_coarse_ranks_leave_the_interval_where_the_area_is(monkeypatch: pytest.MonkeyPatch) -> None:
    is_found = np.arange(400) % 2 > 0
    scores = np.random.default_rng(0).random(400) + 0.7 * is_found
    fine = score_auc(scores, is_found)
    monkeypatch.setattr(ranking, "FINE", 4)
    coarse = score_auc(scores, is_found)
    assert fine is not None and coarse is not None and coarse.value == fine.value
    assert (coarse.low, coarse.high) == pytest.approx((fine.low, fine.high), abs=1.5)


def test_fifty_thousand_images_take_no_time_and_their_interval_is_hanleys() -> None:
    random = np.random.default_rng(0)
    is_found = random.random(50_000) < 0.8
    scores = random.exponential(np.where(is_found, 2.0, 1.0))
    assert len(np.unique(scores)) > FINE
    started = time.process_time()
    found = score_auc(scores, is_found)
    assert time.process_time() - started < 60
    assert found is not None and found.value == pytest.approx(100 * 2 / 3, abs=1)
    # Their standard error, with Q1 and Q2 of exponential scores (sec. IV).
    area, right, wrong = found.value / 100, int(is_found.sum()), int((~is_found).sum())
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = (
        196
        * ((area * (1 - area) + (right - 1) * (q1 - area**2) + (wrong - 1) * (q2 - area**2)) / (right * wrong)) ** 0.5
    )
    assert (found.low, found.high) == pytest.approx((found.value - error, found.value + error), abs=0.15)
