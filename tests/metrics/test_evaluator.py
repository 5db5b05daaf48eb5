"""One image under each protocol, compared with loops over the definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.config.options import Box, BoxChoice
from wsol.data.ground_truth import GroundTruthMask, ImageTruth
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.objects import find_objects, resized
from wsol.metrics.evaluator import HUNDREDTHS, Evaluator, ImageResult, Row, mask_overlap, own_grid
from wsol.metrics.protocols import PROTOCOLS, ProtocolName

Map = NDArray[np.float32]
Xyxy = tuple[float, float, float, float]


class Case(NamedTuple):
    """An image's size, its annotated boxes, and a map of it."""

    image_hw: tuple[int, int]
    boxes: list[Xyxy]
    heatmap: Map


@st.composite
def cases(draw: st.DrawFn) -> Case:
    height, width = draw(st.integers(20, 600)), draw(st.integers(20, 600))
    random = np.random.default_rng(draw(st.integers(0, 10**9)))
    corners = random.random((draw(st.integers(1, 3)), 2, 2)) * [width, height]
    boxes = [(*low, *high) for low, high in zip(corners.min(axis=1), corners.max(axis=1), strict=True)]
    side = draw(st.sampled_from([1, 5, 14, 28, 224]))
    heatmap = random.random((side, side), dtype=np.float32) ** 3
    if side == 224:
        heatmap = cv2.GaussianBlur(heatmap, (0, 0), 12)
        heatmap = (heatmap - heatmap.min()) / np.ptp(heatmap)
    return Case((height, width), boxes, heatmap * np.float32(draw(st.sampled_from([1.0, 0.4]))))


def judged(name: ProtocolName, case: Case, threshold: float | None = None, step: float = 0.001, **more: Any) -> Row:
    result = ImageResult("a.jpg", 3, case.image_hw, case.heatmap, **more)
    ground_truth = ImageTruth(Boxes.of(case.boxes), case.image_hw)
    return Evaluator([PROTOCOLS[name]], {name: threshold}, step)(result, ground_truth)[name]


# wsolevaluation, as loops from spec/evaluation.md


def iou_plus_one(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    wide = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    high = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def squashed(box: Xyxy, image_hw: tuple[int, int]) -> tuple[int, ...]:
    height, width = image_hw
    return tuple(int(edge * 224.0 / side) for edge, side in zip(box, (width, height, width, height), strict=True))


def score_map(heatmap: Map) -> Map:
    if heatmap.shape == (224, 224):
        return heatmap
    if heatmap.min() == heatmap.max():
        return np.zeros((224, 224), np.float32)
    fine = cv2.resize(heatmap, (224, 224), interpolation=cv2.INTER_CUBIC)
    fine = fine - fine.min()
    return fine / fine.max()


def wsol_by_loops(case: Case, step: float, *, any_contour: bool) -> list[float]:
    """The best IoU at each threshold of arange(0, 1, step)."""
    levels = (score_map(case.heatmap) * 255).astype(np.uint8)
    ground_truth = [squashed(box, case.image_hw) for box in case.boxes]
    best = []
    for threshold in np.arange(0, 1, step):
        _, binary = cv2.threshold(levels, int(threshold * np.max(levels)), 255, cv2.THRESH_BINARY)
        contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if not any_contour and contours:
            contours = [max(contours, key=cv2.contourArea)]
        rectangles = [cv2.boundingRect(contour) for contour in contours]
        boxes = [(x, y, min(x + w, 223), min(y + h, 223)) for x, y, w, h in rectangles] or [(0, 0, 0, 0)]
        best.append(max(iou_plus_one(box, true) for box in boxes for true in ground_truth))
    return best


@pytest.mark.parametrize(("name", "any_contour"), [("wsol-v1", False), ("wsol-v2", True)])
@settings(max_examples=25)  # the reference takes a tenth of a second for each
@given(case=cases())
def test_wsol_is_wsolevaluation_at_every_threshold(name: ProtocolName, any_contour: bool, case: Case) -> None:
    row = judged(name, case, step=0.01)
    columns = (np.arange(0, 1, 0.01) * row.peak).astype(int)
    expected = np.array(wsol_by_loops(case, 0.01, any_contour=any_contour), dtype=np.float32)
    assert row.sweep[columns].tolist() == expected.tolist()


def test_the_layers_are_those_of_a_thousand_thresholds() -> None:
    random = np.random.default_rng(0)
    case = Case((375, 500), [(10, 20, 300, 320)], random.random((7, 7), dtype=np.float32))
    row = judged("wsol-v2", case)
    columns = (np.arange(0, 1, 0.001) * row.peak).astype(int)
    assert set(columns) == set(range(255))
    expected = np.array(wsol_by_loops(case, 0.001, any_contour=True), dtype=np.float32)
    assert row.sweep[columns].tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["wsol-v1", "wsol-v2"])
@pytest.mark.parametrize(
    ("heatmap", "expected"),
    [
        pytest.param(np.zeros((224, 224), np.float32), (0, 0, 0, 0), id="zeros: the corner's pixel"),
        pytest.param(np.ones((224, 224), np.float32), (0, 0, 223, 223), id="ones of the square's size stay ones"),
        *(
            pytest.param(np.full((side, side), value, np.float32), (0, 0, 0, 0), id=f"constant {value}, side {side}")
            for side in (1, 3, 7, 28)
            for value in (0.3, 1, 100)
        ),
        pytest.param(np.full((224, 224), np.nan, np.float32), (0, 0, 0, 0), id="not a number"),
        pytest.param(
            np.pad(np.ones((3, 5), np.float32), ((100, 121), (50, 169))), (50, 100, 55, 103), id="a few pixels"
        ),
        pytest.param(
            np.pad(np.full((3, 5), 7, np.float32), ((100, 121), (50, 169))), (50, 100, 55, 103), id="beyond 1"
        ),
    ],
)
def test_boxes_of_special_maps_under_wsol(name: ProtocolName, heatmap: Map, expected: tuple[int, ...]) -> None:
    row = judged(name, Case((224, 224), [(0.0, 0.0, 90.0, 200.0)], heatmap))
    assert row.sweep[0] == np.float32(iou_plus_one(expected, (0, 0, 90, 200)))


# SPOL, as loops from spec/evaluation.md


def spol_by_loops(case: Case, threshold: float) -> tuple[float, bool]:
    """The IoU of the largest contour's box with the best annotated box of the crop, and whether there is a contour."""
    height, width = case.image_hw
    ground_truth = []
    for x0, y0, x1, y1 in case.boxes:
        moved = (x0 * 256 / width - 16, y0 * 256 / height - 16, x1 * 256 / width - 16, y1 * 256 / height - 16)
        clipped = tuple(min(max(edge, 0.0), 224.0) for edge in moved)
        if clipped[0] < clipped[2] and clipped[1] < clipped[3]:
            ground_truth.append(clipped)
    whole = cv2.resize(case.heatmap, (256, 256), interpolation=cv2.INTER_LINEAR)
    mask = (whole[16:240, 16:240] > np.float32(threshold)).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not contours:
        return 0.0, False
    x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
    best = 0.0
    for x0, y0, x1, y1 in ground_truth:
        common = max(0.0, min(x1, x + w) - max(x0, x)) * max(0.0, min(y1, y + h) - max(y0, y))
        best = max(best, common / ((x1 - x0) * (y1 - y0) + w * h - common))
    return best, True


@given(cases(), st.sampled_from([0.2, 0.8, 0.05, 0.333]))
def test_spol_is_its_definition(case: Case, threshold: float) -> None:
    row = judged("spol", case, threshold)
    expected, has_box = spol_by_loops(case, threshold)
    assert row.iou == pytest.approx(expected, abs=1e-12)
    assert row.has_box == has_box
    assert row.sweep[np.searchsorted(own_grid(threshold), 0.2)] == pytest.approx(spol_by_loops(case, 0.2)[0], abs=1e-6)
    whole = cv2.resize(case.heatmap, (256, 256), interpolation=cv2.INTER_LINEAR)
    assert row.score == score_of(whole[16:240, 16:240], (224, 224), threshold)


def test_spol_takes_a_networks_own_map_of_the_crop() -> None:
    nothing = Case((100, 100), [(0, 0, 100, 100)], np.zeros((8, 8), np.float32))
    crop = np.random.default_rng(0).random((5, 5), dtype=np.float32)
    row = judged("spol", nothing, 0.5, crop_heatmap=crop)
    assert row.iou > 0 and row.has_box and row.score == score_of(crop, (224, 224), 0.5) > 0
    empty = judged("spol", nothing, 0.5)
    assert not empty.has_box and empty.score == 0


def test_a_box_outside_the_crop_is_dropped_and_the_image_still_counts() -> None:
    row = judged("spol", Case((256, 256), [(0, 0, 16, 256)], np.ones((8, 8), np.float32)), 0.2)
    assert row.iou == 0 and row.has_box and row.has_ground_truth


def score_of(heatmap: Map, image_hw: tuple[int, int], threshold: float) -> float:
    """The largest object of a prediction."""
    found = find_objects(heatmap, image_hw, Box(threshold=threshold))
    return found[0].score if found else 0.0


# The image's own pixels


@given(cases(), st.sampled_from([0.5, 0.2, 0.123, 0.9]))
def test_original_is_the_largest_component_at_the_images_own_size(case: Case, threshold: float) -> None:
    row = judged("original", case, threshold)

    def by_find_objects(at: float) -> float:
        found = find_objects(case.heatmap, case.image_hw, Box(threshold=at))
        return float(iou(Boxes.of([found[0].xyxy]), Boxes.of(case.boxes)).max()) if found else 0.0

    assert row.iou == by_find_objects(threshold)
    assert row.score == score_of(case.heatmap, case.image_hw, threshold)
    for place in (0, 9, 36, 98):
        at = float(HUNDREDTHS[place])
        assert row.sweep[np.searchsorted(own_grid(threshold), at)] == np.float32(by_find_objects(at))


def otsu_by_loops(heatmap: Map) -> float:
    """Reference: the level of 8 bits with the largest between-class variance (Otsu 1979, Eq. 14)."""
    levels = (heatmap * 255).astype(np.uint8).ravel().astype(float)
    variances = []
    for level in range(255):
        low, high = levels[levels <= level], levels[levels > level]
        variances.append(len(low) * len(high) * (high.mean() - low.mean()) ** 2 if len(low) and len(high) else 0.0)
    return (int(np.argmax(variances)) + 1) / 255


@settings(max_examples=20)
@given(cases())
def test_otsus_threshold_is_that_of_the_image(case: Case) -> None:
    row = judged("original", case, 0.5)
    found = find_objects(
        case.heatmap, case.image_hw, Box(threshold=otsu_by_loops(resized(case.heatmap, case.image_hw)))
    )
    assert row.otsu_iou == (float(iou(Boxes.of([found[0].xyxy]), Boxes.of(case.boxes)).max()) if found else 0.0)
    assert judged("wsol-v2", case).otsu_iou is None and judged("spol", case, 0.5).otsu_iou is None


# Boxes instead of maps


@pytest.mark.parametrize(
    ("name", "boxes", "expected"),
    [
        pytest.param("original", [(0, 0, 50, 100), (0, 0, 100, 100)], 0.5, id="the first box counts"),
        pytest.param("wsol-v2", [(0, 0, 50, 100), (0, 0, 100, 100)], 1.0, id="any box counts"),
        pytest.param("original", [], 0.0, id="no box"),
        pytest.param("wsol-v1", [], 0.0, id="no box under wsol-v1"),
        pytest.param("wsol-v1", [(150, 10, 190, 70)], 0.0, id="beside the image"),
        pytest.param("spol", [(0, 0, 100, 100)], 1.0, id="clipped to the crop"),
        pytest.param("spol", [(0, 0, 6, 100)], 0.0, id="outside the crop"),
    ],
)
def test_boxes_are_evaluated_in_the_protocols_geometry(name: ProtocolName, boxes: list[Xyxy], expected: float) -> None:
    result = ImageResult("a.jpg", 0, (100, 100), None, boxes=Boxes.of(boxes))
    ground_truth = ImageTruth(Boxes.of([(0, 0, 100, 100)]), (100, 100))
    row = Evaluator([PROTOCOLS[name]], {name: None})(result, ground_truth)[name]
    assert row.sweep.tolist() == pytest.approx([expected], abs=0.01)
    assert np.isnan(row.iou) if name.startswith("wsol") else np.float32(row.iou) == row.sweep[0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.7, 0.9], 0.7, id="that of the box that is judged"),
        pytest.param([], -np.inf, id="no box is less sure than any"),
        pytest.param(None, None, id="a system without scores"),
    ],
)
def test_the_score_of_boxes_is_their_own(scores: list[float] | None, expected: float | None) -> None:
    given = None if scores is None else np.array(scores, dtype=float)
    boxes = Boxes.of([(0, 0, 9, 9)] * len(scores or []))
    result = ImageResult("a.jpg", 0, (100, 100), None, boxes=boxes, scores=given)
    rows = Evaluator([PROTOCOLS["original"], PROTOCOLS["wsol-v1"]], {"original": None, "wsol-v1": None})(
        result, ImageTruth(Boxes.of([(0, 0, 100, 100)]), (100, 100))
    )
    assert rows["original"].score == expected and rows["wsol-v1"].score is None


# Masks


def square_truth(image_hw: tuple[int, int]) -> GroundTruthMask:
    """The left half is the object, the lowest quarter is ignored."""
    height, width = image_hw
    is_object, is_ignored = np.zeros(image_hw, dtype=bool), np.zeros(image_hw, dtype=bool)
    is_object[: height * 3 // 4, : width // 2] = True
    is_ignored[height * 3 // 4 :] = True
    return GroundTruthMask(is_object, is_ignored)


def test_masks_are_compared_at_the_images_size_and_pixels_in_the_square() -> None:
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[:, :4] = 1
    result = ImageResult("a.jpg", 0, (80, 160), heatmap)
    ground_truth = ImageTruth(Boxes.of([]), (80, 160), square_truth)
    rows = Evaluator([PROTOCOLS["original"], PROTOCOLS["wsol-v1"]], {"original": 0.5, "wsol-v1": None})(
        result, ground_truth
    )
    assert rows["original"].mask_iou == 1 and not rows["original"].has_ground_truth
    pixels = rows["wsol-v1"].pixels
    assert pixels is not None and pixels[0].sum() == 168 * 112 and pixels.sum() == 168 * 224


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param([[1, 1], [0, 0]], 1.0, id="ignored pixels may be either"),
        pytest.param([[1, 1], [0, 1]], 1.0, id="ignored pixels may be both"),
        pytest.param([[1, 0], [0, 0]], 0.5, id="half"),
        pytest.param([[0, 0], [0, 0]], 0.0, id="nothing"),
        pytest.param([[1, 1], [1, 0]], 2 / 3, id="too much"),
    ],
)
def test_overlap_of_masks_leaves_ignored_pixels_out(mask: list[list[int]], expected: float) -> None:
    ground_truth_mask = GroundTruthMask(np.array([[1, 1], [0, 0]], bool), np.array([[0, 0], [0, 1]], bool))
    assert mask_overlap(np.array(mask, bool), ground_truth_mask) == pytest.approx(expected)


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((2, 2), bool)
    assert mask_overlap(empty, GroundTruthMask(empty, empty)) == 1


# The highest value, and images without an object


def test_the_pointing_game_is_at_the_images_size_and_masks_go_before_boxes() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 3] = 1
    result = ImageResult("a.jpg", 0, (80, 160), heatmap)
    evaluator = Evaluator([PROTOCOLS["original"], PROTOCOLS["spol"]], {"original": 0.5, "spol": 0.2})
    # The highest value is in the upper right corner: beyond the centres of the outer cells the map is constant.
    for box, expected in [((140, 0, 160, 10), 1), ((0, 0, 138, 80), 0), ((140, 0, 150, 10), 0.5)]:
        rows = evaluator(result, ImageTruth(Boxes.of([box]), (80, 160)))
        assert rows["original"].pointing == expected and rows["spol"].pointing is None
    row = evaluator(result, ImageTruth(Boxes.of([(140, 0, 160, 10)]), (80, 160), square_truth))["original"]
    assert row.pointing == 0
    assert evaluator(result, ImageTruth(Boxes.of([]), (80, 160)))["original"].pointing is None


NOTHING = ImageTruth(Boxes.of([]), None, has_object=False)


def two_specks() -> Map:
    heatmap = np.zeros((40, 40), np.float32)
    heatmap[2:6, 2:6], heatmap[20:22, 20:22] = 0.9, 0.7
    return heatmap


@pytest.mark.parametrize(
    ("choice", "threshold", "expected"),
    [
        pytest.param(None, 0.5, 1, id="only the largest"),
        pytest.param(BoxChoice(objects="all", min_area=0.001), 0.5, 2, id="all"),
        pytest.param(BoxChoice(objects="all", min_area=0.005), 0.5, 1, id="all of a minimum size"),
        pytest.param(BoxChoice(objects="all", min_area=0.1), 0.5, 0, id="none of the minimum size"),
        pytest.param(BoxChoice(objects="all", min_area=0.001, threshold=0.1), 0.8, 1, id="at the system's threshold"),
        pytest.param(None, 0.95, 0, id="nothing above the threshold"),
    ],
)
@pytest.mark.parametrize("image_hw", [(40, 40), None])
def test_boxes_in_an_image_without_an_object_are_counted_by_the_runs_rule(
    image_hw: tuple[int, int] | None, choice: BoxChoice | None, threshold: float, expected: int
) -> None:
    evaluator = Evaluator([*PROTOCOLS.values()], {"original": threshold, "spol": 0.2}, choice=choice)
    rows = evaluator(ImageResult("a.jpg", 0, image_hw, two_specks()), NOTHING)
    assert rows["original"].box_count == expected and rows["original"].pointing is None
    assert rows["original"].image_score == np.float32(0.9)
    assert not any(row.has_object or row.has_ground_truth for row in rows.values())
    annotated = ImageTruth(Boxes.of([(0, 0, 9, 9)]), (40, 40))
    assert evaluator(ImageResult("a.jpg", 0, (40, 40), two_specks()), annotated)["original"].box_count == 0


@pytest.mark.parametrize(
    ("heatmap", "unlabelled", "expected"),
    [
        pytest.param([[0.2, 0.7]], None, 0.7, id="the highest value"),
        pytest.param([[2.0, -7.0]], None, 2, id="not rescaled"),
        pytest.param([[-3.0, -7.0]], None, -3, id="negative"),
        pytest.param([[np.nan, 0.3], [np.inf, 0.1]], None, 0.3, id="of the finite ones"),
        pytest.param([[np.nan]], None, -np.inf, id="no finite one"),
        pytest.param([[0.2, 0.7]], [[0.4]], 0.4, id="of the map that does not know the label"),
    ],
)
def test_the_score_of_an_image_is_the_peak_of_its_map(
    heatmap: list[list[float]], unlabelled: list[list[float]] | None, expected: float
) -> None:
    result, other = (
        None if values is None else ImageResult("a.jpg", 0, (20, 20), np.array(values, np.float32))
        for values in (heatmap, unlabelled)
    )
    assert result is not None
    result = replace(result, unlabelled=other)
    row = Evaluator([PROTOCOLS["original"]], {"original": 0.5})(result, NOTHING)["original"]
    assert row.image_score == np.float32(expected)


@pytest.mark.parametrize("image_hw", [(100, 100), None])
@pytest.mark.parametrize(
    ("scores", "count", "expected"),
    [
        pytest.param([0.7, 0.2], 2, 0.7, id="that of the best box"),
        pytest.param([], 0, -np.inf, id="no box is below every score"),
        pytest.param(None, 3, 1, id="a box without a score"),
        pytest.param(None, 0, -np.inf, id="no box and no scores"),
    ],
)
def test_all_boxes_of_an_image_without_an_object_are_counted(
    image_hw: tuple[int, int] | None, scores: list[float] | None, count: int, expected: float
) -> None:
    given = None if scores is None else np.array(scores, dtype=float)
    result = ImageResult("a.jpg", 0, image_hw, None, boxes=Boxes.of([(0, 0, 9, 9)] * count), scores=given)
    rows = Evaluator([*PROTOCOLS.values()], dict.fromkeys(PROTOCOLS))(result, NOTHING)
    assert rows["original"].box_count == count and rows["original"].image_score == expected
    assert all(row.box_count == 0 and row.image_score is None for name, row in rows.items() if name != "original")
