"""Outlines and YOLO's polygons, checked with pycocotools' rasteriser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_data.predictions import CLASSES, CORPUS, UNNAMED, ones, write_predictions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.formats.polygons import one_ring, rings
from wsol.formats.yolo import _polygon_rows, write_yolo_polygons
from wsol.predictions.records import PredictedObject, Prediction, encode

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def rasterised(points: list[float], image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """One polygon of x, y, x, y, ... as pixels."""
    (rle,) = coco_mask.frPyObjects([points], *image_hw)
    return np.asarray(coco_mask.decode(rle), dtype=bool)


def read_row(row: str, image_hw: tuple[int, int]) -> tuple[int, NDArray[np.bool_]]:
    """A row of more than six numbers: class and polygon in fractions of the image."""
    number, *columns = row.split(" ")
    assert len(columns) >= 8 and len(columns) % 2 == 0
    assert all(len(column.partition(".")[2]) == 6 and 0 <= float(column) <= 1 for column in columns)
    sides = (image_hw[1], image_hw[0]) * (len(columns) // 2)
    return int(number), rasterised([float(c) * side for c, side in zip(columns, sides, strict=True)], image_hw)


def test_a_second_reader_finds_every_mask_and_class(tmp_path: Path) -> None:
    write_yolo_polygons(write_predictions(tmp_path), tmp_path)
    names = ["a/owl", "a/owl_png", *(p.image.rpartition(".")[0].replace("images/", "images_/") for p in CORPUS[2:])]
    for name, prediction in zip(names, CORPUS, strict=True):
        rows = (tmp_path / "labels" / f"{name}.txt").read_text().splitlines()
        for row, one in zip(rows, prediction.objects, strict=True):
            label, mask = read_row(row, prediction.image_hw)
            assert CLASSES[label] == prediction.class_name
            assert np.array_equal(mask, one.mask())
    assert "Even-odd" in (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert "class x1 y1 x2 y2" in (tmp_path / "README.txt").read_text(encoding="utf-8")


def test_a_run_without_a_classifier_has_the_one_class_object(tmp_path: Path) -> None:
    write_yolo_polygons(write_predictions(tmp_path, UNNAMED), tmp_path)
    assert (tmp_path / "labels/a.txt").read_text().startswith("0 ")
    assert (tmp_path / "labels/b.txt").read_text() == ""


def test_an_object_without_a_mask_has_the_outline_of_its_box() -> None:
    one = PredictedObject((2.0, 3.0, 7.0, 9.0), 0.5, encode(np.zeros((10, 10), dtype=bool)))
    (row,) = _polygon_rows(Prediction("a.jpg", (10, 10), (one,), 0, "a", ()))
    assert np.array_equal(read_row(row.rstrip("\n"), (10, 10))[1], ones((10, 10), (2, 3, 7, 9)))


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_one_ring_restores_every_mask_with_holes_and_components(mask: NDArray[np.bool_]) -> None:
    ring = one_ring(mask)
    assert bool(ring) == bool(mask.any())
    if ring:
        assert np.array_equal(rasterised([float(c) for point in ring for c in point], mask.shape), mask)


@given(masks)
def test_rings_have_corners_only_and_enclose_as_many_pixels_as_the_mask(mask: NDArray[np.bool_]) -> None:
    area = 0
    for ring in rings(mask):
        assert len(ring) >= 4 and len(ring) % 2 == 0
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            assert (x0 == x1) != (y0 == y1)
            area += x0 * y1 - x1 * y0
    assert area == 2 * mask.sum()


@given(st.data(), st.integers(1, 6000), st.integers(1, 6000))
def test_six_decimals_are_enough_for_images_of_every_size(data: st.DataObject, height: int, width: int) -> None:
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    columns = [
        round(v, 6)
        for v in (x0 / width, y0 / height, x1 / width, y0 / height, x1 / width, y1 / height, x0 / width, y1 / height)
    ]
    points = [share * side for share, side in zip(columns, (width, height) * 4, strict=True)]
    (rle,) = coco_mask.frPyObjects([points], height, width)
    assert coco_mask.toBbox(rle).tolist() == [x0, y0, x1 - x0, y1 - y0]
    assert coco_mask.area(rle) == (x1 - x0) * (y1 - y0)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param(ones((3, 3)), [], id="nothing"),
        pytest.param(ones((3, 3), (1, 1, 2, 2)), [[(1, 1), (2, 1), (2, 2), (1, 2)]], id="one pixel"),
        pytest.param(ones((2, 3), (0, 0, 3, 2)), [[(0, 0), (3, 0), (3, 2), (0, 2)]], id="all of it"),
    ],
)
def test_outlines_run_along_pixel_edges(mask: NDArray[np.bool_], expected: list[list[tuple[int, int]]]) -> None:
    assert rings(mask) == expected
