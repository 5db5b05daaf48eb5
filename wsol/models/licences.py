"""Under which licence the weights are that a training began with, as far as timm says so."""

from __future__ import annotations

from pathlib import Path

import timm


def weights_licence(name: str, weights: Path | None) -> str | None:
    """What timm states of the pretrained weights of one of its models; None where it says nothing, or `weights` are
    somebody's own file.
    """
    if weights is not None:
        return None
    try:
        pretrained = timm.get_pretrained_cfg(name)
    except (RuntimeError, KeyError, ValueError):  # a model, or a tag of one, that this timm does not know
        return None
    stated = pretrained.license if pretrained is not None else None
    return str(stated) if stated else None
