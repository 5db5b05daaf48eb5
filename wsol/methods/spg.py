"""Zhang et al. 2018, "Self-produced Guidance for Weakly-supervised Object Localization" (SPG): the class map gives
targets for masks, which improve the features.

SPG-A, the classifier, has four blocks A1 to A4. Its attention O is the label's map, min-max normalised. Seeds M of a
map are foreground above delta_h, background below delta_l, and ignored between. They are the targets of three sigmoid
masks: seeds of O for SPG-B2 on the features of A2, seeds of B2 for SPG-B1 on A1, and seeds of the mean of B1 and B2 for
SPG-C on A3. The loss is the sum of the classifier's cross entropy and the binary cross entropies of the masks; all have
gradients in the backbone. B and C are used in training only. The output map is O of the class, as in the paper.

A1 and A2 are the two stages of the backbone before the last; A3 is the last one with two convolutions 3 x 3 (`fc6` and
`fc7` of the published code), and A4 is a linear layer. The paper shortens an Inception network, whose map has 28 x 28
positions for 224 pixels: `training.output_stride 8`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate

from wsol.config.methods import Spg
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, convolutional_head, load_model, of_labels, stages, train_network
from wsol.methods.spol.gaussian_prior import Targets
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.mffnet import OriginalCam
from wsol.models.outputs import Heatmaps, LocalizationModel, Maps, ModelOutputs, map_of_class, spread, spread_outputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

LEAST_FOREGROUND = 30 / 224**2
"""Fraction of the image's pixels."""
FRACTION_OF_PEAK = 0.7

Mask = Float[Tensor, "batch 1 _ _"]
"""Mask logits at the resolution of the features."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train classifier and masks."""
    options = config.spg

    def guided_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return loss(network, images, labels, options)

    train_network(Plan(build, of_labels(data, guided_loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, build, forward)


class Guidance(NamedTuple):
    """The three masks."""

    b1: Mask
    b2: Mask
    c: Mask


class SpgMaps(NamedTuple):
    """Outputs of the network: a map for each class, and the masks in training."""

    classes: Maps
    guidance: Guidance | None


class SpgNetwork(nn.Module):
    """Fig. 2: A is the network of `cam`; B1, B2 and C are convolutions on its last three stages."""

    def __init__(self, network: OriginalCam, channels: Sequence[int], options: Spg) -> None:
        super().__init__()
        first, second, third = channels
        width = options.width
        self.backbone = network.backbone
        self.a3 = convolutional_head(third, options.head_width, options.dropout)
        self.class_layer = network.class_layer
        self.b1 = nn.Sequential(nn.Conv2d(first, width, 3, padding=1), nn.ReLU())
        self.b2 = nn.Sequential(nn.Conv2d(second, width, 3, padding=1), nn.ReLU())
        # The last two convolutions of B1 and B2 share weights, which the paper's ablation finds better.
        self.b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))
        self.c = nn.Sequential(nn.Conv2d(options.head_width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, images: Tensor) -> SpgMaps:
        """The maps, and in training the masks."""
        a1, a2, last = self.backbone(images)
        a3 = self.a3(last)
        guidance = Guidance(self.b(self.b1(a1)), self.b(self.b2(a2)), self.c(a3)) if self.training else None
        return SpgMaps(self.class_layer(a3), guidance)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network.

    Raises:
        WsolError: the backbone has fewer than three stages.
    """
    options = Spg.model_validate(model_config.options)
    backbone, channels = stages(model_config, state, 3)
    network = OriginalCam(backbone, [options.head_width], len(model_config.class_names))
    return SpgNetwork(network, channels, options)


def loss(network: nn.Module, images: Tensor, labels: Tensor, options: Spg) -> Tensor:
    """Cross entropy of the classes, plus that of each mask and the seeds of the previous map, at the image size."""
    classes, guidance = network(images)
    scores = classes.mean((2, 3)).float()
    image_hw = (images.shape[2], images.shape[3])
    b1, b2, c = (upsampled(mask, image_hw) for mask in guidance)
    attention = spread(upsampled(map_of_class(classes, scores, labels)[:, None], image_hw))
    targets_b2 = seeds(attention, options.delta_h_b2, options.delta_l_b2)
    targets_b1 = seeds(b2.sigmoid(), options.delta_h_b1, options.delta_l_b1)
    targets_c = seeds((b1.sigmoid() + b2.sigmoid()) / 2, options.delta_h_c, options.delta_l_c)
    class_loss = cross_entropy(scores, labels)
    return class_loss + seed_loss(b2, targets_b2) + seed_loss(b1, targets_b1) + seed_loss(c, targets_c)


def upsampled(maps: Float[Tensor, "batch 1 _ _"], image_hw: tuple[int, int]) -> Heatmaps:
    """Interpolate one map per image to the image size."""
    return interpolate(maps.float(), image_hw, mode="bilinear", align_corners=False)[:, 0]


def seeds(heatmaps: Heatmaps, delta_h: float, delta_l: float) -> Targets:
    """M: 1 above delta_h, 0 below delta_l, ignored between; without gradient.

    As in the published code, a map with fewer than `LEAST_FOREGROUND` positions above delta_h has its foreground above
    `FRACTION_OF_PEAK` of its maximum.
    """
    heatmaps = heatmaps.detach()
    is_foreground, is_background = heatmaps > delta_h, heatmaps < delta_l
    has_few = is_foreground.float().mean((1, 2), keepdim=True) < LEAST_FOREGROUND
    above_peak = heatmaps > FRACTION_OF_PEAK * heatmaps.amax((1, 2), keepdim=True)
    is_foreground = torch.where(has_few, above_peak, is_foreground)
    is_background &= ~is_foreground
    return Targets(is_foreground.to(heatmaps), (is_foreground | is_background).to(heatmaps))


def seed_loss(mask: Heatmaps, targets: Targets) -> Tensor:
    """Binary cross entropy of mask logits: the mean over an image's seeds, 0 if it has none; mean over images."""
    entropies = targets.weight * binary_cross_entropy_with_logits(mask, targets.value, reduction="none")
    return (entropies.sum((1, 2)) / targets.weight.sum((1, 2)).clamp(min=1)).mean()


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """O of the label's class."""
    classes = network(images).classes
    return spread_outputs(classes, classes.mean((2, 3)), labels)
