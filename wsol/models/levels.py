"""What each fused level of an MFF-Net predicts without the others (Wei et al. 2021, sec. 4.4, Fig. 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.functional import conv2d

from wsol.models.mffnet import WIDTH, Level, MffNet, upsampled
from wsol.models.outputs import Heatmaps


@contextmanager
def recorded_levels(network: nn.Module) -> Iterator[list[Level]]:
    """Record the projected levels while a network runs, so that they need no second forward pass.

    Args:
        network: any network; only an `MffNet` has levels.

    Yields:
        The levels of the latest forward pass, shallowest first, before upsampling; empty for other networks.
    """
    levels: list[Level] = []

    def start(*_: Any) -> None:
        levels.clear()

    def note(_: nn.Module, __: tuple[Any, ...], output: Level) -> None:
        levels.append(output)

    hooks = []
    if isinstance(network, MffNet):
        hooks = [network.register_forward_pre_hook(start)]
        hooks += [projection.register_forward_hook(note) for projection in network.projections]
    try:
        yield levels
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def level_scores(network: MffNet, levels: Sequence[Level], outputs: Int64[Tensor, " batch"]) -> list[Heatmaps]:
    """Compute the score map of each level alone (Wei et al. 2021, Fig. 7).

    MFF-Net has one class layer, which reads the fused levels, and the paper does not say how a single level predicts.
    We apply the class layer to the level, as the auxiliary branch does to the deep level (Fig. 4b): after
    multiplication and addition the whole layer, after concatenation the level's own input channels.

    Args:
        network: the network.
        levels: as `recorded_levels` yields them.
        outputs: for each image, the index of its score map.

    Returns:
        For each level, shallowest first, the scores at the resolution of the shallowest level, before any ReLU or
        sigmoid.
    """
    layer = network.class_layer
    parts = torch.split(layer.weight.float(), WIDTH, dim=1)
    weights = parts if len(parts) > 1 else parts * len(levels)
    assert layer.bias is not None
    scores = [
        conv2d(level.float(), weight, layer.bias.float())[torch.arange(len(level)), outputs.to(level.device), None]
        for level, weight in zip(levels, weights, strict=True)
    ]
    return [one[:, 0] for one in upsampled(scores)]
