"""A level alone: laws that tie its scores to the fused ones, and hooks that leave nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wsol.config.base import Fusion
from wsol.models.levels import level_scores, recorded_levels
from wsol.models.mffnet import build_mffnet, upsampled

CHANNELS = (6, 8, 10, 12)
LABELS = torch.tensor([3, 0])


class Pyramid(nn.Module):
    """Random features at strides 4, 8, 16, 32 of images of 64 px, the last `levels` of them."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> list[Tensor]:
        each = zip(CHANNELS, (16, 8, 4, 2), strict=True)
        return [torch.randn(len(images), channels, side, side) for channels, side in each][-self.levels :]


def network(levels: int, fusion: Fusion, auxiliary: bool = False) -> Any:
    torch.manual_seed(0)
    built = build_mffnet(
        Pyramid(levels), CHANNELS[-levels:], 5, fusion=fusion, attention=True, auxiliary=auxiliary
    ).eval()
    nn.init.normal_(built.class_layer.bias)
    return built


def scored(mffnet: Any) -> tuple[Any, Sequence[Tensor]]:
    """The network's scores, and those of each level alone."""
    with recorded_levels(mffnet) as levels:
        scores = mffnet(torch.rand(2, 3, 64, 64))
    return scores, level_scores(mffnet, levels, LABELS)


def of_labels(scores: Tensor) -> Tensor:
    return scores[torch.arange(2), LABELS]


@pytest.mark.parametrize("levels", [2, 3, 4])
@pytest.mark.parametrize("fusion", ["add", "concat"])
def test_scores_of_levels_add_up_where_the_fusion_is_a_sum(fusion: Fusion, levels: int) -> None:
    mffnet = network(levels, fusion)
    fused, alone = scored(mffnet)
    assert len(alone) == levels
    bias = mffnet.class_layer.bias[LABELS, None, None]
    torch.testing.assert_close(sum(alone) - (levels - 1) * bias, of_labels(fused.fused), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["multiply", "add", "concat"])
def test_the_deep_level_predicts_what_the_auxiliary_branch_does(fusion: Fusion) -> None:
    (fused, deep), alone = scored(network(3, fusion, auxiliary=True))
    torch.testing.assert_close(alone[-1], of_labels(upsampled([fused, deep])[1]), atol=1e-4, rtol=1e-4)


def test_only_the_latest_batch_is_recorded_and_nothing_after_the_block() -> None:
    mffnet = network(3, "multiply")
    with recorded_levels(mffnet) as levels:
        for count in (1, 2):
            mffnet(torch.rand(count, 3, 64, 64))
    assert [len(level) for level in levels] == [2, 2, 2]
    with pytest.raises(ZeroDivisionError), recorded_levels(mffnet) as levels:
        raise ZeroDivisionError
    mffnet(torch.rand(1, 3, 64, 64))
    assert levels == []


def test_a_network_of_one_level_has_none_to_record() -> None:
    single = network(1, "multiply")
    with recorded_levels(single) as levels:
        single(torch.rand(2, 3, 64, 64))
    assert levels == []
