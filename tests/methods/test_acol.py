"""ACoL's algorithm 1 against loops."""

from __future__ import annotations

import numpy as np
import torch
from methods_quick import small_config
from torch import Tensor
from torch.nn.functional import conv2d, pad

from wsol.methods import acol


def erased_by_loops(features: Tensor, heatmaps: Tensor, delta: float) -> Tensor:
    """Reference: lines 4 to 6."""
    result = features.clone()
    for image, heatmap in zip(result, heatmaps, strict=True):
        low, high = float(heatmap.min()), float(heatmap.max())
        for y in range(heatmap.shape[0]):
            for x in range(heatmap.shape[1]):
                if high > low and (float(heatmap[y, x]) - low) / (high - low) > delta:
                    image[:, y, x] = 0
    return result


def test_features_are_erased_where_the_first_map_is_high() -> None:
    features, heatmaps = torch.rand(3, 4, 6, 5) + 1, torch.randn(3, 6, 5)
    heatmaps[2] = 0.5
    for delta in (0.0, 0.6, 1.0):
        torch.testing.assert_close(acol.erased(features, heatmaps, delta), erased_by_loops(features, heatmaps, delta))


def test_the_map_is_the_maximum_of_both_and_the_second_gets_erased_features() -> None:
    torch.manual_seed(0)
    network = acol.build(small_config("acol", width=8, delta=0.3), None).eval()
    assert isinstance(network, acol.AcolNetwork)
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([2, 0])
    with torch.no_grad():
        features = network.backbone(images)[-1]
        # The mean of the 3 x 3 positions around each; those outside the map count as 0.
        features = conv2d(pad(features, (1, 1, 1, 1)).flatten(0, 1)[:, None], torch.full((1, 1, 3, 3), 1 / 9)).reshape(
            features.shape
        )
        first = network.first(features)
        heatmaps = torch.stack([first[i, label] for i, label in enumerate(labels.tolist())])
        second = network.second(erased_by_loops(features, heatmaps, 0.3))
        expected = []
        for i, label in enumerate(labels.tolist()):
            both = [maps[i, label].numpy() for maps in (first, second)]
            expected.append(np.max([(one - one.min()) / (one.max() - one.min()) for one in both], axis=0))
        outputs = acol.forward(network, images, labels)
    assert outputs.heatmaps is not None and outputs.probabilities is not None
    np.testing.assert_allclose(outputs.heatmaps.numpy(), np.stack(expected), atol=1e-5)
    torch.testing.assert_close(outputs.probabilities, first.mean((2, 3)).softmax(1))


def test_no_gradient_flows_through_the_erased_region() -> None:
    features, heatmaps = torch.rand(1, 2, 3, 3), torch.rand(1, 3, 3, requires_grad=True)
    assert not acol.erased(features, heatmaps, 0.5).requires_grad
