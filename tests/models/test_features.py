"""The feature map that a method reads: the last activation of backbones of every kind, the last stage, or a module."""

from __future__ import annotations

import copy

import pytest
import torch

from wsol.errors import WsolError
from wsol.models.backbone import feature_pyramid, stage_modules
from wsol.models.features import FeatureLevels, rectified_modules


@pytest.mark.parametrize(
    ("name", "module", "channels"),
    [
        pytest.param("tf_efficientnet_lite0", "blocks.6.0.bn1.act", 1152, id="expansion of an inverted bottleneck"),
        pytest.param("mobilenetv2_050", "blocks.6.0.bn1.act", 480, id="before the final bottleneck"),
        pytest.param("resnet18", None, 512, id="the outputs of a stage that ends in a ReLU"),
        pytest.param("vgg11", None, 512, id="or in a ReLU and pooling"),
        pytest.param("densenet121", None, 1024, id="or in a norm with a ReLU"),
        pytest.param("convnext_atto", "stages_3.blocks.1.mlp.act", 1280, id="a GELU, whose values may be negative"),
        pytest.param("mambaout_femto", "pyramid.stages_3.blocks.2.act", 768, id="channels last"),
        pytest.param("vit_tiny_patch16_224", None, 192, id="no other map than the stage's"),
    ],
)
def test_the_last_activation_is_the_widest_of_the_last_block(name: str, module: str | None, channels: int) -> None:
    backbone = FeatureLevels(feature_pyramid(name, 1, None, 16)).eval()
    seen: list[torch.Tensor] = []
    if module is not None:
        backbone.pyramid.get_submodule(module).register_forward_hook(lambda _, __, output: seen.append(output))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (found,), rectified = backbone(images), backbone.rectified(images)
        level = backbone.pyramid(images)[-1]
    assert found.shape == (2, channels, *level.shape[2:]) and backbone.channels == [channels]
    expected = level if module is None else seen[0]
    torch.testing.assert_close(found, expected if expected.shape[1] == channels else expected.permute(0, 3, 1, 2))
    torch.testing.assert_close(rectified, found.clamp(min=0))


@pytest.mark.parametrize(
    ("name", "feature", "channels"),
    [
        pytest.param("mobilenetv2_050", "blocks.5", 80, id="a block"),
        pytest.param("mobilenetv2_050", "blocks.6.0.bn1", 480, id="a layer"),
        pytest.param("convnext_atto", "stages.2", 160, id="a stage, which pyramids name otherwise"),
        pytest.param("mambaout_femto", "stages.2", 192, id="channels last"),
        pytest.param("mobilenetv2_050", "stage", 160, id="the last stage, though it is linear"),
    ],
)
def test_a_module_can_be_named_and_the_other_levels_stay(name: str, feature: str, channels: int) -> None:
    pyramid = feature_pyramid(name, 2, None, 16)
    backbone = FeatureLevels(pyramid, feature).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        shallow, deep = backbone(images)
        torch.testing.assert_close(shallow, pyramid(images)[0])
    assert [shallow.shape[1], deep.shape[1]] == backbone.channels and deep.shape[1] == channels


@pytest.mark.parametrize(
    ("feature", "words"),
    [("blocks.66", r"blocks\.6"), ("", "training.feature")],
)
def test_an_unknown_module_is_an_error_that_names_similar_ones(feature: str, words: str) -> None:
    with pytest.raises(WsolError, match=words):
        FeatureLevels(feature_pyramid("mobilenetv2_050", 1, None), feature)


def test_a_module_without_a_map_is_an_error() -> None:
    with pytest.raises(WsolError, match="feature map"):
        FeatureLevels(feature_pyramid("vit_tiny_patch16_224", 1, None), "blocks.3")


@pytest.mark.parametrize("name", ["mobilenetv2_050", "convnext_atto", "mambaout_femto", "resnet18"])
def test_exactly_the_layers_beside_the_feature_map_are_not_trained(name: str) -> None:
    """With several processes, a parameter that is trained and has no gradient is an error."""
    backbone = FeatureLevels(feature_pyramid(name, 1, None)).train()
    backbone(torch.randn(2, 3, 64, 64))[-1].mean().backward()
    trained = [one for one in backbone.parameters() if one.requires_grad]
    assert trained and all(one.grad is not None for one in trained)
    assert (len(trained) < len([*backbone.parameters()])) == (backbone.module is not None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("mobilenetv2_050", ["blocks.3.0.bn1.act", "blocks.5.0.bn1.act"], id="the next expansion"),
        pytest.param("resnet18", ["layer2", "layer3"], id="a stage that is rectified itself"),
    ],
)
def test_other_stages_are_rectified_by_themselves_or_by_the_next_activation(name: str, expected: list[str]) -> None:
    backbone = FeatureLevels(feature_pyramid(name, 3, None))
    stages = stage_modules(name, backbone.pyramid)
    found = rectified_modules(backbone, stages)
    assert found == [*map(backbone.pyramid.get_submodule, expected), stages[-1]]


def test_a_copy_has_hooks_of_its_own() -> None:
    backbone = FeatureLevels(feature_pyramid("mobilenetv2_050", 1, None, 16)).eval()
    twin = copy.deepcopy(backbone)
    with torch.inference_mode():
        for parameter in backbone.parameters():
            parameter.zero_()
        assert twin(torch.randn(1, 3, 64, 64))[-1].amax() > 0
        assert backbone(torch.randn(1, 3, 64, 64))[-1].amax() == 0


def test_the_value_is_kept_before_a_later_layer_works_in_place() -> None:
    """ResNet rectifies the outputs of bn1 in place."""
    backbone = FeatureLevels(feature_pyramid("resnet18", 1, None), "layer4.1.bn1").eval()
    with torch.inference_mode():
        assert backbone(torch.randn(1, 3, 64, 64))[-1].amin() < 0


def test_a_backbone_of_one_image_size_is_probed_with_it() -> None:
    """MaxViT's windows do not divide the usual small size."""
    backbone = FeatureLevels(feature_pyramid("maxvit_pico_rw_256", 1, None), size_px=256).eval()
    with torch.inference_mode():
        assert backbone(torch.randn(1, 3, 256, 256))[-1].shape[1] == backbone.channels[-1]
    with pytest.raises(WsolError, match="250 x 250"):
        FeatureLevels(feature_pyramid("maxvit_pico_rw_256", 1, None), size_px=250)
