"""Rectified features of a pretrained backbone, before the last stage reduces its channels.

In timm's pyramids, EfficientNets and MobileNets end in a linear bottleneck with values of both signs. Methods that use
the features directly (SCDA, Wei et al. 2017; DDT, Wei et al. 2019) were designed for networks that end in a ReLU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "batch channels height width"]

PROBE_PX = 96
"""Height and width of the noise image that shows the output shape of each module."""
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
"""Modules that define activations."""


class RectifiedFeatures(nn.Module):
    """A backbone that returns non-negative features of its last stage.

    If the stage ends in a ReLU (ResNet, VGG, DenseNet), these are its outputs. If it ends in a linear layer, they are
    the activation with most channels in the last block (the expansion of an inverted bottleneck), or the stage's
    outputs if no activation has the size of the map (vision transformers). Negative values are set to 0.
    """

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid
        self._kept: list[Tensor] = []
        source = _source(pyramid)
        self.channels = source.channels
        self._is_channels_last = source.is_channels_last
        if source.module is not None:
            pyramid.get_submodule(source.module).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._kept[:] = [output]

    def forward(self, images: Float[Tensor, "batch 3 side_y side_x"]) -> Features:
        """The non-negative features of normalised images."""
        self._kept.clear()
        level: Tensor = self.pyramid(images)[-1]
        features = self._kept.pop() if self._kept else level
        return (features.permute(0, 3, 1, 2) if self._is_channels_last else features).clamp(min=0)


class _Source(NamedTuple):
    """The module whose outputs are the features."""

    module: str | None
    """Name in the pyramid; None for its last level."""
    channels: int
    is_channels_last: bool


class _Output(NamedTuple):
    """Output shape of a module for the noise image."""

    module: str
    shape: torch.Size


def _source(pyramid: nn.Module) -> _Source:
    level, outputs = _probe(pyramid)
    height, width = level.shape[2:]
    channels_first, channels_last = (
        [one for one in outputs if len(one.shape) == 4 and one.shape[at : at + 2] == (height, width)] for at in (2, 1)
    )
    candidates = channels_first or channels_last
    if level.amin() >= 0 or not candidates:
        return _Source(None, level.shape[1], False)
    channel = 1 if channels_first else 3
    block = _block_of(candidates[-1].module)
    widest = max((one for one in candidates if one.module.startswith(block)), key=lambda one: one.shape[channel])
    return _Source(widest.module, widest.shape[channel], not channels_first)


@torch.inference_mode()
def _probe(pyramid: nn.Module) -> tuple[Tensor, list[_Output]]:
    """The last level, and the shapes of all activations in the order in which they are computed."""
    outputs: list[_Output] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.append(_Output(name, output.shape)))
        for name, module in pyramid.named_modules()
        if type(module).__module__.startswith(_ACTIVATIONS)
    ]
    was_training = pyramid.training
    pyramid.eval()
    try:
        # Noise, for which a linear layer has values of both signs with any weights.
        noise = torch.randn(1, 3, PROBE_PX, PROBE_PX, generator=torch.Generator().manual_seed(0))
        level: Tensor = pyramid(noise.to(next(pyramid.parameters()).device))[-1]
        return level, outputs
    finally:
        pyramid.train(was_training)
        for hook in hooks:
            hook.remove()


def _block_of(module: str) -> str:
    """`blocks.6.0.` for blocks.6.0.bn2.act: the path up to its last number, or the parent module."""
    parts = module.split(".")
    numbers = [i for i, part in enumerate(parts[:-1]) if part.isdigit()]
    return ".".join(parts[: numbers[-1] + 1 if numbers else -1]) + "."
