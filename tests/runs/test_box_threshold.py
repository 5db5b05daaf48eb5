"""The thresholds that are learned from pseudo masks: both fits read aloud, the choice, and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsol import WsolError
from wsol.config.options import Box
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.objects import find_objects
from wsol.methods.spol.learn_threshold import THRESHOLDS, best_of, box_fits, mask_fits
from wsol.runs.box_threshold import THRESHOLD_FILE, read_threshold

SIDE = (6, 6)
MASKS = arrays.arrays(bool, SIDE)


@given(arrays.arrays(np.float32, SIDE, elements=st.floats(0, 1, width=32)), MASKS, MASKS)
def test_masks_fit_by_their_iou_among_known_pixels(heatmap: np.ndarray, inside: np.ndarray, known: np.ndarray) -> None:
    inside[0, 0] = known[0, 0] = True
    found = mask_fits(heatmap, inside, known)
    for place in (0, 24, 49, 98):
        above = heatmap > np.float32(THRESHOLDS[place])
        expected = (above & inside & known).sum() / ((above | inside) & known).sum()
        assert found[place] == pytest.approx(expected)


MAPS = arrays.arrays(np.float32, SIDE, elements=st.floats(0, 1, width=32))


@given(MAPS, MASKS)
def test_boxes_fit_by_the_iou_of_what_find_objects_boxes(heatmap: np.ndarray, inside: np.ndarray) -> None:
    found = box_fits(heatmap, inside)
    wanted = find_objects(inside.astype(np.float32), SIDE, Box(threshold=0.5))
    for place in (0, 24, 49, 98):
        objects = find_objects(heatmap, SIDE, Box(threshold=THRESHOLDS[place]))
        expected = iou(Boxes.of([objects[0].xyxy]), Boxes.of([wanted[0].xyxy]))[0, 0] if objects and wanted else 0
        assert found[place] == pytest.approx(expected)


def test_a_value_on_a_threshold_is_not_above_it() -> None:
    everything = np.ones((1, 1), dtype=bool)
    found = mask_fits(np.full((1, 1), THRESHOLDS[29], np.float32), everything, everything)
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
    assert best_of([row, other]) == pytest.approx((threshold, (row.max() + 0.2) / 2))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"threshold": 2, "box_threshold": 0.2, "box_iou": 0.5, "mask_threshold": 0.5, "mask_iou": 0.5, "n": 3}',
    ],
)
def test_a_damaged_file_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / THRESHOLD_FILE).write_text(text)
    with pytest.raises(WsolError, match=r"threshold\.json cannot be used.*learns it again"):
        read_threshold(tmp_path)
