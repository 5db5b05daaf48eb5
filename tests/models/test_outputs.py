"""A map as a fraction of its peak."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsol.models.outputs import fraction_of_peak

values_of_maps = st.lists(st.floats(-4, 4, width=16, allow_subnormal=False), min_size=4, max_size=4)


@given(values_of_maps, st.sampled_from([2.0**-20, 0.5, 8.0, 2.0**20]))
def test_a_fraction_of_the_peak_ignores_scale(values: list[float], scale: float) -> None:
    heatmaps = torch.tensor(values).reshape(1, 2, 2)
    fraction = fraction_of_peak(heatmaps)
    assert fraction.max() == float(heatmaps.max() > 0)
    assert torch.allclose(fraction_of_peak(heatmaps * scale), fraction)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0, 0, 0], [0, 0, 0], id="zeros stay zeros"),
        pytest.param([-1, 2, 4], [0, 0.5, 1], id="negative is nothing"),
        pytest.param([-1, -2, -3], [0, 0, 0], id="all negative"),
        pytest.param([float("nan"), 2, 4], [0, 0.5, 1], id="not a number is nothing"),
        pytest.param([float("inf"), 2, float("-inf")], [0, 1, 0], id="infinity is no peak"),
    ],
)
def test_a_fraction_of_the_peak_is_always_finite(values: list[float], expected: list[float]) -> None:
    assert fraction_of_peak(torch.tensor([[values]], dtype=torch.float32)).flatten().tolist() == expected
