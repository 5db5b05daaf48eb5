"""Annotated boxes: valid ones are kept and clipped, mistakes in the others are noted and counted."""

from __future__ import annotations

import pickle
from functools import partial
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.ground_truth import (
    ROUNDING_PX,
    Collector,
    GroundTruth,
    GroundTruthMask,
    Kind,
    Mistake,
    count_kinds,
    remedy_for,
)
from wsol.geometry.boxes import Xyxy

HW = (30, 40)
INF, NAN = float("inf"), float("nan")


def boxes_of(ground_truth: GroundTruth, image_id: str) -> list[Xyxy]:
    return [tuple(row) for row in ground_truth[image_id].boxes.xyxy.tolist()]


def collected(corners: Xyxy, *, corners_are_pixels: bool = False) -> tuple[list[Xyxy], list[Mistake]]:
    """The ground truth of one box in an image of 30 rows and 40 columns."""
    collector = Collector(corners_are_pixels)
    collector.add("owl.jpg", corners, HW, "here")
    ground_truth = collector.ground_truth()
    assert list(ground_truth.mistakes) == collector.mistakes
    return (boxes_of(ground_truth, "owl.jpg") if "owl.jpg" in ground_truth else []), collector.mistakes


@pytest.mark.parametrize(
    ("corners", "kept"),
    [
        pytest.param((1, 2, 3, 4), (1, 2, 3, 4), id="inside"),
        pytest.param((0.25, 2, 3.5, 4), (0.25, 2, 3.5, 4), id="fractions"),
        pytest.param((0, 0, 40, 30), (0, 0, 40, 30), id="the whole image"),
        pytest.param((-1, -1, 41, 31), (0, 0, 40, 30), id="a pixel beyond each edge"),
        pytest.param((39.5, 29.5, 40, 30), (39.5, 29.5, 40, 30), id="the last half pixel"),
    ],
)
def test_a_valid_box_is_kept_without_a_mistake(corners: Xyxy, kept: Xyxy) -> None:
    assert collected(corners) == ([kept], [])


@pytest.mark.parametrize(
    ("corners", "kind", "words"),
    [
        pytest.param((3, 2, 1, 4), "swapped corners", "3,2,1,4; swapped corners or xywh?", id="swapped x"),
        pytest.param((1, 4, 3, 2), "swapped corners", "1,4,3,2", id="swapped y"),
        pytest.param((20, 20, 10, 5), "swapped corners", "xywh", id="xywh"),
        pytest.param((50, 2, 45, 4), "swapped corners", "50,2,45,4", id="swapped and outside"),
        pytest.param((2, 2, 2, 4), "no area", "2,2,2,4", id="no width"),
        pytest.param((2, 4, 5, 4), "no area", "a width and a height", id="no height"),
        pytest.param((0, 0, 0, 0), "outside the image", "0,0,0,0", id="nothing at all"),
        pytest.param((40, 2, 45, 4), "outside the image", "image of 40 x 30, got 40,2,45,4", id="right of it"),
        pytest.param((2, 30, 5, 35), "outside the image", "40 x 30", id="below it"),
        pytest.param((-9, 2, -1, 4), "outside the image", "-9,2,-1,4", id="left of it"),
        pytest.param((-9, 2, 0, 4), "outside the image", "-9,2,0,4", id="up to its left edge"),
        pytest.param((2, -9, 5, 0), "outside the image", "2,-9,5,0", id="up to its upper edge"),
        pytest.param((NAN, 2, 3, 4), "not a number", "nan,2,3,4", id="nan"),
        pytest.param((1, 2, 3, NAN), "not a number", "1,2,3,nan", id="nan at the end"),
        pytest.param((1, 2, INF, 4), "not a number", "1,2,inf,4", id="infinite"),
        pytest.param((-INF, 2, 3, 4), "not a number", "-inf", id="infinite to the left"),
    ],
)
def test_an_invalid_box_is_noted_and_not_used(corners: Xyxy, kind: Kind, words: str) -> None:
    boxes, mistakes = collected(corners)
    assert boxes == []
    assert [(mistake.kind, mistake.where) for mistake in mistakes] == [(kind, "here")]
    assert words in mistakes[0].what
    assert str(mistakes[0]).startswith(f"{kind}: here: expected ")


@pytest.mark.parametrize(
    ("corners", "kept"),
    [
        pytest.param((-1.5, 2, 3, 4), (0, 2, 3, 4), id="left"),
        pytest.param((1, -1.5, 3, 4), (1, 0, 3, 4), id="above"),
        pytest.param((1, 2, 41.5, 4), (1, 2, 40, 4), id="right"),
        pytest.param((1, 2, 3, 31.5), (1, 2, 3, 30), id="below"),
    ],
)
def test_a_box_that_reaches_far_outside_is_clipped_and_noted(corners: Xyxy, kept: Xyxy) -> None:
    boxes, mistakes = collected(corners)
    assert boxes == [kept]
    assert [mistake.kind for mistake in mistakes] == ["reaches outside, clipped"]


@pytest.mark.parametrize(
    ("corners", "kept", "kind"),
    [
        pytest.param((2, 2, 2, 4), (2, 2, 2, 4), None, id="a pixel wide"),
        pytest.param((0, 0, 0, 0), (0, 0, 0, 0), None, id="the first pixel"),
        pytest.param((39, 29, 39, 29), (39, 29, 39, 29), None, id="the last pixel"),
        pytest.param((40, 2, 40, 4), None, "outside the image", id="a pixel beyond"),
        pytest.param((-2, 2, -1, 4), None, "outside the image", id="before the first"),
        pytest.param((3, 2, 1, 4), None, "swapped corners", id="swapped"),
    ],
)
def test_corners_that_are_pixels_may_be_equal(corners: Xyxy, kept: Xyxy | None, kind: Kind | None) -> None:
    boxes, mistakes = collected(corners, corners_are_pixels=True)
    assert boxes == ([] if kept is None else [kept])
    assert [mistake.kind for mistake in mistakes] == ([] if kind is None else [kind])


NUMBERS = st.floats(-100, 200) | st.integers(-3, 60).map(float) | st.sampled_from([NAN, INF, -INF])
CORNERS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@given(st.lists(st.tuples(st.sampled_from("ab"), CORNERS)), st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_every_kept_box_is_in_its_image_and_was_added(
    rows: list[tuple[str, Xyxy]], height: int, width: int, corners_are_pixels: bool
) -> None:
    collector = Collector(corners_are_pixels)
    for number, (image_id, corners) in enumerate(rows):
        collector.add(image_id, corners, (height, width), str(number))
    ground_truth = collector.ground_truth()
    refused = {int(m.where) for m in ground_truth.mistakes if m.kind != "reaches outside, clipped"}
    for image_id in "ab":
        put_in = [box for number, (owner, box) in enumerate(rows) if owner == image_id and number not in refused]
        clipped = [tuple(np.clip(box, 0, [width, height, width, height]).tolist()) for box in put_in]
        assert (boxes_of(ground_truth, image_id) if image_id in ground_truth else []) == clipped
        for x0, y0, x1, y1 in clipped:
            assert 0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height
            assert corners_are_pixels or (x0 < x1 and y0 < y1)
    # Boxes outside by more than rounding are noted, once each.
    assert len({m.where for m in ground_truth.mistakes}) == len(ground_truth.mistakes)
    far = {
        str(number)
        for number, (_, (x0, y0, x1, y1)) in enumerate(rows)
        if number not in refused and min(x0, y0, width - x1, height - y1) < -ROUNDING_PX
    }
    assert {m.where for m in ground_truth.mistakes if m.kind == "reaches outside, clipped"} == far


def test_boxes_of_an_image_keep_their_order_and_images_their_sizes() -> None:
    collector = Collector()
    for image_id, corners, image_hw in (
        ("b", (5, 5, 6, 6), (9, 9)),
        ("a", (1, 1, 2, 2), HW),
        ("b", (1, 1, 2, 2), (9, 9)),
    ):
        collector.add(image_id, corners, image_hw, "here")
    ground_truth = collector.ground_truth()
    assert boxes_of(ground_truth, "b") == [(5, 5, 6, 6), (1, 1, 2, 2)]
    assert {image_id: one.image_hw for image_id, one in ground_truth.by_id.items()} == {"a": HW, "b": (9, 9)}
    assert all(one.read_mask is None for one in ground_truth.by_id.values())
    assert "c" not in ground_truth


def all_object(image_hw: tuple[int, int]) -> GroundTruthMask:
    return GroundTruthMask(np.ones(image_hw, dtype=bool), np.zeros(image_hw, dtype=bool))


def poisoned(words: str, image_hw: tuple[int, int]) -> GroundTruthMask:
    raise AssertionError(words)


@pytest.mark.parametrize("image_hw", [HW, None])
def test_a_mask_alone_is_ground_truth_without_boxes(image_hw: tuple[int, int] | None) -> None:
    collector = Collector()
    collector.add_mask("owl.jpg", all_object, image_hw)
    collector.add_mask("hawk.jpg", partial(poisoned, "a mask is unread until somebody asks for it"), image_hw)
    ground_truth = collector.ground_truth()
    assert boxes_of(ground_truth, "owl.jpg") == []
    assert ground_truth["owl.jpg"].image_hw == image_hw
    read_mask = ground_truth["owl.jpg"].read_mask
    assert read_mask is not None
    assert pickle.loads(pickle.dumps(read_mask))((2, 3)).is_object.shape == (2, 3)


def test_a_mask_of_unknown_size_takes_that_of_the_boxes() -> None:
    collector = Collector()
    collector.add("owl.jpg", (1, 2, 3, 4), HW, "here")
    collector.add_mask("owl.jpg", all_object, None)
    assert collector.ground_truth()["owl.jpg"].image_hw == HW
    assert boxes_of(collector.ground_truth(), "owl.jpg") == [(1, 2, 3, 4)]


def test_nothing_collected_is_no_ground_truth_and_no_mistake() -> None:
    ground_truth = Collector().ground_truth()
    assert (dict(ground_truth.by_id), ground_truth.mistakes) == ({}, ())
    assert count_kinds(ground_truth.mistakes) == {}


def test_mistakes_of_each_kind_are_counted_the_most_frequent_first() -> None:
    collector = Collector()
    for kind in get_args(Kind):
        collector.note(kind, "here", "expected something else")
    for kind in ("no area", "broken mask", "no area"):
        collector.note(kind, "there", "expected something else")
    counts = count_kinds(collector.ground_truth().mistakes)
    assert list(counts.items())[:2] == [("no area", 3), ("broken mask", 2)]
    assert counts.keys() == set(get_args(Kind))
    assert sum(counts.values()) == len(get_args(Kind)) + 3


def test_the_remedy_has_no_double_full_stop() -> None:
    said = remedy_for((Mistake("broken image", "a.jpg", "cannot decode a.jpg: repair or remove it."),))
    assert said.endswith("repair or remove it. Fix that, or give another ground truth.")
