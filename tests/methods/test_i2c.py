"""I2C's seeds, distances and memory against loops over images and classes."""

from __future__ import annotations

import math

import pytest
import torch
from methods_quick import small_config
from torch import Tensor

from wsol.config.methods import I2c
from wsol.methods import i2c

IMAGES, LABELS = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1)), torch.tensor([2, 0, 2, 0, 2])


def distance(one: Tensor, other: Tensor) -> float:
    """Reference: L2."""
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True)))


def stochastic_by_loops(seeds: Tensor, labels: Tensor) -> float:
    """The mean |v_i - v_j| over pairs of images of a class, and their seeds."""
    distances = [
        distance(v, w)
        for i in range(len(labels))
        for j in range(i)
        if labels[i] == labels[j]
        for v, w in zip(seeds[i], seeds[j], strict=True)
    ]
    return sum(distances) / len(distances) if distances else 0.0


def vectors_by_loops(seeds: Tensor, labels: Tensor) -> dict[int, Tensor]:
    """The mean seed of each class."""
    return {
        label: torch.stack([v for one, its in zip(seeds, labels, strict=True) if its == label for v in one]).mean(0)
        for label in sorted(set(labels.tolist()))
    }


def test_seeds_are_where_the_map_is_high_and_all_such_positions_are_sampled() -> None:
    torch.manual_seed(0)
    features, seen = torch.arange(2 * 20.0).reshape(2, 1, 4, 5), torch.rand(2, 4, 5)
    seen[1] = 0.5
    seeds = i2c.sample_seeds(features, seen, I2c(delta=0.6, seeds=400))
    assert seeds.shape == (2, 400, 1)
    low, high = float(seen[0].min()), float(seen[0].max())
    expected = {i for i, value in enumerate(seen[0].flatten().tolist()) if (value - low) / (high - low) > 0.6}
    assert set(seeds[0].flatten().tolist()) == expected
    assert set(seeds[1].flatten().tolist()) == set(range(20, 40)), "a constant map has no object: any position"


def test_the_maximum_is_a_seed_for_any_delta() -> None:
    seen = torch.tensor([[[0.0, 3.0], [1.0, 2.0]]])
    assert set(i2c.sample_seeds(torch.arange(4.0).reshape(1, 1, 2, 2), seen, I2c(delta=0.99)).flatten().tolist()) == {
        1.0
    }


@pytest.mark.parametrize("labels", [[2, 0, 2, 0, 2], [0, 1, 2, 3, 4], [1, 1, 1, 1, 1]])
def test_distances_are_between_all_pairs_of_images_of_a_class(labels: list[int]) -> None:
    seeds = torch.randn(5, 3, 4, requires_grad=True)
    found = i2c.distance_within_classes(seeds, torch.tensor(labels))
    expected = stochastic_by_loops(seeds.detach(), torch.tensor(labels))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()  # also without pairs


def test_a_class_is_the_mean_of_its_seeds_and_counts_once_it_has_a_centre() -> None:
    seeds, centres, updates = torch.randn(5, 3, 4), torch.randn(3, 4), torch.tensor([4, 0, 0])
    expected = vectors_by_loops(seeds, LABELS)
    present, vectors = i2c.class_vectors(seeds, LABELS)
    assert present.tolist() == list(expected) == [0, 2]
    torch.testing.assert_close(vectors, torch.stack(list(expected.values())))
    for seen in ([4, 0, 0], [4, 0, 1], [0, 0, 0]):
        updates = torch.tensor(seen)
        known = [distance(vector, centres[label]) for label, vector in expected.items() if seen[label]]
        found = i2c.distance_to_centres(vectors, centres[present], updates[present])
        assert float(found) == pytest.approx(sum(known) / len(known) if known else 0.0, rel=1e-5)


def test_the_loss_uses_the_seeds_and_the_memory_follows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    options = I2c(lambda_1=0.5, lambda_2=0.25, gamma=0.7)
    network = i2c.build(small_config("i2c", **options.model_dump()), None).eval()
    assert isinstance(network, i2c.I2cNetwork)
    centres, updates = torch.zeros(3, network.centres.shape[1]), [0, 0, 0]
    for labels in (LABELS, torch.tensor([1, 1, 0, 0, 2]), LABELS):
        seeds = torch.randn(5, 3, network.centres.shape[1])
        monkeypatch.setattr(i2c, "sample_seeds", lambda *_, seeds=seeds: seeds)
        with torch.no_grad():
            maps = network.class_layer(network.head(network.backbone(IMAGES)[-1]))
            found = i2c.loss(network, IMAGES, labels, options)
        logs = maps.mean((2, 3)).log_softmax(1)
        expected = -sum(float(logs[i, label]) for i, label in enumerate(labels.tolist())) / 5
        expected += 0.5 * stochastic_by_loops(seeds, labels)
        vectors = vectors_by_loops(seeds, labels)
        known = [distance(vector, centres[label]) for label, vector in vectors.items() if updates[label]]
        expected += 0.25 * (sum(known) / len(known) if known else 0.0)
        assert float(found) == pytest.approx(expected, rel=1e-4)
        for label, vector in vectors.items():
            eta = math.exp(-0.7 * updates[label])
            centres[label] = (1 - eta) * centres[label] + eta * vector
            updates[label] += 1
        torch.testing.assert_close(network.centres, centres)
        assert network.updates.tolist() == updates


def test_in_the_warm_up_the_loss_is_the_cross_entropy_and_the_memory_stays_empty() -> None:
    torch.manual_seed(0)
    network = i2c.build(small_config("i2c"), None).eval()
    assert isinstance(network, i2c.I2cNetwork)
    network.warm_up_images = 2 * len(IMAGES)
    for is_warm in (False, False, True):
        with torch.no_grad():
            outputs = network(IMAGES, LABELS)
        assert outputs.stochastic is not None and bool(outputs.stochastic > 0) == is_warm == bool(network.updates.any())
    assert "images_seen" in network.state_dict(), "a training that continues does not warm up again"


def test_gradients_flow_through_the_seeds_and_not_through_their_choice_or_the_memory() -> None:
    torch.manual_seed(0)
    network = i2c.build(small_config("i2c"), None).train()
    assert isinstance(network, i2c.I2cNetwork)
    for _ in range(2):  # the second time classes have centres
        outputs = network(IMAGES, LABELS)
        assert outputs.stochastic is not None and outputs.to_centres is not None
        network.zero_grad()
        (outputs.stochastic + outputs.to_centres).backward()
        assert network.class_layer.weight.grad is None
        assert any(parameter.grad is not None for parameter in network.backbone.parameters())
        assert not network.centres.requires_grad
    assert network.updates.tolist() == [2, 0, 2]


def test_the_memory_is_saved_with_the_weights_and_unchanged_by_prediction() -> None:
    network = i2c.build(small_config("i2c"), None).eval()
    assert isinstance(network, i2c.I2cNetwork)
    assert {"centres", "updates", "images_seen"} <= network.state_dict().keys()
    with torch.no_grad():
        outputs = i2c.forward(network, IMAGES, LABELS)
    assert outputs.heatmaps is not None and not network.updates.any()
    maps = outputs.heatmaps.flatten(1)
    torch.testing.assert_close(
        torch.stack([maps.min(1).values, maps.max(1).values]), torch.tensor([[0.0], [1.0]]).expand(2, 5)
    )
