"""Freeze early layers: edges and textures are the same in every data set, and their layers take most of the time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wsol.errors import WsolError
from wsol.models.backbone import own_name
from wsol.models.probing import in_eval_mode


def freeze(backbone: nn.Module, stages: int | float, size_px: int) -> list[nn.Module]:
    """Freeze the first stages of a backbone and everything before them.

    A stage is one of timm's feature levels: the layers of one stride in a convolutional network, a block in a vision
    transformer.

    Args:
        backbone: the network, changed in place.
        stages: number of stages, or as a float the fraction of all stages, rounded down.
        size_px: an image size (height and width) that the backbone accepts.

    Returns:
        The frozen modules, which should stay in eval mode so that batch norm statistics are fixed too.

    Raises:
        WsolError: the backbone has fewer stages, or timm does not list them.
    """
    if stages == 0:
        return []
    names = _stage_names(backbone)
    count = int(stages * len(names)) if isinstance(stages, float) else stages
    if count > len(names):
        raise WsolError(
            "the backbone has fewer stages than `--freeze`",
            expected=f"at most {len(names)}",
            got=f"{count}",
            remedy="Freeze fewer stages.",
        )
    if count == 0:
        return []
    last = _module_called(backbone, names[count - 1])
    early = _done_before(backbone, last, size_px)
    for module in early:
        module.requires_grad_(False)
    for module in backbone.modules():
        if last in module.modules():  # a transformer's positions and class token are not in a layer
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    return early


def _stage_names(backbone: nn.Module) -> list[str]:
    """The names of the last module of each stage, from timm."""
    info: Any = getattr(backbone, "feature_info", [])
    return [one["module"] for one in (info if isinstance(info, list) else info.info)]


def _module_called(backbone: nn.Module, name: str) -> nn.Module:
    """The module of that name in a timm model, or in a pyramid that timm made from it."""
    for path, module in backbone.named_modules():
        if own_name(path) == own_name(name):
            last: nn.Module = module
            return last
    raise WsolError(
        f"the backbone has no module {name} at the end of a stage",
        expected="timm's module names",
        remedy="Train all of it with `--freeze 0`.",
    )


@torch.inference_mode()
def _done_before(backbone: nn.Module, last: nn.Module, size_px: int) -> list[nn.Module]:
    """All modules that are finished when `last` is, in call order."""
    done: list[nn.Module] = []
    is_over = False

    def note(module: nn.Module, _: Any, __: Any) -> None:
        nonlocal is_over
        if not is_over:
            done.append(module)
        is_over |= module is last

    hooks = [module.register_forward_hook(note) for module in backbone.modules()]
    try:
        with in_eval_mode(backbone):
            backbone(torch.zeros(1, 3, size_px, size_px, device=next(backbone.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return done
