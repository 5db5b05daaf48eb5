"""A network that finds objects, and what it says: the one shape in which every method answers."""

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
    """Of a batch: maps or boxes, and the classes where the network knows them."""

    heatmaps: Heatmaps | None
    """In [0, 1]."""
    boxes: Float[Tensor, "batch 4"] | None
    """x0, y0, x1, y1 as shares of the image's sides."""
    probabilities: Float[Tensor, "batch classes"] | None


Forward = Callable[[nn.Module, Tensor, Labels | None], ModelOutputs]
"""Network, normalised images, and the classes whose maps are wanted (by default the most probable ones) to the
answer."""


class LocalizationModel(NamedTuple):
    """The network of a run that finds, with what builds it and how it is asked."""

    network: nn.Module
    model_config: MffConfig | MethodConfig
    forward: Forward


def map_of_class(maps: Maps, logits: Logits, labels: Labels | None) -> Heatmaps:
    """Of each image the map of its label; without labels, that of the class which scores highest."""
    chosen = logits.argmax(1) if labels is None else labels
    index = chosen[:, None, None, None].expand(-1, 1, *maps.shape[2:])
    return maps.gather(1, index)[:, 0]


def class_outputs(maps: Maps, logits: Logits, labels: Labels | None) -> ModelOutputs:
    """The answer of a network with a map for each class: the positive part as a share of its maximum (Zhou et al. 2016,
    sec. 3.2).
    """
    return ModelOutputs(fraction_of_peak(map_of_class(maps, logits, labels)), None, logits.float().softmax(1))


def spread_outputs(maps: Maps, logits: Logits, labels: Labels | None) -> ModelOutputs:
    """The same, of a method that takes the map from its lowest value to its highest."""
    return ModelOutputs(spread(map_of_class(maps, logits, labels).float()), None, logits.float().softmax(1))


def spread(maps: Heatmaps) -> Heatmaps:
    """Each map from its lowest value, 0, to its highest, 1; zeros for a constant one."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)


def fraction_of_peak(heatmaps: Heatmaps) -> Heatmaps:
    """Each map divided by its maximum; zeros where it has no positive finite maximum."""
    heatmaps = heatmaps.float().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
    peaks = heatmaps.amax((1, 2), keepdim=True)
    return torch.where(peaks > 0, heatmaps / peaks.where(peaks > 0, 1), 0)
