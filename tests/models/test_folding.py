"""Folded batch norms: same outputs, same state, and networks that use the values in between."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wsol.models.backbone import feature_pyramid, whole_model
from wsol.models.folding import fold


def with_statistics(network: nn.Module) -> nn.Module:
    """In eval mode, as after training: scale, shift, mean and variance are not 1 and 0."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.running_var):
                values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
            for values in (module.bias.data, module.running_mean):
                values.copy_(torch.randn(values.shape, generator=generator) / 4)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tf_efficientnet_lite0", 48),
        ("resnet18", 20),
        ("mobilenetv3_small_050", 30),
        ("densenet121", 1),
        ("vit_tiny_patch16_224", 0),
        ("resnetv2_50", 0),
    ],
)
def test_outputs_and_state_do_not_change(name: str, least: int) -> None:
    network = with_statistics(feature_pyramid(name, 2, None))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before, state = network(images), {key: value.clone() for key, value in network.state_dict().items()}
        assert fold(network, network.modules(), 64) >= least
        for one, other in zip(before, network(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))
    assert network.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_folded_batch_norms_are_not_used() -> None:
    network = with_statistics(whole_model("resnet18", 3, None))
    folded = copy.deepcopy(network)
    fold(folded, folded.modules(), 64)
    with torch.no_grad():
        for module in folded.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean += 100  # not used
        images = torch.rand(1, 3, 64, 64)
        torch.testing.assert_close(folded(images), network(images), rtol=1e-3, atol=1e-4)


class Between(nn.Module):
    """Uses the convolution's output twice, so folding would change its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv(x)
        return self.norm(found) + found


class Shared(nn.Module):
    """One convolution, two batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norms = nn.Conv2d(3, 3, 3, padding=1), nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for norm in self.norms:
            x = norm(self.conv(x))
        return x


@pytest.mark.parametrize("network", [Between(), Shared()], ids=["used twice", "called twice"])
def test_a_network_that_uses_values_in_between_is_unchanged(network: nn.Module) -> None:
    network, images = with_statistics(network), torch.rand(2, 3, 9, 9)
    before = network(images)
    assert fold(network, network.modules(), 9) == 0
    assert torch.equal(network(images), before)


def test_only_the_fixed_modules_are_folded() -> None:
    network = with_statistics(feature_pyramid("resnet18", 1, None))
    early = [module for name, module in network.named_modules() if name.startswith(("conv1", "bn1", "layer1"))]
    assert fold(network, early, 64) == 5
    network.train()
    for module in early:
        module.eval()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(2, 3, 64, 64))[-1].sum().backward()
    moved = {name.split(".")[0] for name, value in network.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {"layer2", "layer3", "layer4"}
    assert network.get_parameter("layer1.0.conv1.weight").grad is None
