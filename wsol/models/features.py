"""The feature map that a method reads from a pretrained backbone.

In timm's pyramids, EfficientNets and MobileNets end in a linear bottleneck with values of both signs. The networks of
the papers (CAM, Zhou et al. 2016, and its successors; SCDA, Wei et al. 2017; DDT, Wei et al. 2019) end in a ReLU.
"""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wsol.config.base import ACTIVATION, STAGE
from wsol.errors import WsolError
from wsol.models.backbone import ChannelsFirst, check_sizes, own_name, refusal
from wsol.models.probing import in_eval_mode, noise_image

Features = Float[Tensor, "batch channels height width"]

PROBE_PX = 96
"""Height and width of the noise image that shows the output shape of each module, if the network accepts it."""
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
"""Modules that define activations."""


class FeatureLevels(nn.Module):
    """A pyramid whose last level is the feature map that a method reads.

    Layers on which neither that feature map nor an earlier level depends are computed, but not trained.

    Args:
        pyramid: a network of `feature_pyramid`.
        feature: `activation`: the outputs of the last stage if they end in a ReLU (ResNet, VGG, DenseNet); if they end
            in a linear layer, the activation with most channels in the last block (the expansion of an inverted
            bottleneck), or the stage's outputs if no activation has the size of the map (vision transformers).
            `stage`: the outputs of the last stage. Otherwise timm's name of a module, such as `blocks.5`.
        size_px: an image size (height and width) that the network accepts.

    Raises:
        WsolError: no module has that name, its output is not a feature map, or the network refuses the image size.
    """

    def __init__(self, pyramid: nn.Module, feature: str = ACTIVATION, size_px: int = PROBE_PX) -> None:
        super().__init__()
        self.pyramid = pyramid
        info: Any = pyramid.feature_info
        self.feature_info = info
        self.probe_px = PROBE_PX if refusal(pyramid, PROBE_PX) is None else size_px
        """Height and width of the noise image."""
        if self.probe_px != PROBE_PX:
            check_sizes("the backbone", pyramid, (size_px,))
        source = _source(pyramid, feature, self.probe_px)
        self.channels: list[int] = [*info.channels()[:-1], source.channels]
        """Number of channels of each level."""
        self.module = source.module
        """Name of the module in the pyramid whose outputs are the feature map; None for the pyramid's last level."""
        self._is_channels_last = source.is_channels_last
        self._kept: list[Tensor] = []
        if source.module is not None:
            pyramid.get_submodule(source.module).register_forward_hook(self._keep)
            self._freeze_unread()

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._kept[:] = [output.clone()]  # the next layer may work in place

    def _freeze_unread(self) -> None:
        """Freeze the parameters without influence: with several processes, each trained one needs a gradient."""
        parameters = [*self.parameters()]
        with in_eval_mode(self.pyramid), torch.enable_grad():
            total = torch.stack([level.sum() for level in self(noise_image(self.pyramid, self.probe_px))]).sum()
            gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                parameter.requires_grad_(False)

    def forward(self, images: Float[Tensor, "batch 3 side_y side_x"]) -> list[Features]:
        """The feature maps of normalised images, shallowest first."""
        self._kept.clear()
        levels: list[Tensor] = self.pyramid(images)
        if not self._kept:
            return levels
        features = self._kept.pop()
        return [*levels[:-1], features.permute(0, 3, 1, 2) if self._is_channels_last else features]

    def rectified(self, images: Float[Tensor, "batch 3 side_y side_x"]) -> Features:
        """The positive part of the last level."""
        return self(images)[-1].clamp(min=0)  # type: ignore[no-any-return]


class _Source(NamedTuple):
    """The module whose outputs are the feature map."""

    module: str | None
    """Name in the pyramid; None for its last level."""
    channels: int
    is_channels_last: bool = False


class _Call(NamedTuple):
    """A module of the pyramid that was called, and the shape of its output for the noise image."""

    name: str
    module: nn.Module
    shape: torch.Size
    """Empty if the output is not a tensor."""


def rectified_modules(levels: FeatureLevels, stages: list[nn.Module]) -> list[nn.Module]:
    """Return for each stage the module that first rectifies its features: where 0 means that there is nothing.

    Args:
        levels: the backbone.
        stages: the modules whose outputs are its levels.

    Returns:
        The last stage, whose feature map is chosen; another stage if it ends in a ReLU, otherwise the next activation.
    """
    outputs, calls = _probe(levels.pyramid, levels.probe_px)
    modules = [call.module for call in calls]
    found = []
    for stage, output in zip(stages[:-1], outputs[:-1], strict=True):
        later = (call.module for call in calls[modules.index(stage) :] if _is_activation(call))
        found.append(stage if output.amin() >= 0 else next(later, stage))
    return [*found, stages[-1]]


def _source(pyramid: nn.Module, feature: str, size_px: int) -> _Source:
    outputs, calls = _probe(pyramid, size_px)
    level = outputs[-1]
    last = _Source(None, level.shape[1])
    if feature == STAGE:
        return last
    source = _widest_activation(level, calls) if feature == ACTIVATION else _called(pyramid, calls, feature)
    return last if source is None else source


def _widest_activation(level: Tensor, calls: list[_Call]) -> _Source | None:
    """The activation with most channels in the last block; None if the level is rectified itself, or has no activation
    of its size.
    """
    height, width = level.shape[2:]
    channels_first, channels_last = (
        [one for one in calls if _is_activation(one) and one.shape[at : at + 2] == (height, width)] for at in (2, 1)
    )
    candidates = channels_first or channels_last
    if level.amin() >= 0 or not candidates:
        return None
    channel = 1 if channels_first else 3
    block = _block_of(candidates[-1].name)
    widest = max((one for one in candidates if one.name.startswith(block)), key=lambda one: one.shape[channel])
    return _Source(widest.name, widest.shape[channel], not channels_first)


def _is_activation(call: _Call) -> bool:
    return len(call.shape) == 4 and type(call.module).__module__.startswith(_ACTIVATIONS)


def _called(pyramid: nn.Module, calls: list[_Call], feature: str) -> _Source:
    """The module with timm's name `feature`."""
    names = {own_name(call.name): call for call in calls}
    call = names.get(own_name(feature))
    if call is None or not call.name:
        own_names = [call.name.removeprefix("pyramid.").removeprefix("model.") for call in calls if call.name]
        stages: list[str] = pyramid.feature_info.module_name()  # type: ignore[union-attr,operator]
        near = difflib.get_close_matches(feature, own_names, n=3) or stages
        raise WsolError(
            f"the backbone has no module {feature!r} to read",
            expected=f"`{ACTIVATION}`, `{STAGE}`, or timm's name of a module, such as {', '.join(near)}",
            remedy="Choose another `--training.feature`.",
        )
    if len(call.shape) != 4:
        raise WsolError(
            f"the output of {feature} is not a feature map",
            expected="four dimensions: image, channel, row, column",
            got=f"{len(call.shape)}" if call.shape else "several tensors",
            remedy="Choose another `--training.feature`.",
        )
    is_channels_last = isinstance(pyramid, ChannelsFirst)
    return _Source(call.name, call.shape[3 if is_channels_last else 1], is_channels_last)


@torch.inference_mode()
def _probe(pyramid: nn.Module, size_px: int) -> tuple[list[Tensor], list[_Call]]:
    """The levels for a noise image, and the modules in the order in which they are computed."""
    calls: dict[str, _Call] = {}

    def note(name: str, module: nn.Module, output: Any) -> None:
        calls.pop(name, None)  # a module that is called again counts at its last call
        calls[name] = _Call(name, module, output.shape if isinstance(output, Tensor) else torch.Size())

    hooks = [
        module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
        for name, module in pyramid.named_modules()
    ]
    try:
        with in_eval_mode(pyramid):
            levels: list[Tensor] = pyramid(noise_image(pyramid, size_px))
        return levels, [*calls.values()]
    finally:
        for hook in hooks:
            hook.remove()


def _block_of(module: str) -> str:
    """`blocks.6.0.` for blocks.6.0.bn2.act: the path up to its last number, or the parent module."""
    parts = module.split(".")
    numbers = [i for i, part in enumerate(parts[:-1]) if part.isdigit()]
    return ".".join(parts[: numbers[-1] + 1 if numbers else -1]) + "."
