"""DDT's mean, covariance and eigenvector against a plain eigendecomposition and power iteration."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from methods_quick import small_config

from wsol.methods import ddt


def common_object(seed: int, n: int = 200, channels: int = 6) -> np.ndarray:
    """Descriptors of two kinds: many small ones, and fewer that are larger along one direction."""
    generator = np.random.default_rng(seed)
    direction = np.abs(generator.normal(size=channels)) + 0.2
    background = np.abs(generator.normal(size=(n, channels)))
    background[: n // 3] += 5 * direction
    return background


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_component_is_the_first_eigenvector_of_the_covariance_for_any_split(seed: int) -> None:
    x = common_object(seed)
    mean = sum(x) / len(x)  # Eq. 1
    covariance = sum(np.outer(one - mean, one - mean) for one in x) / len(x)  # Eq. 2
    vector = np.ones(x.shape[1])
    for _ in range(500):
        vector = covariance @ vector
        vector /= np.linalg.norm(vector)
    found_mean, found = ddt.first_component(ddt.moments_of(x[:50]) + ddt.moments_of(x[50:]))
    np.testing.assert_allclose(found_mean, mean)
    np.testing.assert_allclose(abs(found @ vector), 1, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_longer_descriptors_have_positive_values(seed: int) -> None:
    x = common_object(seed)
    mean, xi = ddt.first_component(ddt.moments_of(x))
    p = (x - mean) @ xi
    assert np.corrcoef(p, np.linalg.norm(x, axis=1))[0, 1] > 0
    assert p[: len(x) // 3].mean() > 0 > p[len(x) // 3 :].mean()


def test_the_layer_computes_equation_4_of_the_class_or_of_all() -> None:
    torch.manual_seed(0)
    network = ddt.build(small_config("ddt", images="class"), None).eval()
    assert isinstance(network, ddt.DdtNetwork)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = network.backbone(images)[-1]
        descriptors = features.permute(0, 2, 3, 1).double().numpy()
        moments = [ddt.moments_of(descriptors[i].reshape(-1, features.shape[1])) for i in range(2)]
        ddt._fill(network, [*moments, None])
        parts = {0: moments[0], 1: moments[1], 2: moments[0] + moments[1], None: moments[0] + moments[1]}
        for label, own in parts.items():
            mean, xi = ddt.first_component(own)
            p = torch.from_numpy((descriptors - mean) @ xi).float()
            outputs = ddt.forward(network, images, None if label is None else torch.tensor([label, label])).heatmaps
            assert outputs is not None
            torch.testing.assert_close(outputs, ddt.around_half(p), rtol=1e-3, atol=1e-3)


def test_the_map_is_one_half_where_p_is_zero_and_empty_if_nothing_is_positive() -> None:
    p = torch.tensor([[[-4.0, -1.0, 0.0, 2.0]], [[-1.0, -1.0, -2.0, 0.0]]])
    torch.testing.assert_close(ddt.around_half(p), torch.tensor([[[0.0, 0.25, 0.5, 1.0]], [[0.0, 0.0, 0.0, 0.5]]]))
