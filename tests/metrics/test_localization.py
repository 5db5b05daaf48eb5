"""The rates of localization: a table counted by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.metrics.localization import THRESHOLDS, Judged


def judged(
    iou: list[float],
    *,
    sweep: NDArray[np.float64] | None = None,
    rank: list[int] | None = None,
    mask_iou: list[float] | None = None,
) -> Judged:
    """Pictures whose boxes fit equally well at every threshold, unless told otherwise."""
    flat = np.repeat(np.array(iou, dtype=float)[:, None], len(THRESHOLDS), axis=1)
    return Judged(
        np.array(iou, dtype=float),
        flat if sweep is None else sweep,
        None if rank is None else np.array(rank),
        None if mask_iou is None else np.array(mask_iou),
    )


def values(one: Judged) -> dict[str, float]:
    return {name: rate.value for name, rate in one.metrics().items()}


@pytest.mark.parametrize(
    ("iou", "rank", "expected"),
    [
        pytest.param(
            [1, 1, 1, 1],
            [0, 0, 0, 0],
            {"gt_known": 100, "top1_loc": 100, "top5_loc": 100, "mean_box_iou": 100},
            id="all right",
        ),
        pytest.param(
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            {"gt_known": 0, "top1_loc": 0, "top5_loc": 0, "mean_box_iou": 0},
            id="no object found anywhere",
        ),
        pytest.param(
            [0.5, 0.49, 0.5, 0],
            [0, 0, 9, 9],
            {"gt_known": 50, "top1_loc": 25, "top5_loc": 25, "mean_box_iou": 37.25},
            id="0.5 is correct",
        ),
        pytest.param(
            [0.9, 0.9, 0.9, 0.9],
            [0, 1, 4, 5],
            {"gt_known": 100, "top1_loc": 25, "top5_loc": 75, "mean_box_iou": 90},
            id="ranks 0 to 4 are the top five",
        ),
        pytest.param(
            [0.9, 0.1, 0.9, 0.1],
            [7, 0, 7, 0],
            {"gt_known": 50, "top1_loc": 0, "top5_loc": 0, "mean_box_iou": 50},
            id="a class or a box alone is not enough",
        ),
        pytest.param(
            [0.7], [0], {"gt_known": 100, "top1_loc": 100, "top5_loc": 100, "mean_box_iou": 70}, id="one picture"
        ),
    ],
)
def test_rates_counted_by_hand(iou: list[float], rank: list[int], expected: dict[str, float]) -> None:
    found = values(judged(iou, rank=rank))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_was_not_judged_has_no_rate() -> None:
    assert set(values(judged([0.7, 0.2]))) == {"gt_known", "mean_box_iou", "gt_known_best_threshold"}
    everything = values(judged([0.7, 0.2], rank=[0, 3], mask_iou=[0.5, 0.1]))
    assert set(everything) == {
        "gt_known",
        "top1_loc",
        "top5_loc",
        "mean_box_iou",
        "mask_iou",
        "gt_known_best_threshold",
    }
    assert everything["mask_iou"] == pytest.approx(30)


pictures = st.lists(
    st.tuples(st.integers(0, 20).map(lambda step: step / 20), st.integers(0, 9)), min_size=1, max_size=12
)


@given(pictures)
def test_top1_is_at_most_top5_is_at_most_gt_known_is_at_most_its_best(rows: list[tuple[float, int]]) -> None:
    sweep = np.repeat(np.array([[iou] for iou, _ in rows]), len(THRESHOLDS), axis=1)
    sweep[:, 50:] = 1 - sweep[:, 50:]
    found = values(judged([iou for iou, _ in rows], sweep=sweep, rank=[rank for _, rank in rows]))
    assert 0 <= found["top1_loc"] <= found["top5_loc"] <= found["gt_known"] <= found["gt_known_best_threshold"] <= 100


@given(pictures, st.randoms(use_true_random=False))
def test_the_order_of_pictures_does_not_matter(rows: list[tuple[float, int]], random: object) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        values(judged([iou for iou, _ in some], rank=[rank for _, rank in some])) for some in (rows, shuffled)
    )
    assert one == pytest.approx(other)


def sweep_that_is_right_at(*indices: int, pictures: int = 3) -> NDArray[np.float64]:
    sweep = np.full((pictures, len(THRESHOLDS)), 0.2)
    sweep[0, list(indices)] = 0.6
    return sweep


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        pytest.param([30], 0.31, id="one best"),
        pytest.param([30, 31, 32], 0.32, id="the middle of three"),
        pytest.param([30, 31, 32, 33], 0.33, id="the upper middle of four"),
        pytest.param([0], 0.01, id="the lowest"),
        pytest.param([98], 0.99, id="the highest"),
        pytest.param([], 0.5, id="all equally bad: the middle of all"),
        pytest.param(range(99), 0.5, id="all equally good: the middle of all"),
    ],
)
def test_the_best_threshold_is_the_middle_of_the_best(indices: list[int], expected: float) -> None:
    one = judged([0.2] * 3, sweep=sweep_that_is_right_at(*indices))
    assert one.best_threshold() == pytest.approx(expected)
    assert values(one)["gt_known_best_threshold"] == pytest.approx(100 / 3 if len(indices) else 0)


def test_the_grid_is_the_hundredths() -> None:
    assert pytest.approx([hundredth / 100 for hundredth in range(1, 100)]) == THRESHOLDS.tolist()
