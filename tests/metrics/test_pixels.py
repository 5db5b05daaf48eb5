"""PxAP against the sum over thresholds, as loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.data.ground_truth import GroundTruthMask
from wsol.metrics.pixels import pixel_average_precision, score_counts

THRESHOLDS = np.arange(0, 1, 0.1)


def pxap_by_loops(scores: NDArray[np.float64], ground_truth: NDArray[np.int64]) -> float:
    """Choe et al. 2020, sec. 3.2: pool the pixels; precision times the step in recall, from the highest threshold
    down."""
    area, recall_before = 0.0, 0.0
    for threshold in [2.0, 1.0, *THRESHOLDS[::-1]]:
        found = scores >= threshold
        true = int((found & (ground_truth == 1)).sum())
        false = int((found & (ground_truth == 0)).sum())
        recall = true / int((ground_truth == 1).sum())
        if true + false:
            area += true / (true + false) * (recall - recall_before)
        recall_before = recall
    return 100 * area


def counts_of(scores: NDArray[np.float64], ground_truth: NDArray[np.int64]) -> NDArray[np.uint16]:
    """`ground_truth`: 1 object, 0 background, 255 ignored."""
    return score_counts(scores, GroundTruthMask(ground_truth == 1, ground_truth == 255), THRESHOLDS)


@given(st.integers(0, 10**9), st.integers(1, 5))
def test_it_pools_the_pixels_of_all_images(seed: int, images: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 21, (images, 6, 5)) / 20
    ground_truth = random.choice([0, 1, 255], (images, 6, 5))
    ground_truth[0, 0, 0] = 1
    rate = pixel_average_precision(np.stack([counts_of(*one) for one in zip(scores, ground_truth, strict=True)]))
    assert rate is not None
    assert rate.value == pytest.approx(pxap_by_loops(scores, ground_truth))
    assert 0 <= rate.low <= rate.high <= 100 + 1e-9


TRUTH = np.array([[1, 1, 0, 0, 0, 255]])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([[1, 1, 0, 0, 0, 0]], 100, id="perfect, ignored pixels low"),
        pytest.param([[1, 1, 0, 0, 0, 1]], 100, id="perfect, ignored pixels high"),
        pytest.param([[0, 0, 0, 0, 0, 0]], 40, id="zeros: the object's fraction of the counted pixels"),
        pytest.param([[1, 1, 1, 1, 1, 1]], 40, id="ones: the same"),
        pytest.param([[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]], 40, id="halves: the same"),
        pytest.param([[1, 0, 0, 0, 0, 0]], 70, id="half at once, the rest with everything"),
        pytest.param([[0, 0, 1, 1, 1, 0]], 40, id="the wrong way round"),
    ],
)
def test_areas_counted_by_hand(scores: list[list[float]], expected: float) -> None:
    rate = pixel_average_precision(counts_of(np.array(scores, dtype=float), TRUTH)[None])
    assert rate is not None and rate.value == pytest.approx(expected)


def test_without_an_object_there_is_no_area() -> None:
    assert pixel_average_precision(counts_of(np.ones((1, 3)), np.zeros((1, 3), int))[None]) is None
