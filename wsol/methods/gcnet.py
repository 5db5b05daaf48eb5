"""Lu et al. 2020, "Geometry Constrained Weakly Supervised Object Localization" (GC-Net): a shape is drawn around what a
classifier needs.

1. A classifier (that of `cam`) learns the classes, and is then frozen. 2. A detector regresses
a shape from its features: middle, sides and angle (x, y, w, h, theta), each through a sigmoid; a generator turns them
into a mask M in [0, 1]; the classifier sees I M, the object, and I (1 - M), the background. The detector learns

    L = area_loss * w h  +  obj_loss * CE(p(I M), label)  +  back_loss * (log C - H(p(I (1 - M))))

the shape is small, holds what tells the class, and leaves nothing outside that does: there the entropy H of the C
classes' probabilities is to be high. The image is normalised before it is masked, so that what is hidden has the mean
colour.

The paper's classifier has seen whole images alone. A network with batch norm then takes grey for a mark of some class,
and the loss is least where next to none is left. Here a share `p_hide` of its images is shown through a shape drawn at
random, or around one: it knows images with parts, and how little some parts tell.

Of the paper's generators, one learned from drawn shapes and one in closed form, this is the closed one: it needs no
training of its own, and is exact. M = 1/2 - arctan(smooth (d - 1)) / pi, where d is 1 on the shape's edge: (2u / w)^2 +
(2v / h)^2 for an ellipse, max(|2u / w|, |2v / h|) for a rectangle, of a place (u, v) as seen from the middle, turned
back by theta. It falls off so slowly that the detector feels pixels far from the edge. Its threshold, 0.5, is the edge
itself: the box is that of the shape.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, normalize

from wsol.config.base import MaskShape
from wsol.config.methods import METHODS, GcNet
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods import cam
from wsol.methods.base import Plan, last_stage, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig, fill
from wsol.models.outputs import Heatmaps, LocalizationModel, Logits, ModelOutputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.storage.folders import file_hash

CLASSIFIER, _ = METHODS["gcnet"].folders

PLACES = 7
"""Rows and columns of features that the detector's linear layers see, as in VGG16, one of the paper's."""
LEAST = 0.05
"""Of a side, as a share of the image's: what is divided by it stays finite."""
MASK_HW = (64, 64)
"""Rows and columns of a predicted mask, whatever the image's: its shape has any resolution."""

Shapes = Float[Tensor, "batch 5"]
"""x, y, w, h as shares of the image's sides, and the angle in half turns, clockwise."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """The classifier, then the detector."""
    options = config.gcnet

    def class_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return cam.loss(network, partly_hidden(images, options), labels)

    train_network(Plan(cam.build, of_labels(data, class_loss), folder=CLASSIFIER), data, run, config, progress)

    def build_taught(model_config: MethodConfig, state: State | None) -> nn.Module:
        network = build(model_config, state)
        assert isinstance(network, GcNetwork)
        fill(network.classifier, run / CLASSIFIER)
        return network

    def shape_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return loss(network, images, labels, options)

    inputs = {"classifier": file_hash(run / CLASSIFIER / "model.safetensors")}
    train_network(Plan(build_taught, of_labels(data, shape_loss), inputs), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """Detector and classifier."""
    return load_model(run.network_folder, build, forward)


class ClassifiedParts(NamedTuple):
    """What the classifier says of both parts of images."""

    shapes: Shapes
    of_object: Logits
    of_background: Logits


class Seen(NamedTuple):
    """What the network says of whole images."""

    shapes: Shapes
    logits: Logits


class GcNetwork(nn.Module):
    """Detector, generator, classifier. The classifier never learns here, and is a network that predicts all the
    time.
    """

    def __init__(self, backbone: nn.Module, channels: int, classifier: nn.Module, options: GcNet) -> None:
        super().__init__()
        self.backbone = backbone
        self.reduction = nn.Sequential(nn.Conv2d(channels, options.width, 1, bias=False), nn.ReLU())
        places = options.width * PLACES**2
        # As large as a backbone's features are, so far does SGD throw the last layer: a few steps, and sigmoids of 0
        # and 1 draw one and the same shape into every image for ever. Normalised here and again before it, they may be
        # of any size.
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.LayerNorm(places, elementwise_affine=False), nn.Linear(places, options.width), nn.ReLU()
        )
        self.shape = nn.Linear(options.width, 5)
        # Every image begins with the same upright shape in its middle, about half as wide and as high as the image.
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)
        self.classifier = classifier.requires_grad_(False)
        self.mask_shape = options.mask_shape
        self.smooth = options.smooth

    def train(self, mode: bool = True) -> GcNetwork:
        """The detector alone."""
        super().train(mode)
        self.classifier.eval()
        return self

    def forward(self, images: Tensor) -> ClassifiedParts | Seen:
        """In training, what the classifier says of object and background; else of whole images."""
        features = self.reduction(self.backbone(images)[-1])
        places = interpolate(features.float(), (PLACES, PLACES), mode="bilinear", align_corners=False)
        shapes = shapes_of(self.shape(normalize(self.hidden(places))).float())
        if not self.training:
            return Seen(shapes, self._named(images))
        masks = drawn(shapes, (images.shape[2], images.shape[3]), self.mask_shape, self.smooth)[:, None]
        return ClassifiedParts(shapes, self._named(images * masks), self._named(images * (1 - masks)))

    def _named(self, images: Tensor) -> Logits:
        logits: Tensor = self.classifier(images).fused.mean((2, 3)).float()
        return logits


def shapes_of(outputs: Float[Tensor, "batch 5"]) -> Shapes:
    """From the detector's last layer: the middle anywhere in the image, no side below `LEAST`, a quarter turn either
    way at most.
    """
    shares = outputs.sigmoid()
    middle, sides, angle = shares[:, :2], shares[:, 2:4], shares[:, 4:]
    return torch.cat([middle, LEAST + (1 - LEAST) * sides, angle - 0.5], dim=1)


def drawn(shapes: Shapes, image_hw: tuple[int, int], mask_shape: MaskShape, smooth: float) -> Heatmaps:
    """The generator: M at the middle of each pixel."""
    height, width = image_hw
    x, y, w, h, angle = (value[:, None, None] for value in shapes.unbind(1))
    columns, rows = ((torch.arange(side, device=shapes.device) + 0.5) / side for side in (width, height))
    right, down = columns[None, None, :] - x, rows[None, :, None] - y
    turn = angle * (math.pi if mask_shape.startswith("rotated") else 0)
    along = (right * turn.cos() + down * turn.sin()) / (w / 2)
    across = (down * turn.cos() - right * turn.sin()) / (h / 2)
    d = along**2 + across**2 if mask_shape.endswith("ellipse") else torch.maximum(along.abs(), across.abs())
    return 0.5 - torch.atan(smooth * (d - 1)) / math.pi


def partly_hidden(images: Tensor, options: GcNet) -> Tensor:
    """Some images, as many as p_hide says, seen through a shape anywhere, of any size and angle, or around one."""
    count = len(images)
    image_hw = images.shape[2], images.shape[3]
    masks = drawn(shapes_of(torch.rand(count, 5).logit()), image_hw, options.mask_shape, options.smooth)
    masks = torch.where(torch.rand(count, 1, 1) < 0.5, masks, 1 - masks)
    masks = torch.where(torch.rand(count, 1, 1) < options.p_hide, masks, 1)
    return images * masks[:, None].to(images)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network; pretrained weights are the detector's, the classifier's are to be filled in."""
    backbone, channels = last_stage(model_config, state)
    return GcNetwork(backbone, channels, cam.build(model_config, None), GcNet.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor, options: GcNet) -> Tensor:
    """L."""
    shapes, of_object, of_background = network(images)
    area = (shapes[:, 2] * shapes[:, 3]).mean()
    total: Tensor = (
        options.area_loss * area
        + options.obj_loss * cross_entropy(of_object, labels)
        + options.back_loss * lack_of_entropy(of_background)
    )
    return total


def lack_of_entropy(logits: Logits) -> Tensor:
    """The mean of log C - H over images: 0 where all C classes are as probable as one another."""
    entropies = -(logits.softmax(1) * logits.log_softmax(1)).sum(1)
    return math.log(logits.shape[1]) - entropies.mean()


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The mask, whatever the class; the classifier names the whole image."""
    assert isinstance(network, GcNetwork)
    shapes, logits = network(images)
    return ModelOutputs(drawn(shapes, MASK_HW, network.mask_shape, network.smooth), None, logits.softmax(1))
