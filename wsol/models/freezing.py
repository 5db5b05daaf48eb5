"""Early layers that stay as they were pretrained: edges and textures are the same on every set of images, and most of a
step's time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wsol.errors import WsolError

SHARE = 0.4
"""Of a backbone's stages that are frozen by default: stem and two of the five of a ResNet or EfficientNet
(studies/freezing.md)."""


def freeze(backbone: nn.Module, stages: int | None, size_px: int) -> list[nn.Module]:
    """Freeze the weights of the first `stages` stages and of all that comes before them; by default `SHARE` of the
    stages.

    A stage is one of timm's feature levels: of convolutional networks all that has one stride, of vision transformers a
    block. `size_px` is a side of images that the backbone takes. Returns the modules whose statistics are to stay too:
    they belong in eval mode.

    Raises:
        WsolError: the backbone has fewer stages, or timm does not tell them.
    """
    if stages == 0:
        return []
    names = _stage_names(backbone)
    count = int(SHARE * len(names)) if stages is None else stages
    if count > len(names):
        raise WsolError(
            f"freeze {count}",
            expected=f"at most {len(names)}, which is how many stages the backbone has",
            remedy="Name fewer with `--freeze`.",
        )
    if count == 0:
        return []
    last = _module_called(backbone, names[count - 1])
    early = _done_before(backbone, last, size_px)
    for module in early:
        module.requires_grad_(False)
    for module in backbone.modules():
        if last in module.modules():  # a transformer's positions and class token belong to no layer
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    return early


def _stage_names(backbone: nn.Module) -> list[str]:
    """What timm calls the modules at whose end a stage is over."""
    info: Any = getattr(backbone, "feature_info", [])
    return [one["module"] for one in (info if isinstance(info, list) else info.info)]


def _module_called(backbone: nn.Module, name: str) -> nn.Module:
    """The module of that name in the timm model that it was, or in the pyramid that timm has made of it."""
    for path, module in backbone.named_modules():
        if path.removeprefix("pyramid.").removeprefix("model.") in (name, name.replace(".", "_")):
            found: nn.Module = module
            return found
    raise WsolError(
        f"the backbone has no module {name} at whose end a stage is over",
        expected="one that timm names so",
        remedy="Train all of it with `--freeze 0`.",
    )


@torch.inference_mode()
def _done_before(backbone: nn.Module, last: nn.Module, size_px: int) -> list[nn.Module]:
    """All modules that have done their work when `last` has, in the order in which they are called."""
    done: list[nn.Module] = []
    is_over = False

    def note(module: nn.Module, _: Any, __: Any) -> None:
        nonlocal is_over
        if not is_over:
            done.append(module)
        is_over |= module is last

    hooks = [module.register_forward_hook(note) for module in backbone.modules()]
    was_training = backbone.training
    backbone.eval()
    try:
        backbone(torch.zeros(1, 3, size_px, size_px, device=next(backbone.parameters()).device))
    finally:
        backbone.train(was_training)
        for hook in hooks:
            hook.remove()
    return done
