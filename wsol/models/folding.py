"""Batch norm whose statistics stay is a scale and a shift: the convolution before it can do both (Jacob et al. 2018,
sec. 3.2).

A fifth to a third of the time of a backbone of depthwise convolutions on a processor. Parameters and buffers stay as
they are, only the way through them changes, so that what is saved is what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3
"""Of the largest value: rounding makes some 1e-5."""


@torch.no_grad()
def fold(network: nn.Module, still: Iterable[nn.Module], size_px: int) -> int:
    """Let convolutions among the modules `still`, which are in eval mode and stay there, do the work of the batch norms
    that follow them.

    `size_px` is a side of images that the network takes; its device must not change later. Returns how many batch norms
    have no work
    left: none where the network then answered otherwise, since it uses what stands between the two elsewhere too.
    """
    images = _noise(size_px).to(next(network.parameters()).device)
    was_training = network.training
    network.eval()
    try:
        before, pairs = _followed(network, images, {id(module) for module in still})
        for convolution, norm in pairs:
            _join(convolution, norm)
        if not _is_close(before, _tensors(network(images))):
            for pair in pairs:
                for module in pair:
                    del module.forward
            return 0
    finally:
        network.train(was_training)
    return len(pairs)


def _noise(size_px: int) -> Tensor:
    return torch.randn(1, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def _followed(
    network: nn.Module, images: Tensor, still: set[int]
) -> tuple[list[Tensor], list[tuple[nn.Conv2d, _BatchNorm]]]:
    """The network's answer, and each convolution that is called once with the batch norm that takes its output."""
    made_by: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, _BatchNorm]] = []
    calls: dict[int, int] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[id(module)] = calls.get(id(module), 0) + 1
        if isinstance(module, nn.Conv2d) and id(module) in still:
            made_by[id(output)] = module, output  # the tensor is kept, so that its id stays its own
        if isinstance(module, _BatchNorm) and id(module) in still and id(inputs[0]) in made_by:
            pairs.append((made_by[id(inputs[0])][0], module))

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        run_model = _tensors(network(images))
    finally:
        for hook in hooks:
            hook.remove()
    return run_model, [pair for pair in pairs if all(calls[id(module)] == 1 for module in pair)]


def _join(convolution: nn.Conv2d, norm: _BatchNorm) -> None:
    both = fuse_conv_bn_eval(convolution, norm)
    both.requires_grad_(False)
    # timm's batch norms have the activation in them.
    rest = [part for part in (getattr(norm, name, None) for name in ("drop", "act")) if part is not None]
    convolution.forward = both.forward  # type: ignore[method-assign]
    norm.forward = _one_after_the_other(rest)  # type: ignore[method-assign,assignment]


def _one_after_the_other(modules: list[nn.Module]) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        for module in modules:
            x = module(x)
        return x

    return forward


def _tensors(run_model: Any) -> list[Tensor]:
    if isinstance(run_model, Tensor):
        return [run_model]
    return [one for part in run_model if part is not None for one in _tensors(part)]


def _is_close(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(
        (a - b).abs().max() <= TOLERANCE * a.abs().max().clamp(min=1e-6) for a, b in zip(one, other, strict=True)
    )
