"""Licences of pretrained weights, as far as timm states them."""

from __future__ import annotations

from pathlib import Path

import timm


def weights_licence(name: str, weights: Path | None) -> str | None:
    """Return the licence that timm states for pretrained weights.

    Args:
        name: timm name.
        weights: the user's file, if one was used.

    Returns:
        The licence; None if timm states none, or the weights are from a file.
    """
    if weights is not None:
        return None
    try:
        pretrained = timm.get_pretrained_cfg(name)
    except (RuntimeError, KeyError, ValueError):  # this version of timm does not know the model or its tag
        return None
    stated = pretrained.license if pretrained is not None else None
    return str(stated) if stated else None
