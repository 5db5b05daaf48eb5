"""Zhang et al. 2020, "Inter-Image Communication for Weakly Supervised Localization" (I2C): objects of a class should
have similar features.

Two convolutions 3 x 3 (`fc6` and `fc7` of the published code) and a linear layer make the class maps of the backbone's
feature map. The object is where the class map, min-max normalised, is above delta. There each image samples its seeds
v, vectors of the backbone's features. Stochastic consistency is the mean distance |v_i - v_j| between the seeds of two
images of a class. Global consistency is the distance |v - m| between the mean seed of a class in the batch and its
centre m in a memory, which then becomes (1 - eta) m + eta v with eta = exp(-gamma t) after t updates (published code).
The loss is the cross entropy of `cam` + lambda_1 * stochastic + lambda_2 * global. The map is min-max normalised.

The published code starts from a trained classifier; here the first epochs (`warm_up`) have the cross entropy alone. A
class without a centre yet has no global loss; the published code starts with random centres.

As in the paper, batches consist of pairs of a class: the schedule puts two images of a class into the halves of a batch
(`training/schedule.py`), and all images of a class in a batch are compared. If a batch is split (`micro_batch`, several
processes), only images in the same part are compared; with several processes, the memory of the first is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy

from wsol.config.methods import I2c
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, convolutional_head, last_stage, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.features import Features
from wsol.models.outputs import (
    Heatmaps,
    Labels,
    LocalizationModel,
    Maps,
    ModelOutputs,
    map_of_class,
    spread,
    spread_outputs,
)
from wsol.runs.run import Run
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress

Seeds = Float[Tensor, "batch seeds channels"]


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier, from the end of the warm-up with both consistency losses."""
    options = config.i2c

    def build_to_train(model_config: MethodConfig, state: State | None) -> nn.Module:
        network = build(model_config, state)
        assert isinstance(network, I2cNetwork)
        network.warm_up_images = options.warm_up * len(data.train)
        return network

    def consistent_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return loss(network, images, labels, options)

    training = config.training
    images = training.epochs * len(data.train) if training.steps is None else training.steps * training.batch_size
    if images <= options.warm_up * len(data.train):
        progress.say(
            f"method i2c: the whole training is warm-up, without distances (`--i2c.warm-up {options.warm_up}`)"
        )
    train_network(Plan(build_to_train, of_labels(data, consistent_loss), has_pairs=True), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, build, forward)


class I2cMaps(NamedTuple):
    """Outputs of the network: a map for each class, and in training the two consistency losses, 0 in the warm-up."""

    classes: Maps
    stochastic: Tensor | None
    """Mean distance between the seeds of images of a class."""
    to_centres: Tensor | None
    """Mean distance between the classes and their centres."""


class I2cNetwork(nn.Module):
    """Backbone, head and class layer, with a memory of the mean object features of each class."""

    centres: Float[Tensor, "classes channels"]
    updates: Int64[Tensor, " classes"]
    images_seen: Int64[Tensor, ""]

    def __init__(self, backbone: nn.Module, channels: int, classes: int, options: I2c) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = convolutional_head(channels, options.head_width, options.dropout)
        self.class_layer = nn.Conv2d(options.head_width, classes, 1)
        self.options = options
        self.register_buffer("centres", torch.zeros(classes, channels))
        self.register_buffer("updates", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.warm_up_images = 0
        """Number of training images before the distances are computed."""

    def forward(self, images: Tensor, labels: Labels | None = None) -> I2cMaps:
        """The maps; with labels also both distances, and then the centres are updated."""
        features = self.backbone(images)[-1]
        classes = self.class_layer(self.head(features))
        if labels is None:
            return I2cMaps(classes, None, None)
        is_warm = self.images_seen >= self.warm_up_images
        self.images_seen += len(images) * part().count
        if not is_warm:
            return I2cMaps(classes, classes.new_zeros(()), classes.new_zeros(()))
        seeds = sample_seeds(features, map_of_class(classes, classes.mean((2, 3)), labels), self.options)
        present, vectors = class_vectors(seeds, labels)
        to_centres = distance_to_centres(vectors, self.centres[present], self.updates[present])
        self._update(present, vectors.detach())
        return I2cMaps(classes, distance_within_classes(seeds, labels), to_centres)

    @torch.no_grad()
    def _update(self, present: Tensor, vectors: Tensor) -> None:
        """Move the centres of the classes in the batch by exp(-gamma t); the first update (t = 0) sets them."""
        eta = torch.exp(-self.options.gamma * self.updates[present])[:, None]
        self.centres[present] = (1 - eta) * self.centres[present] + eta * vectors
        self.updates[present] += 1


def sample_seeds(features: Features, heatmaps: Heatmaps, options: I2c) -> Seeds:
    """Sample feature vectors uniformly from the positions of the object, or from all if the map is constant."""
    is_object = spread(heatmaps.detach().float()).flatten(1) > options.delta
    is_object |= ~is_object.any(1, keepdim=True)
    positions = torch.multinomial(is_object.float(), options.seeds, replacement=True)
    index = positions[:, None].expand(-1, features.shape[1], -1)
    return features.float().flatten(2).gather(2, index).transpose(1, 2)


def distance_within_classes(seeds: Seeds, labels: Labels) -> Tensor:
    """The mean |v_i - v_j| over all pairs of images of a class; 0 if there are no pairs."""
    first, second = (labels[:, None] == labels).triu(1).nonzero().unbind(1)
    distances = vector_norm(seeds[first] - seeds[second], dim=2)
    mean: Tensor = distances.sum() / max(distances.numel(), 1)
    return mean


def class_vectors(seeds: Seeds, labels: Labels) -> tuple[Int64[Tensor, " present"], Float[Tensor, "present channels"]]:
    """The classes in the batch, and the mean of all seeds of each."""
    present = labels.unique()  # type: ignore[no-untyped-call]
    is_of = (present[:, None] == labels).to(seeds)[:, :, None]
    return present, (is_of * seeds.mean(1)).sum(1) / is_of.sum(1)


def distance_to_centres(vectors: Tensor, centres: Tensor, updates: Tensor) -> Tensor:
    """The mean |v - m| of the classes that have a centre; 0 if none has."""
    has_centre = (updates > 0).to(vectors)
    mean: Tensor = (vector_norm(vectors - centres, dim=1) * has_centre).sum() / has_centre.sum().clamp(min=1)
    return mean


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, with an empty memory."""
    backbone, channels = last_stage(model_config, state)
    return I2cNetwork(backbone, channels, len(model_config.class_names), I2c.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor, options: I2c) -> Tensor:
    """Cross entropy plus both weighted consistency losses."""
    classes, stochastic, to_centres = network(images, labels)
    entropy = cross_entropy(classes.mean((2, 3)).float(), labels)
    total: Tensor = entropy + options.lambda_1 * stochastic + options.lambda_2 * to_centres
    return total


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The map of the label's class."""
    classes = network(images).classes
    return spread_outputs(classes, classes.mean((2, 3)), labels)
