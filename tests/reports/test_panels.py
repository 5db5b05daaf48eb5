"""The strip: the pixels of its panels, and their positions on the sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fake_data.shown import of_boxes, of_maps, of_thresholds
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.geometry.boxes import Boxes, Xyxy
from wsol.reports.gallery import GalleryItem
from wsol.reports.panels import (
    CAPTION_PX,
    COLUMNS,
    FOUND,
    GAUSSIAN_COLUMNS,
    GROUND_TRUTH,
    HEADER_PX,
    LEFT_PX,
    MARGIN_PX,
    OUTLINE,
    PAPER,
    columns_of,
    draw_strip,
    panel_boxes,
    panel_combined,
    panel_gaussian,
    panel_map,
    panel_mask,
    panel_photo,
    panel_pseudo,
)

PANELS = (panel_photo, panel_map, panel_pseudo, panel_mask, panel_boxes)
BOX: Xyxy = (100, 60, 220, 180)
TRUE_BOX: Xyxy = (40, 30, 280, 210)


def shown_image(
    image_hw: tuple[int, int] = (240, 320), box: Xyxy | None = BOX, annotated_boxes: tuple[Xyxy, ...] = (TRUE_BOX,)
) -> GalleryItem:
    """Grey, warm in the middle; the mask is the middle ninth."""
    height, width = image_hw
    middle = np.zeros(image_hw, dtype=np.float32)
    middle[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    return GalleryItem(
        image_id="a/grey.jpg",
        image_hw=image_hw,
        photo=np.full((height, width, 3), 120, np.uint8),
        cam=middle,
        foreground=middle,
        known=np.ones(image_hw, np.float32),
        heatmap=middle,
        mask=middle > 0,
        boxes=Boxes.of([] if box is None else [box]),
        annotated_boxes=Boxes.of(list(annotated_boxes)),
        iou=0.25,
        score=0.5,
        class_name="grey thing",
        predicted_name=None,
    )


def is_colour(panel: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (panel == np.asarray(colour, np.uint8)).all(axis=2)


@pytest.mark.parametrize(
    ("sizes_hw", "cell_heights"),
    [
        pytest.param([], [], id="no image"),
        pytest.param([(240, 320)], [240], id="fits as it is"),
        pytest.param([(213, 320), (320, 213), (60, 80)], [213, 240, 240], id="wide, tall, and small ones grow"),
        pytest.param([(1, 300), (300, 1)], [1, 240], id="slivers"),
    ],
)
def test_a_strip_is_as_high_as_its_rows(sizes_hw: list[tuple[int, int]], cell_heights: list[int]) -> None:
    strip = draw_strip([shown_image(image_hw) for image_hw in sizes_hw])
    assert strip.mode == "RGB"
    assert strip.width == 1776
    assert strip.height == draw_strip([]).height + sum(cell_heights) + CAPTION_PX * len(cell_heights)


@pytest.mark.parametrize("draw", PANELS)
def test_a_panel_has_the_photo_s_size_and_leaves_the_photo_alone(draw) -> None:
    shown = shown_image((33, 47))
    before = shown.photo.copy()
    panel = draw(shown)
    assert panel.shape == (33, 47, 3)
    assert panel.dtype == np.uint8
    assert (shown.photo == before).all()


def test_the_found_box_is_a_line_inside_its_edges() -> None:
    line = is_colour(panel_boxes(shown_image(annotated_boxes=())), FOUND)
    rows, columns = np.nonzero(line)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == BOX
    assert line[60:180, 100].all()
    assert line[60, 100:220].all()
    assert not line[70:170, 110:210].any()


def test_both_boxes_are_seen_where_they_agree() -> None:
    panel = panel_boxes(shown_image(annotated_boxes=(BOX,)))
    edge = panel[61]
    assert is_colour(panel, GROUND_TRUTH)[61].any()
    assert is_colour(panel, FOUND)[61].any()
    assert (edge[100] == GROUND_TRUTH).all(), "dashes begin at the corner"
    assert (edge[219] == GROUND_TRUTH).all(), "and end at one"


def test_the_strip_shows_the_boxes_in_the_last_column_scaled_with_the_photo() -> None:
    half = replace(
        shown_image((120, 160)), boxes=Boxes.of([(50, 30, 110, 90)]), annotated_boxes=Boxes.of([(20, 15, 140, 105)])
    )
    strips = [np.asarray(draw_strip([each])) for each in (shown_image(), half)]
    left, top = LEFT_PX[4], MARGIN_PX + HEADER_PX
    for strip in strips:
        cell = strip[top : top + 240, left : left + 320]
        assert is_colour(cell, FOUND)[60:180, 101].all()
        assert (cell[31, 41] == GROUND_TRUTH).all()
        assert (cell[208, 278] == GROUND_TRUTH).all()
        assert (cell[120, 160] == 120).all(), "the photo within the box is untouched"
    assert (strips[0][:, left:] == strips[1][:, left:]).all()


def test_planes_and_photo_may_have_different_sizes() -> None:
    at_one_size = shown_image((480, 640), box=(200, 120, 440, 360), annotated_boxes=())
    small = np.zeros((30, 40), np.float32)
    small[10:20, 13:27] = 1
    at_several = replace(
        at_one_size,
        photo=np.full((240, 320, 3), 120, np.uint8),
        cam=small,
        foreground=small,
        known=np.ones((7, 9), np.float32),
    )
    strips = [np.asarray(draw_strip([each])).astype(int) for each in (at_one_size, at_several)]
    assert (strips[0][:, LEFT_PX[4] :] == strips[1][:, LEFT_PX[4] :]).all(), "the boxes do not care"
    assert np.abs(strips[0] - strips[1]).mean() < 3


def test_a_tall_photo_is_centred_in_a_round_cornered_cell() -> None:
    strip = np.asarray(draw_strip([shown_image((240, 100), box=None, annotated_boxes=())]))
    cell = strip[MARGIN_PX + HEADER_PX :, LEFT_PX[0] :][:240, :320]
    is_photo = (cell == 120).all(axis=2)
    assert is_photo[:, 110:210].all()
    assert not is_photo[:, :110].any()
    assert not is_photo[:, 210:].any()
    assert (cell[0, 0] == PAPER).all()


@pytest.mark.parametrize(
    "box", [None, (10.0, 10.0, 10.0, 10.0), (400.0, 300.0, 500.0, 400.0)], ids=["none", "no area", "outside"]
)
def test_a_strip_without_boxes_can_be_drawn(box: Xyxy | None) -> None:
    empty = replace(
        shown_image(box=box, annotated_boxes=()),
        cam=np.zeros((240, 320), np.float32),
        mask=np.zeros((240, 320), bool),
        iou=0.0,
    )
    assert draw_strip([empty]).height == draw_strip([shown_image()]).height
    assert is_colour(panel_boxes(empty), FOUND).any() == (box is not None)
    assert not is_colour(panel_mask(empty), FOUND).any()


@given(
    st.tuples(*[st.floats(-60, 120)] * 4).map(
        lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
    ),
    st.booleans(),
)
def test_any_box_leaves_the_photo_beyond_its_rim_alone(box: Xyxy, is_annotated: bool) -> None:
    shown = shown_image((50, 70), box=None if is_annotated else box, annotated_boxes=(box,) if is_annotated else ())
    panel = panel_boxes(shown)
    x0, y0, x1, y1 = box
    y, x = np.mgrid[:50, :70]
    # Two pixels: one of the dark rim, one of rounding and of boxes without area.
    near = (x >= min(x0, 69) - 2) & (x <= max(x1, 0) + 2) & (y >= min(y0, 49) - 2) & (y <= max(y1, 0) + 2)
    assert (panel[~near] == shown.photo[~near]).all()
    assert is_colour(panel, GROUND_TRUTH if is_annotated else FOUND).any()


def test_lines_are_seen_on_photos_of_their_own_colour() -> None:
    amber = replace(shown_image(annotated_boxes=()), photo=np.tile(np.asarray(FOUND, np.uint8), (240, 320, 1)))
    rim = panel_boxes(amber)[120, 99].astype(int)
    assert np.abs(rim - np.asarray(OUTLINE)).max() < np.abs(rim - np.asarray(FOUND)).max()


def test_a_pseudo_mask_tells_object_background_and_undecided_apart() -> None:
    known = np.ones((90, 90), np.float32)
    known[:, 60:] = 0
    foreground = np.zeros((90, 90), np.float32)
    foreground[:, :30] = 1
    panel = panel_pseudo(replace(shown_image((90, 90)), foreground=foreground, known=known)).astype(int)
    is_object, background, undecided = panel[:, :30], panel[:, 30:60], panel[:, 60:]
    assert is_object[0, 0, 0] - is_object[0, 0, 2] > 100, "amber"
    assert background[0, 0, 2] > background[0, 0, 0], "blue"
    assert undecided.std(axis=(0, 1)).min() > 10, "hatched"
    assert np.ptp(undecided, axis=2).max() < 20, "grey"
    assert is_object.std(axis=(0, 1)).max() == background.std(axis=(0, 1)).max() == 0


def test_a_soft_pseudo_mask_fades_from_background_to_object() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    shown = replace(shown_image((8, 64)), foreground=ramp, known=np.ones_like(ramp))
    red = panel_pseudo(shown)[0, :, 0].astype(int)
    assert (np.diff(red) > 0).all()


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        pytest.param(
            of_thresholds,
            ["Photo", "Map", "Gaussian", "Map and Gaussian", "Pseudo mask", "Mask", "Box"],
            id="pseudo masks with a Gaussian",
        ),
        pytest.param(of_maps, ["Photo", "Map", "Mask", "Box"], id="maps"),
        pytest.param(of_boxes, ["Photo", "Box"], id="boxes alone"),
    ],
)
def test_a_strip_is_as_wide_as_its_panels(kind: Callable[[GalleryItem], GalleryItem], titles: list[str]) -> None:
    shown = kind(shown_image())
    assert [column.title for column in columns_of(shown)] == titles
    strip = np.asarray(draw_strip([shown]))
    whole = np.asarray(draw_strip([shown_image()]))
    last = LEFT_PX[len(titles) - 1]
    assert strip.shape[1] - whole.shape[1] == last - LEFT_PX[4]
    below = MARGIN_PX + HEADER_PX
    assert (strip[below:, last:-2] == whole[below:, LEFT_PX[4] : -2])[:-2].all(), "the boxes are the last panel of both"


def test_without_a_stage_1_the_map_is_the_one_that_boxes_are_cut_from() -> None:
    shown = shown_image()
    assert (panel_map(of_maps(shown)) == panel_map(shown)).all()
    moved = replace(shown, heatmap=np.roll(shown.cam, 80))
    assert (panel_map(moved) == panel_map(shown)).all()
    assert (panel_map(of_maps(moved)) != panel_map(shown)).any()


def test_map_and_gaussian_are_joined_by_the_maximum() -> None:
    shown = of_thresholds(shown_image())
    assert shown.cam is not None and shown.gaussian is not None
    larger = np.where(shown.cam > shown.gaussian, shown.cam, shown.gaussian)
    assert (panel_gaussian(shown) == panel_map(replace(shown, cam=shown.gaussian))).all()
    assert (panel_combined(shown) == panel_map(replace(shown, cam=larger))).all()
    assert (panel_combined(shown) != panel_map(shown)).any() and (panel_combined(shown) != panel_gaussian(shown)).any()


def test_heat_is_brighter_than_cold() -> None:
    panel = panel_map(shown_image()).astype(int).sum(axis=2)
    assert panel[120, 160] > 2 * panel[5, 5]


def test_names_in_any_script_and_of_any_length_fit_their_column() -> None:
    def below_the_photo(class_name: str) -> NDArray[np.bool_]:
        strip = np.asarray(draw_strip([replace(shown_image(), class_name=class_name)]))
        return (strip[MARGIN_PX + HEADER_PX + 240 :, LEFT_PX[0] : LEFT_PX[4]] != PAPER).any(axis=2)

    assert below_the_photo("Käuzchen").any()
    assert (below_the_photo("Käuzchen") == below_the_photo("Kauzchen")).all()
    long = below_the_photo("Schwarzbrauenalbatros " * 9)[: CAPTION_PX - 12]
    assert long.any()
    assert not long[:, LEFT_PX[1] - LEFT_PX[0] - 20 :].any()
    assert not below_the_photo("梟\ud800\n")[: CAPTION_PX - 12].any()


def test_the_columns_follow_the_data() -> None:
    assert tuple(column.draw for column in COLUMNS) == PANELS
    with_gaussian = (*PANELS[:2], panel_gaussian, panel_combined, *PANELS[2:])
    assert tuple(column.draw for column in GAUSSIAN_COLUMNS) == with_gaussian
