"""Localization models and their outputs, the same for all methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from wsol.models.checkpoint import MethodConfig, MffConfig

Heatmaps = Float[Tensor, "batch height width"]
Maps = Float[Tensor, "batch classes height width"]
Logits = Float[Tensor, "batch classes"]
Labels = Int64[Tensor, " batch"]


class ModelOutputs(NamedTuple):
    """Outputs for a batch: maps or boxes, and class probabilities if the network computes them."""

    heatmaps: Heatmaps | None
    """Foreground scores in [0, 1]."""
    boxes: Float[Tensor, "batch 4"] | None
    """x0, y0, x1, y1 as fractions of width and height."""
    probabilities: Float[Tensor, "batch classes"] | None


Forward = Callable[[nn.Module, Tensor, Labels | None], ModelOutputs]
"""Computes the outputs from network, normalised images, and the classes whose maps are computed (None: the most
probable ones)."""


class LocalizationModel(NamedTuple):
    """The localization network of a run, its configuration, and its forward function."""

    network: nn.Module
    model_config: MffConfig | MethodConfig
    forward: Forward


def map_of_class(maps: Maps, logits: Logits, labels: Labels | None) -> Heatmaps:
    """Select one class map for each image.

    Args:
        maps: a map for each class.
        logits: class scores.
        labels: the classes; None for the classes with the highest scores.
    """
    chosen = logits.argmax(1) if labels is None else labels
    index = chosen[:, None, None, None].expand(-1, 1, *maps.shape[2:])
    return maps.gather(1, index)[:, 0]


def class_outputs(maps: Maps, logits: Logits, labels: Labels | None) -> ModelOutputs:
    """Convert class maps to outputs, with heatmaps as fractions of their maximum (Zhou et al. 2016, sec. 3.2).

    Args:
        maps: a map for each class; negative values become 0.
        logits: class scores.
        labels: the classes of the heatmaps; None for the classes with the highest scores.
    """
    return ModelOutputs(fraction_of_peak(map_of_class(maps, logits, labels)), None, logits.float().softmax(1))


def spread_outputs(maps: Maps, logits: Logits, labels: Labels | None) -> ModelOutputs:
    """Convert class maps to outputs as `class_outputs` does, with min-max normalised heatmaps."""
    return ModelOutputs(spread(map_of_class(maps, logits, labels).float()), None, logits.float().softmax(1))


def spread(maps: Heatmaps) -> Heatmaps:
    """Min-max normalise each map to [0, 1]; zeros for a constant one."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)


def fraction_of_peak(heatmaps: Heatmaps) -> Heatmaps:
    """Divide each map by its maximum; negative and non-finite values become 0, and so do maps without positive ones."""
    heatmaps = heatmaps.float().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
    peaks = heatmaps.amax((1, 2), keepdim=True)
    return torch.where(peaks > 0, heatmaps / peaks.where(peaks > 0, 1), 0)
