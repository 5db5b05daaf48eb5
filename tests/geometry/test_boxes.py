"""Half-open boxes: laws of IoU, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy, centre_box, covers, iou, tight_box

SIDE = 12


@st.composite
def boxes(draw: st.DrawFn, low: int = 0, high: int = SIDE) -> Xyxy:
    """Whole-numbered corners, empty boxes included."""
    x0, x1 = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
    y0, y1 = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
    return float(x0), float(y0), float(x1), float(y1)


def one_iou(a: Xyxy, b: Xyxy) -> float:
    return float(iou(Boxes.of([a]), Boxes.of([b]))[0, 0])


def painted(box: Xyxy) -> NDArray[np.bool_]:
    """The pixels of a box."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    x0, y0, x1, y1 = map(int, box)
    mask[y0:y1, x0:x1] = True
    return mask


def iou_by_pixels(a: Xyxy, b: Xyxy) -> float:
    """Paint both boxes and count."""
    union = (painted(a) | painted(b)).sum()
    return float((painted(a) & painted(b)).sum() / union) if union else 0.0


@given(boxes(), boxes())
def test_iou_counts_pixels(a: Xyxy, b: Xyxy) -> None:
    assert one_iou(a, b) == pytest.approx(iou_by_pixels(a, b))


@given(boxes(), boxes())
def test_iou_is_symmetric_and_between_0_and_1(a: Xyxy, b: Xyxy) -> None:
    assert one_iou(a, b) == one_iou(b, a)
    assert 0 <= one_iou(a, b) <= 1


@given(boxes(), boxes(), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_iou_ignores_translation(a: Xyxy, b: Xyxy, right: int, down: int) -> None:
    moved = [(x0 + right, y0 + down, x1 + right, y1 + down) for x0, y0, x1, y1 in (a, b)]
    assert one_iou(*moved) == one_iou(a, b)


@given(boxes())
def test_iou_with_itself_is_one_unless_empty(a: Xyxy) -> None:
    assert one_iou(a, a) == float(Boxes.of([a]).areas()[0] > 0)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param((0, 0, 10, 10), 1.0, id="the same"),
        pytest.param((10, 0, 20, 10), 0.0, id="touching edges do not overlap"),
        pytest.param((10, 10, 20, 20), 0.0, id="touching corners do not overlap"),
        pytest.param((0, 0, 10, 5), 0.5, id="half of it"),
        pytest.param((5, 0, 15, 10), 1 / 3, id="shifted by half"),
        pytest.param((2, 2, 4, 4), 0.04, id="inside"),
        pytest.param((3, 3, 3, 3), 0.0, id="a point"),
        pytest.param((-5, 2, 15, 2), 0.0, id="a line"),
        pytest.param((9.5, 9.5, 10.5, 10.5), 0.25 / 100.75, id="fractions of pixels"),
    ],
)
def test_iou_of_known_pairs(other: Xyxy, expected: float) -> None:
    assert one_iou((0, 0, 10, 10), other) == pytest.approx(expected)


def test_no_boxes_are_boxes() -> None:
    none, two = Boxes.of([]), Boxes.of([(0, 0, 1, 1), (0, 0, 2, 2)])
    assert len(none) == 0
    assert none.areas().shape == (0,)
    assert iou(none, two).shape == (0, 2)
    assert iou(two, none).shape == (2, 0)


def test_a_pixel_has_area_one_and_every_pair_its_cell() -> None:
    pair = Boxes.of([(3, 4, 4, 5), (0, 0, 4, 5)])
    assert pair.areas().tolist() == [1, 20]
    assert iou(pair, Boxes.of([(0, 0, 4, 5)])).tolist() == [[0.05], [1.0]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param((10, 0, 5, 8), "swapped corners or xywh", id="x swapped"),
        pytest.param((0, 8, 5, 3), "swapped corners or xywh", id="y swapped"),
        pytest.param((50, 60, 20, 30), "swapped corners or xywh", id="xywh"),
        pytest.param((float("nan"), 0, 1, 1), "finite", id="not a number"),
        pytest.param((0, 0, float("inf"), 1), "finite", id="infinite"),
    ],
)
def test_boxes_that_would_silently_score_zero_are_refused(row: Xyxy, words: str) -> None:
    with pytest.raises(WsolError, match=words):
        Boxes.of([(0, 0, 1, 1), row])


@given(boxes(-5, SIDE + 5), st.tuples(st.integers(1, SIDE), st.integers(1, SIDE)))
def test_clipping_keeps_exactly_the_part_inside(box: Xyxy, image_hw: tuple[int, int]) -> None:
    clipped = Boxes.of([box]).clipped(image_hw)
    x0, y0, x1, y1 = clipped.xyxy[0]
    assert 0 <= x0 <= x1 <= image_hw[1]
    assert 0 <= y0 <= y1 <= image_hw[0]
    whole = (0.0, 0.0, float(image_hw[1]), float(image_hw[0]))
    common = one_iou(box, whole) * (Boxes.of([box, whole]).areas().sum()) / (1 + one_iou(box, whole))
    assert clipped.areas()[0] == pytest.approx(common)
    assert (clipped.clipped(image_hw).xyxy == clipped.xyxy).all()


@given(arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_a_tight_box_holds_every_pixel_and_touches_one_on_each_side(mask: NDArray[np.bool_]) -> None:
    box = tight_box(mask)
    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = map(int, box)
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    for side in (mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0], mask[y0:y1, x1 - 1]):
        assert side.any()


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        pytest.param([], None, id="no pixel"),
        pytest.param([(0, 0)], (0, 0, 1, 1), id="first pixel"),
        pytest.param([(4, 6)], (6, 4, 7, 5), id="last pixel"),
        pytest.param([(1, 5), (3, 2)], (2, 1, 6, 4), id="columns 2 to 5, rows 1 to 3"),
    ],
)
def test_a_tight_box_is_half_open(pixels: list[tuple[int, int]], expected: Xyxy | None) -> None:
    mask = np.zeros((5, 7), dtype=bool)
    for row, column in pixels:
        mask[row, column] = True
    assert tight_box(mask) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        pytest.param(1.0, (0, 0, 200, 100), id="the image"),
        pytest.param(0.5, (50, 25, 150, 75), id="half its sides"),
        pytest.param(0.0, (100, 50, 100, 50), id="its centre"),
    ],
)
def test_the_centre_box_has_the_images_centre_and_shape(fraction: float, expected: Xyxy) -> None:
    assert centre_box((100, 200), fraction) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((0, 0, 40, 20), True, id="the whole image"),
        pytest.param((0, 1, 40, 20), True, id="all but a row, 95 %"),
        pytest.param((0, 1, 39, 20), False, id="less than 95 %"),
        pytest.param((5, 5, 5, 5), False, id="empty"),
    ],
)
def test_a_box_that_covers_its_image(box: Xyxy, expected: bool) -> None:
    assert covers(box, (20, 40)) == expected


def test_the_first_invalid_box_of_many_is_named_and_no_other() -> None:
    rows = [(0.0, 0.0, 1.0, 1.0)] * 3000
    with pytest.raises(WsolError) as refused:
        Boxes.of([*rows, (8.0, 6.0, 3.0, 2.0), *rows])
    assert refused.value.problem == "invalid box 3000" and len(str(refused.value)) < 200
