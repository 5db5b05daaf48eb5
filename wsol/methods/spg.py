"""Zhang et al. 2018, "Self-produced Guidance for Weakly-supervised Object Localization": the class map teaches masks,
and they the features.

SPG-A, the classifier, has four blocks A1 to A4; its attention O is the label's map, from its lowest value to its
highest. A map has
seeds, M: foreground where it is above delta_h, background where below delta_l, and nothing is known between. Step by
step they teach
masks, each a sigmoid: those of O teach SPG-B2 on the features of A2, those of B2 teach SPG-B1 on A1, and those of the
mean of B1 and B2 teach SPG-C on A3. The loss is the sum of the classifier's and of the three masks' binary cross
entropies, which all reach the backbone. B and C act in training alone; the map is O of the class, as in the paper.

A1, A2 and A3 are the last three stages of the backbone here and A4 a linear layer, so that the network that predicts is
`cam`'s; the paper cuts an Inception short and lets A3 be convolutions of 1024 channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate

from wsol.config.methods import Spg
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, load_model, of_labels, stages, train_network
from wsol.methods.spol.gaussian_prior import Targets
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.mffnet import OriginalCam
from wsol.models.outputs import Heatmaps, LocalizationModel, Maps, ModelOutputs, map_of_class, spread, spread_outputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

Mask = Float[Tensor, "batch 1 _ _"]
"""Before the sigmoid, at the resolution of its features."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier that guides itself."""
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
    """What the network says: a map for each class, and the masks in training."""

    classes: Maps
    guidance: Guidance | None


class SpgNetwork(nn.Module):
    """Fig. 2: A is the network of `cam`; B1, B2 and C are convolutions on its last three stages."""

    def __init__(self, network: OriginalCam, channels: Sequence[int], options: Spg) -> None:
        super().__init__()
        first, second, third = channels
        width = options.width
        self.backbone, self.class_layer = network.backbone, network.class_layer
        self.b1 = nn.Sequential(nn.Conv2d(first, width, 3, padding=1), nn.ReLU())
        self.b2 = nn.Sequential(nn.Conv2d(second, width, 3, padding=1), nn.ReLU())
        # The paper's B1 and B2 have their last two convolutions in common, which its ablation finds better.
        self.b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))
        self.c = nn.Sequential(nn.Conv2d(third, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, images: Tensor) -> SpgMaps:
        """The maps; masks in training alone."""
        a1, a2, a3 = self.backbone(images)
        guidance = Guidance(self.b(self.b1(a1)), self.b(self.b2(a2)), self.c(a3)) if self.training else None
        return SpgMaps(self.class_layer(a3), guidance)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network.

    Raises:
        WsolError: the backbone has no three stages.
    """
    backbone, channels = stages(model_config, state, 3)
    network = OriginalCam(backbone, channels, len(model_config.class_names))
    return SpgNetwork(network, channels, Spg.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor, options: Spg) -> Tensor:
    """Cross entropy of the classes, and of each mask with the seeds of the one before, all at the size of the
    images.
    """
    classes, guidance = network(images)
    scores = classes.mean((2, 3)).float()
    image_hw = (images.shape[2], images.shape[3])
    b1, b2, c = (enlarged(mask, image_hw) for mask in guidance)
    attention = spread(enlarged(map_of_class(classes, scores, labels)[:, None], image_hw))
    of_attention = seeds(attention, options.delta_h_b2, options.delta_l_b2)
    of_b2 = seeds(b2.sigmoid(), options.delta_h_b1, options.delta_l_b1)
    of_both = seeds((b1.sigmoid() + b2.sigmoid()) / 2, options.delta_h_c, options.delta_l_c)
    return cross_entropy(scores, labels) + taught(b2, of_attention) + taught(b1, of_b2) + taught(c, of_both)


def enlarged(maps: Float[Tensor, "batch 1 _ _"], image_hw: tuple[int, int]) -> Heatmaps:
    """One map each, at the size of the images."""
    return interpolate(maps.float(), image_hw, mode="bilinear", align_corners=False)[:, 0]


def seeds(heatmaps: Heatmaps, delta_h: float, delta_l: float) -> Targets:
    """M: 1 above delta_h, 0 below delta_l, not counted between. No gradient flows through it."""
    heatmaps = heatmaps.detach()
    is_foreground, is_background = heatmaps > delta_h, heatmaps < delta_l
    return Targets(is_foreground.to(heatmaps), (is_foreground | is_background).to(heatmaps))


def taught(mask: Heatmaps, targets: Targets) -> Tensor:
    """Binary cross entropy of a mask, before its sigmoid: the mean over an image's seeds, 0 where it has none."""
    entropies = targets.weight * binary_cross_entropy_with_logits(mask, targets.value, reduction="none")
    return (entropies.sum((1, 2)) / targets.weight.sum((1, 2)).clamp(min=1)).mean()


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """O of the label's class."""
    classes = network(images).classes
    return spread_outputs(classes, classes.mean((2, 3)), labels)
