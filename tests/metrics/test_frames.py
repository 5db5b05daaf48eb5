"""Boxes and maps in each protocol's geometry."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsol.geometry.boxes import Boxes, Xyxy
from wsol.metrics.frames import boxes_in, fraction_map, map_in, map_of_crop, normalised
from wsol.metrics.protocols import Geometry


@pytest.mark.parametrize(
    ("geometry", "box", "expected"),
    [
        pytest.param("image", (1.5, 2, 300, 200), (1.5, 2, 300, 200), id="the image's own"),
        pytest.param("square", (100, 50, 499, 333), (44, 33, 223, 222), id="the square: cut to whole numbers"),
        pytest.param("square", (0, 0, 500, 336), (0, 0, 224, 224), id="the square: up to the edge"),
        pytest.param("crop", (125, 84, 375, 252), (48, 48, 176, 176), id="the crop: moved by 16"),
        pytest.param("crop", (0, 0, 500, 336), (0, 0, 224, 224), id="the crop: clipped"),
        pytest.param("crop", (0, 0, 31, 336), None, id="the crop: left of it"),
        pytest.param("crop", (0, 316, 500, 336), None, id="the crop: below it"),
        pytest.param("crop", (0, 0, 31.25, 336), None, id="the crop: touching it"),
    ],
)
def test_a_box_in_an_image_of_500_by_336(geometry: Geometry, box: Xyxy, expected: Xyxy | None) -> None:
    found = boxes_in(geometry, Boxes.of([box]), (336, 500))
    np.testing.assert_allclose(found.xyxy, np.reshape([] if expected is None else [expected], (-1, 4)))


RAMP = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)


@pytest.mark.parametrize(("geometry", "shape"), [("image", (30, 40)), ("crop", (224, 224)), ("square", (224, 224))])
@pytest.mark.parametrize("scale", [1.0, 5.0, -3.0])
def test_converted_maps_have_the_geometrys_size_and_values_from_0_to_1(
    geometry: Geometry, shape: tuple[int, int], scale: float
) -> None:
    found = map_in(geometry, RAMP * np.float32(scale), (30, 40))
    assert found.shape == shape
    assert found.min() >= 0 and found.max() <= 1


def test_the_crop_is_the_middle_of_the_whole() -> None:
    columns = np.repeat(np.arange(256, dtype=np.float32)[None] / 255, 256, axis=0)
    assert (map_in("crop", columns, None)[0] * 255).round().tolist() == list(range(16, 240))
    assert map_of_crop(columns[:224, :224]).tolist() == columns[:224, :224].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0.2, 0.4], [0.2, 0.4], id="fractions stay as they are"),
        pytest.param([0, 10, 5], [0, 1, 0.5], id="others from the lowest to the highest"),
        pytest.param([-1, 1, 0], [0, 1, 0.5], id="negative ones too"),
        pytest.param([7, 7], [0, 0], id="constant and too large"),
        pytest.param([np.nan, 0.5, np.inf], [0, 0.5, 0], id="what is not finite is nothing"),
    ],
)
def test_maps_as_fractions(values: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(fraction_map(np.array([values], dtype=np.float64)), [expected], rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([2, 4, 3], [0, 1, 0.5], id="stretched"),
        pytest.param([0.2, 0.2], [0, 0], id="constant"),
        pytest.param([np.nan, 1, 2], [0, 0, 0], id="a NaN spoils the map"),
        pytest.param([np.inf, 1, 2], [0, 0, 0], id="infinity too"),
    ],
)
def test_maps_from_the_lowest_to_the_highest(values: list[float], expected: list[float]) -> None:
    assert normalised(np.array([values], dtype=np.float64)).tolist() == [expected]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_map_of_the_squares_size_is_unchanged(dtype: type) -> None:
    heatmap: NDArray[np.floating] = np.random.default_rng(0).random((224, 224)).astype(dtype) * 0.7
    assert map_in("square", heatmap, None) is heatmap
