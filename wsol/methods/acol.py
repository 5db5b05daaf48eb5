"""Zhang et al. 2018, "Adversarial Complementary Learning": a second classifier learns from the regions that the first
one does not use.

Two convolutional classifiers share the features S. Where the first one's map of the label, min-max normalised, is above
delta, the features of the second are 0 (Alg. 1, lines 4 to 6); both learn the label. The output map is the maximum of
both normalised maps at each position (line 12).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from wsol.config.methods import Acol
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, last_stage, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.outputs import Labels, LocalizationModel, Maps, ModelOutputs, map_of_class, spread
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train both classifiers."""
    train_network(Plan(build, of_labels(data, loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, build, forward)


class Branches(NamedTuple):
    """The maps of the two classifiers."""

    first: Maps
    second: Maps


class AcolNetwork(nn.Module):
    """Fig. 2: features, classifier A, erasing, classifier B. Each classifier is two convolutions 3 x 3 and one 1 x 1
    (sec. 3.3).
    """

    def __init__(self, backbone: nn.Module, channels: int, classes: int, options: Acol) -> None:
        super().__init__()
        self.backbone = backbone
        self.first = _classifier(channels, options.width, classes)
        self.second = _classifier(channels, options.width, classes)
        self.delta = options.delta

    def forward(self, images: Tensor, labels: Labels | None = None) -> Branches:
        """Both maps. The region of the label is erased, without labels that of the first classifier's best class."""
        features = avg_pool2d(self.backbone(images)[-1], 3, stride=1, padding=1)  # published code
        first = self.first(features)
        heatmaps = map_of_class(first, first.mean((2, 3)), labels)
        return Branches(first, self.second(erased(features, heatmaps, self.delta)))


def _classifier(channels: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, classes, 1),
    )


def erased(features: Tensor, heatmaps: Tensor, delta: float) -> Tensor:
    """Alg. 1, lines 5 and 6: set features to 0 where the normalised map is above delta; no gradient through the map."""
    is_kept = spread(heatmaps.detach()) <= delta
    return features * is_kept[:, None].to(features)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network."""
    backbone, channels = last_stage(model_config, state)
    return AcolNetwork(backbone, channels, len(model_config.class_names), Acol.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of both classifiers with the label."""
    first, second = (maps.mean((2, 3)).float() for maps in network(images, labels))
    return cross_entropy(first, labels) + cross_entropy(second, labels)


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """Alg. 1, line 12: the maximum of both min-max normalised maps. Class probabilities are the first classifier's."""
    first, second = network(images, labels)
    logits = first.mean((2, 3))
    fused = torch.maximum(*(spread(map_of_class(maps, logits, labels)) for maps in (first, second)))
    return ModelOutputs(fused, None, logits.float().softmax(1))
