"""From heatmaps to objects at the image's own size."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.config.options import Box
from wsol.geometry.boxes import Xyxy, tight_box
from wsol.geometry.objects import DetectedObject, find_objects, resized
from wsol.geometry.scores import score_of

Map = NDArray[np.float32]


def drawing(rows: str) -> Map:
    """`.` is 0, a digit that many tenths, `#` 1; one cell a pixel."""
    values = {".": 0.0, "#": 1.0} | {str(digit): digit / 10 for digit in range(10)}
    return np.array([[values[cell] for cell in row] for row in rows.split()], dtype=np.float32)


def found(rows: str, **box: object) -> list[DetectedObject]:
    """Objects of a drawing at its own size."""
    heatmap = drawing(rows)
    return find_objects(heatmap, heatmap.shape, Box.model_validate(box))


@pytest.mark.parametrize(
    ("rows", "box", "expected"),
    [
        pytest.param(".... ....", {}, [], id="an empty map has no object"),
        pytest.param("5555 5555", {}, [], id="at the threshold is not above it"),
        pytest.param("#### ####", {}, [(0, 0, 4, 2)], id="a map of ones is one object"),
        pytest.param(".... ..#.", {}, [(2, 1, 3, 2)], id="one pixel"),
        pytest.param("##.. ##.. ...#", {}, [(0, 0, 2, 2)], id="the largest of two"),
        pytest.param("#... .... ..## ..##", {}, [(2, 2, 4, 4)], id="the largest, not the first"),
        pytest.param("77.. 77.. ...#", {}, [(0, 0, 2, 2)], id="the largest, not the brightest"),
        pytest.param("##.. ##.. ..## ..##", {}, [(0, 0, 4, 4)], id="corners touch: one object"),
        pytest.param("..#. .#.. #...", {}, [(0, 0, 3, 3)], id="the other diagonal"),
        pytest.param(
            "#.## #.## #.##", {"objects": "all", "min_area": 0}, [(2, 0, 4, 3), (0, 0, 1, 3)], id="all, largest first"
        ),
        pytest.param(
            "##.# ##.. ....",
            {"objects": "all", "min_area": 1 / 12},
            [(0, 0, 2, 2), (3, 0, 4, 1)],
            id="all: exactly the least area counts",
        ),
        pytest.param(
            "##.# ##.. ....", {"objects": "all", "min_area": 0.1}, [(0, 0, 2, 2)], id="all: small ones do not count"
        ),
        pytest.param("#... .... ....", {"objects": "all", "min_area": 0.5}, [], id="all may be none"),
        pytest.param("#... .... ....", {"min_area": 0.5}, [(0, 0, 1, 1)], id="the largest counts however small"),
        pytest.param("23.. 12..", {"threshold": 0.15}, [(0, 0, 2, 2)], id="another threshold"),
        pytest.param("1... ....", {"threshold": 0}, [(0, 0, 1, 1)], id="threshold 0: everything positive"),
        pytest.param("#### ####", {"threshold": 1}, [], id="threshold 1: nothing"),
    ],
)
def test_objects_of_drawn_maps(rows: str, box: dict[str, object], expected: list[Xyxy]) -> None:
    assert [one.xyxy for one in found(rows, **box)] == expected


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        pytest.param(
            float("inf"),
        ),
    ],
)
def test_a_map_that_is_not_finite_has_no_object(value: float) -> None:
    assert find_objects(np.full((3, 4), value, dtype=np.float32), (30, 40), Box()) == []


heatmaps = arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.integers(0, 20).map(lambda step: np.float32(step / 20)),
)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
thresholds = st.integers(0, 99).map(lambda step: step / 100)


@given(heatmaps, sizes, thresholds)
def test_every_object_is_boxed_tightly_at_the_images_size_and_scored(
    heatmap: Map, image_hw: tuple[int, int], threshold: float
) -> None:
    objects = find_objects(heatmap, image_hw, Box(threshold=threshold, objects="all", min_area=0))
    fine = resized(heatmap, image_hw)
    together = np.zeros(image_hw, dtype=int)
    for one in objects:
        assert one.mask.shape == image_hw
        assert tight_box(one.mask) == one.xyxy
        others = np.logical_or.reduce([other.mask for other in objects if other is not one], initial=False)
        assert one.score == score_of(heatmap, one.mask, np.broadcast_to(others, image_hw))
        together += one.mask
    assert together.max() <= 1
    assert (together.astype(bool) == (fine > threshold)).all()
    areas = [int(one.mask.sum()) for one in objects]
    assert areas == sorted(areas, reverse=True)
    assert [one.xyxy for one in find_objects(heatmap, image_hw, Box(threshold=threshold))] == [
        one.xyxy for one in objects[:1]
    ]


def components_by_flood(mask: NDArray[np.bool_]) -> set[frozenset[tuple[int, int]]]:
    """Sets of pixels that reach one another by steps to the eight neighbours."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    parts = set()
    while left:
        part = {left.pop()}
        todo = deque(part)
        while todo:
            y, x = todo.popleft()
            near = {(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            part |= near
            todo.extend(near)
        parts.add(frozenset(part))
    return parts


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_components_are_those_of_a_flood_over_eight_neighbours(mask: NDArray[np.bool_]) -> None:
    objects = find_objects(mask.astype(np.float32), mask.shape, Box(objects="all", min_area=0))
    assert {frozenset((int(y), int(x)) for y, x in np.argwhere(one.mask)) for one in objects} == components_by_flood(
        mask
    )


def bilinear_by_loops(heatmap: Map, image_hw: tuple[int, int]) -> Map:
    """Pixel centres at half, borders repeated."""
    fine = np.zeros(image_hw)
    for row, column in np.ndindex(*image_hw):
        y = (row + 0.5) * heatmap.shape[0] / image_hw[0] - 0.5
        x = (column + 0.5) * heatmap.shape[1] / image_hw[1] - 0.5
        for top in (int(np.floor(y)), int(np.floor(y)) + 1):
            for left in (int(np.floor(x)), int(np.floor(x)) + 1):
                weight = max(0, 1 - abs(y - top)) * max(0, 1 - abs(x - left))
                fine[row, column] += (
                    weight * heatmap[np.clip(top, 0, heatmap.shape[0] - 1), np.clip(left, 0, heatmap.shape[1] - 1)]
                )
    return fine.astype(np.float32)


@pytest.mark.parametrize(
    ("map_hw", "image_hw"), [((3, 4), (30, 40)), ((5, 2), (7, 13)), ((4, 4), (4, 4)), ((1, 1), (3, 2))]
)
def test_maps_grow_bilinearly_with_pixel_centres_at_half(map_hw: tuple[int, int], image_hw: tuple[int, int]) -> None:
    heatmap = np.random.default_rng(0).random(map_hw, dtype=np.float32)
    np.testing.assert_allclose(resized(heatmap, image_hw), bilinear_by_loops(heatmap, image_hw), atol=2e-3)
