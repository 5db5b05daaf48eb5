"""The three changes of TAP against loops over channels and positions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from methods_quick import small_config
from torch import Tensor

from wsol.config.methods import Tap
from wsol.methods import tap


def pooled_by_loops(features: Tensor, theta: float) -> Tensor:
    """Reference: equation 4."""
    result = torch.zeros(features.shape[:2])
    for image, channels in enumerate(features):
        for number, channel in enumerate(channels):
            values = channel.flatten().tolist()
            above = [value for value in values if value > theta * max(values)]
            result[image, number] = sum(above) / len(above) if above else 0.0
    return result


@pytest.mark.parametrize("theta", [0.0, 0.1, 0.7])
def test_a_channel_is_averaged_over_its_active_positions(theta: float) -> None:
    features = torch.randn(2, 3, 4, 5).relu()
    features[0, 1] = 0
    torch.testing.assert_close(tap.pooled(features, theta), pooled_by_loops(features, theta))


def test_the_map_uses_only_positive_weights() -> None:
    features, weight = torch.rand(2, 4, 3, 3), torch.randn(5, 4)
    maps = tap.clamped_maps(features, weight)
    for label in range(5):
        expected = sum(
            max(float(w), 0.0) * channel for w, channel in zip(weight[label], features.unbind(1), strict=True)
        )
        torch.testing.assert_close(maps[:, label], torch.as_tensor(expected).expand(2, 3, 3))


def published_rule(heatmap: np.ndarray, percentile: int, theta_loc: float) -> np.ndarray:
    """Reference: what the published code keeps, which enlarges, stretches to [0, 1] and then takes the percentile."""
    height, width = heatmap.shape
    finer = cv2.resize(heatmap, (5 * width, 5 * height), interpolation=cv2.INTER_LINEAR)
    stretched = (finer - finer.min()) / (finer.max() - finer.min())
    return np.asarray(stretched > theta_loc * np.percentile(stretched, percentile, method="lower"))


@pytest.mark.parametrize("percentile", [50, 90, 100])
@pytest.mark.parametrize("lowest", [-1.0, 0.0, 0.5])
def test_the_threshold_is_that_of_the_published_code(percentile: int, lowest: float) -> None:
    maps = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0)) + lowest
    found = tap.fraction_of_percentile(maps, percentile).numpy()
    assert found.min() >= 0 and found.max() == 1
    for one, heatmap in zip(found, maps.numpy(), strict=True):
        for theta_loc in (0.2, 0.35, 0.8):
            expected = published_rule(heatmap, percentile, theta_loc)
            assert ((one > theta_loc) != expected).mean() < 0.005  # rounding
            assert 0 < expected.mean() < 1


def test_a_constant_map_is_empty() -> None:
    assert not tap.fraction_of_percentile(torch.zeros(1, 3, 3), 90).any()
    assert not tap.fraction_of_percentile(torch.ones(1, 3, 3), 90).any()


def test_the_network_combines_them() -> None:
    torch.manual_seed(0)
    network = tap.build(small_config("tap", **Tap().model_dump()), None).eval()
    assert isinstance(network, tap.TapNetwork)
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([1, 2])
    with torch.no_grad():
        features = network.backbone(images)[-1].clamp(min=0)
        logits = network.class_layer(pooled_by_loops(features, 0.1))
        maps = tap.clamped_maps(features, network.class_layer.weight)[torch.arange(2), labels]
        outputs = tap.forward(network, images, labels)
    assert outputs.heatmaps is not None and outputs.probabilities is not None
    torch.testing.assert_close(outputs.probabilities, logits.softmax(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs.heatmaps, tap.fraction_of_percentile(maps, 90))
