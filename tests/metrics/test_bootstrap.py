"""Intervals by resampling images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.metrics.bootstrap import mean_count, rate, wilson

values = st.lists(st.integers(0, 16).map(lambda step: step / 16), min_size=1, max_size=60)


@given(values)
def test_the_interval_holds_the_mean_and_is_the_same_every_time(rows: list[float]) -> None:
    one = rate(np.array(rows))
    assert one.value == pytest.approx(100 * sum(rows) / len(rows))
    assert 0 <= one.low <= one.value + 1e-9
    assert one.value - 1e-9 <= one.high <= 100 + 1e-9
    assert rate(np.array(rows)) == one


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_the_mean_of_a_count_is_a_number(counts: list[int]) -> None:
    one = mean_count(np.array(counts))
    assert one.value == pytest.approx(sum(counts) / len(counts))
    assert min(counts) - 1e-9 <= one.low <= one.value + 1e-9 and one.value - 1e-9 <= one.high <= max(counts) + 1e-9


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_values_have_an_interval_of_zero_width(value: float) -> None:
    assert rate(np.full(7, value)) == pytest.approx((100 * value,) * 3)


def test_very_many_values_are_rounded_to_a_thousandth() -> None:
    rows = np.random.default_rng(0).random(6000)
    one = rate(rows)
    error = 196 * float(rows.std()) / 6000**0.5
    assert one.value == pytest.approx(100 * rows.mean())
    assert (one.low, one.high) == pytest.approx((one.value - error, one.value + error), abs=0.05)


def interval_by_resampling(rows: list[float], draws: int) -> tuple[float, float]:
    """Efron 1979: as many images again, with replacement, many times; the middle 95 % of the means."""
    random = np.random.default_rng(1)
    means = [100 * float(np.mean(random.choice(rows, len(rows)))) for _ in range(draws)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_interval_is_efrons_and_about_the_normal_one(fraction: float) -> None:
    rows = [1.0] * round(200 * fraction) + [0.0] * round(200 * (1 - fraction))
    one = rate(np.array(rows))
    low, high = interval_by_resampling(rows, 4000)
    assert (one.low, one.high) == pytest.approx((low, high), abs=0.8)
    error = 196 * (fraction * (1 - fraction) / 200) ** 0.5
    assert (one.low, one.high) == pytest.approx((one.value - error, one.value + error), abs=0.8)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.00, 16.11),
        (1, 29, 0.61, 17.18),
        (29, 29, 88.30, 100.0),
    ],
)
def test_wilsons_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I, method 3."""
    assert wilson(right, n) == pytest.approx((100 * right / n, low, high), abs=0.006)
