"""Rectified features: non-negative, of the last block, for backbones of every kind."""

from __future__ import annotations

import copy

import pytest
import torch

from wsol.models.backbone import feature_pyramid
from wsol.models.features import RectifiedFeatures


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
def test_features_are_the_widest_activation_of_the_last_block_and_not_negative(
    name: str, module: str | None, channels: int
) -> None:
    features = RectifiedFeatures(feature_pyramid(name, 1, None, 16)).eval()
    seen: list[torch.Tensor] = []
    if module is not None:
        features.pyramid.get_submodule(module).register_forward_hook(lambda _, __, output: seen.append(output))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = features(images)
        level = features.pyramid(images)[-1]
    assert found.shape == (2, channels, *level.shape[2:]) and features.channels == channels
    assert found.amin() >= 0 and found.amax() > 0
    expected = level if module is None else seen[0]
    torch.testing.assert_close(
        found, (expected if expected.shape[1] == channels else expected.permute(0, 3, 1, 2)).clamp(min=0)
    )


def test_a_copy_has_hooks_of_its_own() -> None:
    features = RectifiedFeatures(feature_pyramid("mobilenetv2_050", 1, None, 16)).eval()
    twin = copy.deepcopy(features)
    with torch.inference_mode():
        for parameter in features.parameters():
            parameter.zero_()
        assert twin(torch.randn(1, 3, 64, 64)).amax() > 0
        assert features(torch.randn(1, 3, 64, 64)).amax() == 0
