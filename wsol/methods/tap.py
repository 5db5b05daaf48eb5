"""Bae et al. 2020, "Rethinking Class Activation Mapping": three changes to `cam`.

Thresholded average pooling: a channel is averaged over the positions above tau_tap = theta_tap * max instead of all, so
that a small active area is not the same as weak activation (sec. 3.1, Eq. 4). Negative weight clamping: the map uses
only positive weights of the class layer (sec. 3.2). Percentile as a standard for thresholding: the map is divided by
its i-th percentile instead of its maximum (sec. 3.3), both of the min-max normalised map. Negative features, which
another activation than a ReLU may give, are set to 0.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, interpolate

from wsol.config.methods import Tap
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, last_stage, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs, map_of_class, spread
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

FinerMaps = Float[Tensor, "batch finer_height finer_width"]

UPSAMPLING = 5
"""Factor by which maps are enlarged before the percentile, because 14 x 14 values are too few. It is odd: for any image
size, torch.export would take the enlarged map for a level of the backbone with that stride."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier with thresholded average pooling."""
    train_network(Plan(build, of_labels(data, loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, build, forward)


class TapNetwork(nn.Module):
    """Features, their pooling, and a linear class layer."""

    def __init__(self, backbone: nn.Module, channels: int, classes: int, options: Tap) -> None:
        super().__init__()
        self.backbone = backbone
        self.class_layer = nn.Linear(channels, classes)
        self.options = options

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The class scores and the features."""
        features = self.backbone(images)[-1].relu()
        return self.class_layer(pooled(features, self.options.theta_tap)), features


def pooled(features: Tensor, theta: float) -> Tensor:
    """Eq. 4: the mean of each channel over the positions above theta times its maximum; 0 if none is positive."""
    is_active = features > theta * features.amax((2, 3), keepdim=True)
    return (features * is_active).sum((2, 3)) / is_active.sum((2, 3)).clamp(min=1)


def clamped_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Sec. 3.2: the map of each class, from the channels with positive weight."""
    return conv2d(features, weight.clamp(min=0)[:, :, None, None])


def fraction_of_percentile(maps: Heatmaps, percentile: int) -> FinerMaps:
    """Sec. 3.3: the map divided by its percentile (the lower of the two nearest values), at most 1. As in the published
    code, the map is enlarged and min-max normalised before.
    """
    coarse = spread(maps.float())[:, None]  # rounding makes no map of a constant one
    maps = spread(interpolate(coarse, scale_factor=UPSAMPLING, mode="bilinear", align_corners=False)[:, 0])
    ranked = maps.flatten(1).sort(dim=1).values
    standard = ranked[:, percentile * (ranked.shape[1] - 1) // 100]
    return (maps / standard.clamp(min=torch.finfo(torch.float32).tiny)[:, None, None]).clamp(max=1)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network."""
    backbone, channels = last_stage(model_config, state)
    return TapNetwork(backbone, channels, len(model_config.class_names), Tap.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy."""
    return cross_entropy(network(images)[0].float(), labels)


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The map of the label's class; the paper's theta_loc is `box.threshold`."""
    assert isinstance(network, TapNetwork)
    logits, features = network(images)
    heatmaps = map_of_class(clamped_maps(features, network.class_layer.weight), logits, labels)
    return ModelOutputs(fraction_of_percentile(heatmaps, network.options.percentile), None, logits.float().softmax(1))
