"""MFF-Net: one contract for every network, and the paper's equations as references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wsol.config.base import Fusion
from wsol.methods.spol.losses import joint
from wsol.models.backbone import feature_pyramid
from wsol.models.mffnet import (
    DROPOUT,
    FUSIONS,
    WIDTH,
    ChannelAttention,
    MffNet,
    OriginalCam,
    Projection,
    build_mffnet,
    class_logits,
    upsampled,
)

CLASSES = 5
CHANNELS = (6, 8, 10, 12)


class Tiny(nn.Module):
    """Four stages of one convolution each, strides 4, 8, 16, 32; returns the last `levels`."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(into, out, 3, stride, 1), nn.ReLU())
            for into, out, stride in zip((3, *CHANNELS), CHANNELS, (4, 2, 2, 2), strict=False)
        )
        self.levels = levels

    def forward(self, images: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features[-self.levels :]


def tiny(
    levels: int = 3, *, fusion: Fusion = "multiply", attention: bool = True, auxiliary: bool = True, seed: int = 0
) -> Any:
    torch.manual_seed(seed)
    return build_mffnet(
        Tiny(levels), CHANNELS[-levels:], CLASSES, fusion=fusion, attention=attention, auxiliary=auxiliary
    )


def images(count: int = 2, side: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def check_contract(network: Any, strides: Sequence[int], auxiliary: bool) -> None:
    """Shapes of both outputs, and a training step that reaches every parameter."""
    network.train()
    maps = network(images())
    assert maps.fused.shape == (2, CLASSES, 64 // strides[0], 64 // strides[0])
    if len(strides) == 1 or not auxiliary:
        assert maps.deep is None
    else:
        assert maps.deep.shape == (2, CLASSES, 64 // strides[-1], 64 // strides[-1])
    logits = [None if scores is None else class_logits(scores, is_rectified=network.is_rectified) for scores in maps]
    assert logits[0].shape == (2, CLASSES)
    joint(logits[0], logits[1], torch.tensor([0, 3])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    network.eval()
    with torch.inference_mode():
        assert torch.equal(network(images()).fused, network(images()).fused)


@pytest.mark.parametrize("auxiliary", [True, False])
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_every_combination_of_options_satisfies_the_contract(
    fusion: Fusion, levels: int, attention: bool, auxiliary: bool
) -> None:
    network = tiny(levels, fusion=fusion, attention=attention, auxiliary=auxiliary)
    check_contract(network, (4, 8, 16, 32)[-levels:], auxiliary)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "densenet161",
        "efficientnet_b0",
        "convnext_atto",
        "mobilenetv3_small_100",
        "tf_efficientnet_lite0",
        "test_vit",
    ],
)
def test_every_family_of_backbones_satisfies_the_contract(name: str, levels: int) -> None:
    torch.manual_seed(0)
    pyramid: Any = feature_pyramid(name, levels, None)
    network = build_mffnet(
        pyramid, pyramid.feature_info.channels(), CLASSES, fusion="multiply", attention=True, auxiliary=True
    )
    check_contract(network, pyramid.feature_info.reduction(), auxiliary=True)


@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_one_level_is_the_original_cam_with_any_fusion(fusion: Fusion) -> None:
    network = tiny(1, fusion=fusion)
    assert isinstance(network, OriginalCam)
    assert {name for name, _ in network.named_parameters() if not name.startswith("backbone.")} == {
        "class_layer.weight",
        "class_layer.bias",
    }
    features = network.backbone(images())[-1]
    by_zhou = nn.functional.linear(
        features.mean((2, 3)), network.class_layer.weight[:, :, 0, 0], network.class_layer.bias
    )
    for mode in (True, False):
        network.train(mode)
        torch.testing.assert_close(class_logits(network(images()).fused, is_rectified=network.is_rectified), by_zhou)


def levels_of_maps(seed: int = 0) -> list[Tensor]:
    """Three levels of the same size, as after upsampling."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, 4, 5, generator=generator) for _ in range(3)]


def positions(maps: Tensor) -> Iterator[tuple[int, ...]]:
    return iter(np.ndindex(*maps.shape))


@pytest.mark.parametrize(
    ("fusion", "operation"), [("multiply", lambda x, y, z: x * y * z), ("add", lambda x, y, z: x + y + z)]
)
def test_fusion_is_equation_1_and_3_at_every_position(fusion: Fusion, operation: Any) -> None:
    levels = levels_of_maps()
    fused = FUSIONS[fusion](levels)
    assert fused.shape == levels[0].shape
    for at in positions(fused):
        assert fused[at].item() == pytest.approx(operation(*(level[at].item() for level in levels)), abs=1e-6)


def test_concatenation_has_the_channels_of_all_levels_in_order() -> None:
    levels = levels_of_maps()
    fused = FUSIONS["concat"](levels)
    assert fused.shape == (2, 9, 4, 5)
    for item, channel, y, x in positions(fused):
        assert fused[item, channel, y, x] == levels[channel // 3][item, channel % 3, y, x]


def attention_by_loops(module: ChannelAttention, levels: Sequence[Tensor]) -> list[Tensor]:
    """Sec. 3.3: pool each level; a 1x1 convolution each (with the published BN and ReLU) to one width; V is their
    product;

    a 1x1 convolution each from V back, sigmoid; each level times its own weights.
    """
    shared = torch.ones(len(levels[0]), WIDTH)
    for into, level in zip(module.into, levels, strict=True):
        convolution, norm = into[0], into[1]  # type: ignore[index]
        pooled = torch.stack([torch.stack([channel.sum() / channel.numel() for channel in item]) for item in level])
        vector = pooled @ convolution.weight[:, :, 0, 0].T + convolution.bias
        vector = (vector - norm.running_mean) / (norm.running_var + norm.eps) ** 0.5 * norm.weight + norm.bias
        shared = shared * vector.clamp(min=0)
    weighed = []
    for back, level in zip(module.back, levels, strict=True):
        weights = 1 / (1 + torch.exp(-(shared @ back.weight[:, :, 0, 0].T + back.bias)))
        weighed.append(level * weights[:, :, None, None])
    return weighed


def unsettled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms and biases as after some training, so that none of them is an identity."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) * 0.1)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d) and part.bias is not None:
            part.bias.data.copy_(torch.randn(part.bias.shape, generator=generator) * 0.3)
    return module.eval()


@torch.inference_mode()
def test_channel_attention_is_section_3_3() -> None:
    torch.manual_seed(0)
    module = unsettled(ChannelAttention(CHANNELS[1:]))
    assert isinstance(module, ChannelAttention)
    levels = [torch.rand(2, channels, side, side) for channels, side in zip(CHANNELS[1:], (8, 4, 2), strict=True)]
    for found, expected in zip(module(levels), attention_by_loops(module, levels), strict=True):
        torch.testing.assert_close(found, expected)


@torch.inference_mode()
def test_attention_weights_are_between_0_and_1() -> None:
    module = unsettled(ChannelAttention(CHANNELS[1:]))
    levels = [torch.rand(2, channels, 4, 4) for channels in CHANNELS[1:]]
    for before, after in zip(levels, module(levels), strict=True):
        weight = after / before
        assert ((weight > 0) & (weight < 1)).all()
        torch.testing.assert_close(weight, weight[:, :, :1, :1].expand_as(weight))


def bilinear_with_aligned_corners(maps: Tensor, height: int, width: int) -> Tensor:
    """Corner pixels map to corner pixels; other pixels are interpolated by distance."""
    grown = torch.zeros(*maps.shape[:2], height, width)
    for row in range(height):
        for column in range(width):
            y, x = row * (maps.shape[2] - 1) / (height - 1), column * (maps.shape[3] - 1) / (width - 1)
            for top in range(maps.shape[2]):
                for left in range(maps.shape[3]):
                    grown[:, :, row, column] += (
                        max(0, 1 - abs(y - top)) * max(0, 1 - abs(x - left)) * maps[:, :, top, left]
                    )
    return grown


def test_levels_are_upsampled_to_the_shallowest_with_aligned_corners() -> None:
    levels = [torch.rand(2, 3, side, side + 1) for side in (8, 4, 2)]
    grown = upsampled(levels)
    assert grown[0] is levels[0]
    for small, large in zip(levels[1:], grown[1:], strict=True):
        torch.testing.assert_close(large, bilinear_with_aligned_corners(small, 8, 9))


def projection_by_loops(module: Projection, level: Tensor) -> Tensor:
    convolution, norm = module[0], module[1]
    mixed = torch.einsum("oc,bchw->bohw", convolution.weight[:, :, 0, 0], level) + convolution.bias[:, None, None]
    return norm(mixed).clamp(min=0)


@pytest.mark.parametrize("fusion", get_args(Fusion))
@torch.inference_mode()
def test_the_network_is_figure_4b_from_left_to_right(fusion: Fusion) -> None:
    network = unsettled(tiny(3, fusion=fusion))
    assert isinstance(network, MffNet)
    levels = attention_by_loops(network.attention, network.backbone(images()))  # type: ignore[arg-type]
    x, y, z = (projection_by_loops(part, level) for part, level in zip(network.projections, levels, strict=True))
    y, deep = (bilinear_with_aligned_corners(level, *x.shape[2:]) for level in (y, z))
    joined = {"multiply": x * y * deep, "add": x + y + deep, "concat": torch.cat([x, y, deep], 1)}[fusion]
    weight, bias = network.class_layer.weight[:, :, 0, 0], network.class_layer.bias
    assert bias is not None
    fused, at_deep = network(images())
    torch.testing.assert_close(
        fused, torch.einsum("oc,bchw->bohw", weight, joined) + bias[:, None, None], atol=1e-4, rtol=1e-4
    )
    # The auxiliary branch: the same class layer on the deep level alone; after a concatenation, on zeros beside it.
    alone = torch.cat([torch.zeros_like(z), torch.zeros_like(z), z], 1) if fusion == "concat" else z
    torch.testing.assert_close(
        at_deep, torch.einsum("oc,bchw->bohw", weight, alone) + bias[:, None, None], atol=1e-4, rtol=1e-4
    )


def test_logits_are_the_mean_of_the_maps() -> None:
    scores = torch.tensor([[[[1.0, -3.0], [2.0, 4.0]], [[-1.0, -1.0], [-1.0, -5.0]]]])
    assert class_logits(scores, is_rectified=True).tolist() == [[7 / 4, 0]]
    assert class_logits(scores, is_rectified=False).tolist() == [[1, -2]]


def test_both_losses_train_the_class_layer() -> None:
    network = tiny(3).train()
    fused, deep = (class_logits(scores, is_rectified=True) for scores in network(images()))
    labels = torch.tensor([0, 3])
    of_fused, of_deep = (
        torch.autograd.grad(cross_entropy(logits, labels), network.class_layer.weight, retain_graph=True)[0]
        for logits in (fused, deep)
    )
    assert of_fused.abs().sum() > 0
    assert of_deep.abs().sum() > 0


def test_dropout_is_on_in_training_only() -> None:
    network = tiny(3).train()
    assert DROPOUT == 0.5
    with torch.no_grad():
        torch.manual_seed(0)
        one, other = network(images()), network(images())
        assert not torch.equal(one.fused, other.fused)
        assert not torch.equal(one.deep, other.deep)
        network.eval()
        assert torch.equal(network(images()).deep, network(images()).deep)


def test_new_layers_are_kaiming_normal_over_the_fan_in() -> None:
    wide = 400
    torch.manual_seed(0)
    network = MffNet(Tiny(2), (wide, wide), 200, fusion="concat", attention=True, auxiliary=False)
    assert isinstance(network.attention, ChannelAttention)
    layers: list[tuple[Any, int]] = [(into[0], wide) for into in network.attention.into]  # type: ignore[index]
    layers += [(back, WIDTH) for back in network.attention.back]
    layers += [(projection[0], wide) for projection in network.projections]  # type: ignore[index]
    layers.append((network.class_layer, 2 * WIDTH))
    for layer, fan_in in layers:
        assert layer.weight.shape[1] == fan_in
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.1 * (2 / fan_in) ** 0.5)
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
        kurtosis = (layer.weight / layer.weight.std()).pow(4).mean().item()
        assert kurtosis == pytest.approx(3, abs=0.25)
        assert (layer.bias == 0).all()


def test_the_paper_s_sizes() -> None:
    """Strides 8, 16, 32 of ResNet50: 28x28 for a 224 input, 32x32 for 256; widths 512, 1024, 2048."""
    pyramid: Any = feature_pyramid("resnet50", 3, None)
    assert pyramid.feature_info.channels() == [512, 1024, 2048]
    assert pyramid.feature_info.reduction() == [8, 16, 32]
