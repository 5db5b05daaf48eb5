"""ADL's mask, importance map and drop rate against the paper; it is off at prediction."""

from __future__ import annotations

import pytest
import torch
from methods_quick import small_config
from torch import nn

from wsol.config.methods import Adl
from wsol.errors import WsolError
from wsol.methods import adl
from wsol.models.checkpoint import MethodConfig


def test_the_drop_mask_is_zero_at_the_positions_of_highest_attention() -> None:
    attention = torch.rand(3, 1, 5, 4)
    mask = adl.drop_mask(attention, 0.7)
    for image in range(3):
        peak = max(attention[image].flatten().tolist())
        for y in range(5):
            for x in range(4):
                assert mask[image, 0, y, x] == (0 if float(attention[image, 0, y, x]) > 0.7 * peak else 1)


@pytest.mark.parametrize("drop_rate", [0.0, 1.0])
def test_features_are_weighted_or_dropped_by_the_mean_of_their_positive_channels(drop_rate: float) -> None:
    layer, features = adl.AttentionDropout(Adl(drop_rate=drop_rate, gamma=0.8)), torch.randn(2, 6, 4, 4)
    attention = torch.stack([channel.clamp(min=0) for channel in features.unbind(1)]).mean(0)
    expected = features.clone()
    for image in range(2):
        for y in range(4):
            for x in range(4):
                value = attention[image, y, x]
                dropped = 0.0 if value > 0.8 * attention[image].max() else 1.0
                expected[image, :, y, x] *= dropped if drop_rate else torch.sigmoid(value)
    torch.testing.assert_close(layer.train()(features), expected)
    assert torch.equal(layer.eval()(features), features)


def test_the_mask_comes_as_often_as_the_drop_rate_says() -> None:
    torch.manual_seed(0)
    layer, features = adl.AttentionDropout(Adl(drop_rate=0.75)).train(), torch.rand(1, 2, 3, 3) + 0.1
    dropped = [bool((layer(features) == 0).any()) for _ in range(400)]
    assert 0.68 < sum(dropped) / 400 < 0.82


@pytest.mark.parametrize("feature", ["stage", "activation"])
def test_each_of_the_last_stages_is_followed_by_one_in_training_only(feature: str) -> None:
    torch.manual_seed(0)
    model_config = small_config("adl", drop_rate=1.0, gamma=0.1, stages=3).model_copy(update={"feature": feature})
    network = adl.build(model_config, None)
    assert isinstance(network, adl.AdlNetwork) and len(network.layers) == 3
    seen: list[float] = []
    for layer in network.layers:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(float((output == 0).float().mean())))
    images = torch.rand(2, 3, 64, 64)
    network.train()(images)
    assert len(seen) == 3 and min(seen) > 0
    with torch.no_grad():
        read = network.backbone(images)[-1]
    assert (read == 0).all(1).any(), "the class layer reads what the last one leaves"
    quiet = network.eval()(images).fused
    for layer in network.layers:
        layer.drop_rate = 0.0
    assert torch.equal(network(images).fused, quiet)


def test_a_backbone_without_feature_maps_is_refused() -> None:
    layer = adl.AttentionDropout(Adl())
    with pytest.raises(WsolError, match="adl needs .*got Linear with 2 dimensions"):
        layer.hook(nn.Linear(2, 2), (torch.rand(1, 2),), torch.rand(1, 2))


def test_a_backbone_without_separate_stage_modules_is_refused() -> None:
    model_config = MethodConfig.model_validate(
        small_config("adl", **Adl().model_dump()).model_dump() | {"backbone": "mixer_s32_224"}
    )
    with pytest.raises(WsolError, match="mixer_s32_224 has no module"):
        adl.build(model_config, None)


def test_the_feature_map_of_an_earlier_stage_is_dropped_once() -> None:
    """VGG's published map is that before its last pooling, which is the stage before the last."""
    model_config = MethodConfig.model_validate(
        small_config("adl", **Adl().model_dump()).model_dump() | {"backbone": "vgg11", "feature": "features.19"}
    )
    network = adl.build(model_config, None)
    assert isinstance(network, adl.AdlNetwork) and len(network.layers) == 2
