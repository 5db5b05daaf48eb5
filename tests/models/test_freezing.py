"""Frozen early layers: which they are for backbones of every kind, and that training does not change them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsol.errors import WsolError
from wsol.models.backbone import feature_pyramid, whole_model
from wsol.models.freezing import freeze

LAST = {
    "tf_efficientnet_lite0": "blocks.1.1.bn3.bias",
    "resnet18": "layer1.1.bn2.bias",
    "convnext_atto": "stages.0.blocks.1.mlp.fc2.bias",
    "vit_tiny_patch16_224": "blocks.3.mlp.fc2.bias",
    "swin_tiny_patch4_window7_224": "layers.0.blocks.1.mlp.fc2.bias",
    "vgg11": "features.3.bias",
    "densenet121": "features.denseblock1.denselayer6.conv2.weight",
}
"""The last frozen parameter of two fifths of the stages."""


def frozen(network: nn.Module) -> list[str]:
    return [name for name, parameter in network.named_parameters() if not parameter.requires_grad]


@pytest.mark.parametrize("name", LAST)
def test_two_fifths_of_the_stages_are_frozen_in_a_whole_model_and_in_a_pyramid(name: str) -> None:
    whole = whole_model(name, 3, None)
    freeze(whole, 0.4, 64)
    assert frozen(whole)[-1] == LAST[name]
    order = [one for one, _ in whole.named_parameters()]
    assert frozen(whole) == order[: len(frozen(whole))], "from the input on, without a gap"
    for levels in (1, 3):
        pyramid = feature_pyramid(name, levels, None)
        freeze(pyramid, 0.4, 64)
        assert len(frozen(pyramid)) == len(frozen(whole))


@pytest.mark.parametrize("stages", range(6))
def test_more_stages_freeze_more(stages: int) -> None:
    network = feature_pyramid("resnet18", 1, None)
    fixed = freeze(network, stages, 64)
    assert bool(fixed) == bool(frozen(network)) == bool(stages)
    assert len(frozen(network)) == [0, 3, 15, 30, 45, 60][stages]


def test_the_error_about_too_many_stages_says_how_many_there_are() -> None:
    with pytest.raises(WsolError, match="expected at most 5, got 6"):
        freeze(feature_pyramid("resnet18", 1, None), 6, 64)


def test_a_step_changes_neither_frozen_weights_nor_statistics() -> None:
    network = feature_pyramid("tf_efficientnet_lite0", 1, None).train()
    fixed = freeze(network, 2, 64)
    for module in fixed:
        module.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=0.1)
    network(torch.rand(4, 3, 64, 64))[-1].square().sum().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    early = ("conv_stem", "bn1.", "blocks.0", "blocks.1")
    assert changed and not any(name.startswith(early) for name in changed)
    assert {"blocks.2.0.conv_pw.weight", "blocks.2.0.bn1.running_mean"} <= changed
