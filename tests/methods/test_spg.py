"""SPG's seeds, and the losses of its three masks, against loops over pixels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from methods_quick import quick, small_config
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.methods import Spg
from wsol.errors import WsolError
from wsol.methods import spg


def seed_of(value: float, peak: float, delta_h: float, delta_l: float) -> int | None:
    """Reference: M of one pixel; without any pixel above delta_h, those above 0.7 of the maximum are foreground."""
    if value > (delta_h if peak > delta_h else 0.7 * peak):
        return 1
    return 0 if value < delta_l else None


def seed_loss_by_loops(mask: Tensor, heatmaps: Tensor, delta_h: float, delta_l: float) -> float:
    """The cross entropy of a mask's sigmoid with the seeds of another map."""
    total = 0.0
    for one, heatmap in zip(mask.sigmoid().tolist(), heatmaps.tolist(), strict=True):
        entropies, peak = [], max(max(row) for row in heatmap)
        for row, others in zip(one, heatmap, strict=True):
            for p, value in zip(row, others, strict=True):
                seed = seed_of(value, peak, delta_h, delta_l)
                if seed is not None:
                    entropies.append(-math.log(p if seed else 1 - p))
        total += sum(entropies) / len(entropies) if entropies else 0.0
    return total / len(mask)


@pytest.mark.parametrize(("delta_h", "delta_l"), [(0.7, 0.1), (0.5, 0.5), (1.0, 0.0)])
def test_the_loss_of_a_mask_counts_only_the_seeds(delta_h: float, delta_l: float) -> None:
    mask, heatmaps = torch.randn(3, 5, 4), torch.rand(3, 5, 4)
    heatmaps[1] = (delta_h + delta_l) / 2
    expected = seed_loss_by_loops(mask, heatmaps, delta_h, delta_l)
    assert float(spg.seed_loss(mask, spg.seeds(heatmaps, delta_h, delta_l))) == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_that_of_the_classes_and_of_three_masks_with_seeds_of_the_previous_map() -> None:
    torch.manual_seed(0)
    deltas = {
        "delta_h_b2": 0.6,
        "delta_l_b2": 0.3,
        "delta_h_b1": 0.51,
        "delta_l_b1": 0.49,
        "delta_h_c": 0.5,
        "delta_l_c": 0.48,
    }
    options = Spg(width=8, head_width=8, dropout=0, **deltas)
    network = spg.build(small_config("spg", **options.model_dump()), None).train()
    assert isinstance(network, spg.SpgNetwork)
    network.backbone.eval()  # the same features twice
    images, labels = torch.rand(2, 3, 48, 48), torch.tensor([2, 0])
    with torch.no_grad():
        a1, a2, last = network.backbone(images)
        a3 = network.a3(last)
        maps = network.class_layer(a3)
        masks = [
            network.b[2](network.b[1](network.b[0](network.b1(a1)))),
            network.b[2](network.b[1](network.b[0](network.b2(a2)))),
            network.c(a3),
        ]
        b1, b2, c = (interpolate(one, (48, 48), mode="bilinear", align_corners=False)[:, 0] for one in masks)
        fine = interpolate(maps, (48, 48), mode="bilinear", align_corners=False)
        attention = torch.stack([fine[i, label] for i, label in enumerate(labels.tolist())])
        attention = torch.stack([(one - one.min()) / (one.max() - one.min()) for one in attention])
        logs = maps.mean((2, 3)).log_softmax(1)
        expected = -(float(logs[0, 2]) + float(logs[1, 0])) / 2
        expected += seed_loss_by_loops(b2, attention, 0.6, 0.3)
        expected += seed_loss_by_loops(b1, b2.sigmoid(), 0.51, 0.49)
        expected += seed_loss_by_loops(c, (b1.sigmoid() + b2.sigmoid()) / 2, 0.5, 0.48)
        assert float(spg.loss(network, images, labels, options)) == pytest.approx(expected, rel=1e-4)


def test_the_masks_have_gradients_in_the_backbone_and_the_seeds_have_none() -> None:
    assert not spg.seeds(torch.rand(1, 3, 3, requires_grad=True), 0.7, 0.1).value.requires_grad
    torch.manual_seed(0)
    network = spg.build(small_config("spg", width=8), None).train()
    assert isinstance(network, spg.SpgNetwork)
    spg.loss(network, torch.rand(2, 3, 64, 64), torch.tensor([0, 1]), Spg(width=8)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.zero_grad()
    guidance = network(torch.rand(2, 3, 64, 64)).guidance
    assert guidance is not None
    guidance.b1.sum().backward()
    touched = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert touched == {"backbone", "b1", "b"}


def test_the_map_is_the_min_max_normalised_map_of_the_label() -> None:
    torch.manual_seed(0)
    network = spg.build(small_config("spg", width=8), None).eval()
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([2, 0])
    with torch.no_grad():
        maps, outputs = network(images), spg.forward(network, images, labels)
    assert maps.guidance is None and outputs.heatmaps is not None and outputs.probabilities is not None
    chosen = [maps.classes[i, label].numpy() for i, label in enumerate(labels.tolist())]
    np.testing.assert_allclose(outputs.heatmaps.numpy(), [(one - one.min()) / np.ptp(one) for one in chosen], atol=1e-5)
    torch.testing.assert_close(outputs.probabilities, maps.classes.mean((2, 3)).softmax(1))


def test_a_backbone_without_three_stages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_two(name: str, *, out_indices: tuple[int, ...], **choices: object) -> nn.Module:
        if len(out_indices) > 2:
            raise IndexError("two stages")
        return nn.Identity()

    monkeypatch.setattr("wsol.models.backbone.timm.create_model", with_two)
    with pytest.raises(WsolError, match="3 feature levels"):
        spg.build(small_config("spg"), None)


def test_crossing_thresholds_are_refused(weights: Path) -> None:
    with pytest.raises(ValidationError, match="delta_l_b1 must be at most delta_h_b1, got 0.6 > 0.5"):
        quick("spg", weights, spg={"delta_l_b1": 0.6})
