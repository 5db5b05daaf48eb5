"""Which classes are in an image, and the map of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.inference.multi_label import divided, labels_present


@pytest.mark.parametrize(
    ("chances", "no_object", "expected"),
    [
        pytest.param([0.9, 0.2, 0.7], (), [0, 2], id="above one half, the best first"),
        pytest.param([0.2, 0.3, 0.1], (), [1], id="the best if there are none"),
        pytest.param([0.9, 0.2, 0.7], (0,), [2], id="a class without an object is none"),
        pytest.param([float("nan"), 0.6, 0.1], (), [1], id="not a number"),
        pytest.param([0.5, 0.9, 0.5], (), [1], id="one half is not above it"),
    ],
)
def test_the_labels_of_an_image(chances: list[float], no_object: tuple[int, ...], expected: list[int]) -> None:
    assert labels_present(np.array([chances], dtype=np.float32), no_object) == [expected]


def test_each_position_goes_to_the_class_with_the_most_evidence_of_those_present() -> None:
    heatmap = np.full((4, 4), 0.8, dtype=np.float32)
    evidence = np.zeros((3, 4, 4), dtype=np.float32)
    evidence[0, :, :2], evidence[2, :, 2:], evidence[1] = 1, 1, 5
    maps = divided(heatmap, evidence, [2, 0])
    assert list(maps) == [2, 0]
    np.testing.assert_array_equal(maps[0][:, :2], heatmap[:, :2])
    assert maps[0][:, 2:].max() == 0 and maps[2][:, :2].max() == 0


@given(st.integers(0, 2**32 - 1), st.permutations([0, 1, 2]))
def test_the_maps_of_classes_are_the_map(seed: int, labels: list[int]) -> None:
    rng = np.random.default_rng(seed)
    heatmap, evidence = rng.random((6, 8), dtype=np.float32), rng.random((3, 3, 4), dtype=np.float32)
    maps = divided(heatmap, evidence, labels)
    np.testing.assert_array_equal(sum(maps.values()), heatmap)
    assert divided(heatmap, evidence, labels[:1])[labels[0]] is heatmap
