"""The box threshold that is learned from pseudo masks: the overlap read aloud, the choice, and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsol import WsolError
from wsol.box_threshold import FILE, THRESHOLDS, LearnedThreshold, best_of, overlaps, read_threshold

SIDE = (6, 6)
MASKS = arrays.arrays(bool, SIDE)


@given(arrays.arrays(np.float32, SIDE, elements=st.floats(0, 1, width=32)), MASKS, MASKS)
def test_overlaps_are_the_iou_among_known_pixels(heatmap: np.ndarray, inside: np.ndarray, known: np.ndarray) -> None:
    inside[0, 0] = known[0, 0] = True
    found = overlaps(heatmap, inside, known)
    for place in (0, 24, 49, 98):
        above = heatmap > np.float32(THRESHOLDS[place])
        expected = (above & inside & known).sum() / ((above | inside) & known).sum()
        assert found[place] == pytest.approx(expected)


def test_a_value_on_a_threshold_is_not_above_it() -> None:
    everything = np.ones((1, 1), dtype=bool)
    found = overlaps(np.full((1, 1), THRESHOLDS[29], np.float32), everything, everything)
    assert found[28] == 1 and found[29] == 0


@pytest.mark.parametrize(
    ("means", "threshold"),
    [
        pytest.param({30: 0.8}, 0.31, id="one is best"),
        pytest.param({30: 0.8, 31: 0.8, 32: 0.8}, 0.32, id="the middle of equal ones"),
        pytest.param({}, 0.5, id="none is better than another"),
    ],
)
def test_the_best_mean_is_chosen(means: dict[int, float], threshold: float) -> None:
    row = np.full(len(THRESHOLDS), 0.1)
    for place, value in means.items():
        row[place] = value
    other = np.full(len(THRESHOLDS), 0.2)
    assert best_of([row, other]) == LearnedThreshold(threshold=threshold, mask_iou=(row.max() + 0.2) / 2, n=2)


@pytest.mark.parametrize("text", ["", "{}", '{"threshold": 2, "mask_iou": 0.5, "n": 3}'])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(WsolError, match=r"threshold\.json cannot be used.*learns it again"):
        read_threshold(tmp_path)
