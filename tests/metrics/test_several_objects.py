"""Several objects in an image: which boxes are right, and the metrics of detection by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.geometry.boxes import Boxes
from wsol.metrics.several_objects import Detections, counts_of_objects, matched, rates_of_objects

LEFT, RIGHT = (0, 0, 10, 10), (20, 0, 30, 10)


def of(scores: list[float], is_right: list[bool], annotated: int) -> Detections:
    return Detections(np.array(scores), np.array(is_right, dtype=bool), annotated)


@pytest.mark.parametrize(
    ("found", "scores", "expected"),
    [
        pytest.param([LEFT, RIGHT], [0.9, 0.8], [True, True], id="both"),
        pytest.param(
            [LEFT, (0, 0, 10, 9)], [0.5, 0.9], [False, True], id="an object is found once, by the better score"
        ),
        pytest.param([(0, 0, 10, 5)], [0.9], [True], id="an IoU of one half"),
        pytest.param([(0, 0, 10, 4.9)], [0.9], [False], id="just below"),
        pytest.param([], [], [], id="nothing"),
    ],
)
def test_a_box_is_right_if_it_is_the_first_on_its_object(
    found: list[tuple[float, ...]], scores: list[float], expected: list[bool]
) -> None:
    one = matched(Boxes.of(found), np.array(scores), Boxes.of([LEFT, RIGHT]))
    assert one.is_right.tolist() == expected and one.annotated == 2


def test_a_box_takes_the_next_object_if_the_nearest_is_taken() -> None:
    near, far = (0, 0, 10, 10), (0, 0, 10, 8)
    one = matched(Boxes.of([near, (0, 0, 10, 9.5)]), np.array([0.9, 0.8]), Boxes.of([near, far]))
    assert one.is_right.tolist() == [True, True]


def test_without_an_object_every_box_is_wrong() -> None:
    assert matched(Boxes.of([LEFT]), np.array([0.9]), Boxes.of([])).is_right.tolist() == [False]


def test_the_area_by_hand() -> None:
    """From the highest score: right, wrong, right, of three objects. Precision 1, 1/2, 2/3; at later recall 1, 2/3."""
    images = [of([0.9, 0.7], [True, True], 2), of([0.8], [False], 1)]
    rates = rates_of_objects(images)
    assert rates["ap_50"].value == pytest.approx(100 * (1 / 3 * 1 + 1 / 3 * 2 / 3))
    assert rates["recall_50"].value == pytest.approx(200 / 3)
    assert rates["ap_50"].low <= rates["ap_50"].value <= rates["ap_50"].high


def test_boxes_of_equal_scores_have_one_step_together() -> None:
    forwards = [of([0.9], [True], 1), of([0.9], [False], 1)]
    assert rates_of_objects(forwards) == rates_of_objects(forwards[::-1])
    assert rates_of_objects(forwards)["ap_50"].value == pytest.approx(25)


def test_counts_by_hand() -> None:
    found = counts_of_objects([of([0.9, 0.8], [True, False], 2), of([], [], 1), of([0.5], [False], 0), of([], [], 2)])
    np.testing.assert_equal(found["corloc"], [1, 0, np.nan, 0])
    assert found["count_right"].tolist() == [1, 0, 0, 0] and found["count_within_one"].tolist() == [1, 1, 1, 0]


def test_without_annotated_boxes_there_is_no_rate() -> None:
    assert rates_of_objects([of([0.5], [False], 0)]) == {}


IMAGES = st.lists(
    st.integers(0, 3).flatmap(
        lambda annotated: st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), max_size=4).map(
            lambda found: of(
                [score for score, _ in found],
                [
                    right and sum(is_right for _, is_right in found[:i]) < annotated
                    for i, (_, right) in enumerate(found)
                ],
                annotated,
            )
        )
    ),
    min_size=1,
    max_size=6,
)


@given(IMAGES)
def test_a_perfect_ranking_is_the_recall_and_any_is_at_most_that(images: list[Detections]) -> None:
    rates = rates_of_objects(images)
    if rates:
        assert 0 <= rates["ap_50"].value <= rates["recall_50"].value + 1e-9 <= 100 + 1e-9
        right_alone = [
            of(one.scores[one.is_right].tolist(), [True] * int(one.is_right.sum()), one.annotated) for one in images
        ]
        perfect = rates_of_objects(right_alone)
        assert perfect["ap_50"].value == pytest.approx(rates["recall_50"].value)
