"""What a pretrained backbone answers before its last stage is narrowed: rectified features, whose size says how much is
there.

timm's pyramids end EfficientNets and MobileNets in a linear bottleneck, whose values have either sign. Methods that
read the features themselves (SCDA, Wei et al. 2017; DDT, Wei et al. 2019) were made for networks that end in a ReLU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "batch channels height width"]

PROBE_PX = 96
"""Side of the image of noise that shows which module answers with which shape."""
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
"""Where the classes of activations are defined."""


class RectifiedFeatures(nn.Module):
    """A backbone that answers with its last stage's features, none below 0.

    A stage that ends in a ReLU answers by itself (ResNet, VGG, DenseNet). Of one that ends in a linear layer it is the
    widest activation of the last block (the expansion of an inverted bottleneck); where none has the size of the map
    (vision transformers), the stage's own answer. Negative values are cut off.
    """

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid
        self._found: list[Tensor] = []
        source = _source(pyramid)
        self.channels = source.channels
        self._is_channels_last = source.is_channels_last
        if source.module is not None:
            pyramid.get_submodule(source.module).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._found[:] = [output]

    def forward(self, images: Float[Tensor, "batch 3 side_y side_x"]) -> Features:
        """The features of normalised images, none below 0."""
        self._found.clear()
        level: Tensor = self.pyramid(images)[-1]
        found = self._found.pop() if self._found else level
        return (found.permute(0, 3, 1, 2) if self._is_channels_last else found).clamp(min=0)


class _Source(NamedTuple):
    """Where the features come from."""

    module: str | None
    """Name in the pyramid; None for its last level."""
    channels: int
    is_channels_last: bool


class _Answer(NamedTuple):
    """What a module said to the probe."""

    module: str
    shape: torch.Size


def _source(pyramid: nn.Module) -> _Source:
    level, answers = _probed(pyramid)
    height, width = level.shape[2:]
    first, last = (
        [one for one in answers if len(one.shape) == 4 and one.shape[at : at + 2] == (height, width)] for at in (2, 1)
    )
    found = first or last
    if level.amin() >= 0 or not found:
        return _Source(None, level.shape[1], False)
    channel = 1 if first else 3
    block = _block_of(found[-1].module)
    widest = max((one for one in found if one.module.startswith(block)), key=lambda one: one.shape[channel])
    return _Source(widest.module, widest.shape[channel], not first)


@torch.inference_mode()
def _probed(pyramid: nn.Module) -> tuple[Tensor, list[_Answer]]:
    """The last level, and all activations in the order in which they are computed."""
    answers: list[_Answer] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: answers.append(_Answer(name, output.shape)))
        for name, module in pyramid.named_modules()
        if type(module).__module__.startswith(_ACTIVATIONS)
    ]
    was_training = pyramid.training
    pyramid.eval()
    try:
        # Noise, which a linear layer answers with values of either sign, whatever its weights.
        noise = torch.randn(1, 3, PROBE_PX, PROBE_PX, generator=torch.Generator().manual_seed(0))
        level: Tensor = pyramid(noise.to(next(pyramid.parameters()).device))[-1]
        return level, answers
    finally:
        pyramid.train(was_training)
        for hook in hooks:
            hook.remove()


def _block_of(module: str) -> str:
    """`blocks.6.0.` of blocks.6.0.bn2.act: up to the last number of the path, or else the module above."""
    parts = module.split(".")
    numbers = [i for i, part in enumerate(parts[:-1]) if part.isdigit()]
    return ".".join(parts[: numbers[-1] + 1 if numbers else -1]) + "."
