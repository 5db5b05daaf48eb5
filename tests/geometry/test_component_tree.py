"""Every component of every layer at once, against one flood at a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.geometry.component_tree import Components, bright_components, dark_components

Levels = NDArray[np.uint8]

few_levels = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4))
all_levels = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5)))


def alive(rows: Components, layer: int) -> NDArray[np.bool_]:
    return (rows.first <= layer) & (layer <= rows.last)


def flooded(mask: NDArray[np.bool_], connectivity: int) -> list[NDArray[np.bool_]]:
    """The components of one mask."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return [labels == label for label in range(1, count)]


def described(part: NDArray[np.bool_]) -> tuple[int, ...]:
    """Box, pixels and first pixel in reading order."""
    y, x = np.nonzero(part)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1, int(part.sum()), int(part.ravel().argmax())


def rows_of(rows: Components, layer: int) -> list[tuple[int, ...]]:
    found = np.column_stack([rows.xyxy, rows.pixels, rows.start])[alive(rows, layer)].astype(int)
    return sorted(map(tuple, found.tolist()))


@given(few_levels)
def test_bright_components_of_a_layer_are_those_of_a_flood_over_eight_neighbours(levels: Levels) -> None:
    rows = bright_components(levels)
    for layer in range(5):
        assert rows_of(rows, layer) == sorted(described(part) for part in flooded(levels > layer, 8))


@given(few_levels, st.integers(0, 4))
def test_dark_components_of_a_layer_are_those_of_a_flood_over_four_neighbours(levels: Levels, highest: int) -> None:
    rows = dark_components(levels, highest)
    for layer in range(highest + 1):
        assert rows_of(rows, layer) == sorted(described(part) for part in flooded(levels <= layer, 4))
    assert rows.last.max(initial=0) <= highest


@given(all_levels)
def test_all_256_levels_do(levels: Levels) -> None:
    bright, dark = bright_components(levels), dark_components(levels, 254)
    for layer in (0, 1, 100, 253, 254, *(int(level) for level in levels.ravel() if level < 255)):
        assert rows_of(bright, layer) == sorted(described(part) for part in flooded(levels > layer, 8))
        assert rows_of(dark, layer) == sorted(described(part) for part in flooded(levels <= layer, 4))


@given(few_levels)
def test_a_component_is_one_row_for_as_long_as_it_keeps_its_pixels(levels: Levels) -> None:
    for rows in (bright_components(levels), dark_components(levels, 254)):
        assert (rows.first <= rows.last).all()
        described_rows = list(zip(rows.start.tolist(), rows.pixels.tolist(), strict=True))
        assert len(set(described_rows)) == len(described_rows)


@given(arrays(bool, st.tuples(st.integers(1, 10), st.integers(1, 10))))
def test_holes_and_solid_area_are_those_of_the_drawn_contours(mask: NDArray[np.bool_]) -> None:
    rows = bright_components(mask.astype(np.uint8))
    parts = {described(part)[5]: part for part in flooded(mask, 8)}
    assert set(parts) == set(rows.start.tolist())
    for i, start in enumerate(rows.start.tolist()):
        contours, hierarchy = cv2.findContours(parts[start].astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        outer = [cv2.contourArea(c) for c, h in zip(contours, hierarchy[0], strict=True) if h[3] < 0]
        inner = [cv2.contourArea(c) for c, h in zip(contours, hierarchy[0], strict=True) if h[3] >= 0]
        assert rows.holes[i] == len(inner)
        assert rows.solid_twice[i] / 2 == outer[0] - sum(inner)


@pytest.mark.parametrize(
    ("levels", "bright", "dark"),
    [
        pytest.param([[0]], [], [(0, 254, 1)], id="one dark pixel"),
        pytest.param([[255]], [(0, 254, 1)], [], id="one bright pixel"),
        pytest.param([[7]], [(0, 6, 1)], [(7, 254, 1)], id="one pixel between"),
        pytest.param([[9, 9], [9, 9]], [(0, 8, 4)], [(9, 254, 4)], id="a constant map"),
        pytest.param(
            [[5, 0, 3]], [(0, 2, 1), (0, 4, 1)], [(0, 2, 1), (3, 4, 2), (5, 254, 3)], id="two hills and a valley"
        ),
        pytest.param(
            [[2, 0], [0, 1]], [(0, 0, 2), (1, 1, 1)], [(0, 0, 1), (0, 0, 1), (1, 1, 3), (2, 254, 4)], id="corners"
        ),
    ],
)
def test_layers_of_drawn_maps(
    levels: list[list[int]], bright: list[tuple[int, int, int]], dark: list[tuple[int, int, int]]
) -> None:
    drawn = np.array(levels, dtype=np.uint8)
    for rows, expected in ((bright_components(drawn), bright), (dark_components(drawn, 254), dark)):
        found = zip(rows.first.tolist(), rows.last.tolist(), rows.pixels.tolist(), strict=True)
        assert sorted(found) == expected


def test_a_map_without_bright_pixels_has_no_component() -> None:
    assert len(bright_components(np.zeros((3, 4), np.uint8)).first) == 0


def test_a_map_need_not_be_contiguous() -> None:
    levels = np.random.default_rng(0).integers(0, 9, (12, 10), dtype=np.uint8)
    np.testing.assert_array_equal(
        bright_components(levels[::2].T).pixels, bright_components(levels[::2].T.copy()).pixels
    )
