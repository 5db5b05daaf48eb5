"""Lu et al. 2020, "Geometry Constrained Weakly Supervised Object Localization" (GC-Net): a detector fits a shape around
the region that a classifier needs.

1. A classifier (that of `cam`) learns the classes, and is then frozen. 2. A detector regresses a shape from its
features: centre, size and angle (x, y, w, h, theta), each with a sigmoid. A generator converts the shape to a mask M in
[0, 1]. The classifier is applied to I M, the object, and to I (1 - M), the background. The detector's loss is

    L = area_loss * w h  +  obj_loss * CE(p(I M), label)  +  back_loss * (log C - H(p(I (1 - M))))

so the shape is small, its inside identifies the class, and its outside does not: there the entropy H of the C class
probabilities should be high. The image is normalised before it is masked, so masked pixels have the mean colour.

The paper trains the classifier on whole images alone. A network with batch norm then takes grey for evidence of some
class, and the loss is lowest if the mask removes almost everything. Here a fraction `p_hide` of its images is masked
with a random shape, inside or outside it, so the classifier learns that some parts have little evidence of the class.

The paper has two generators: one is learned, one is in closed form. This is the latter, which is exact and needs no
training. M = 1/2 - arctan(smooth (d - 1)) / pi, where d is 1 on the edge of the shape: (2u / w)^2 + (2v / h)^2 for an
ellipse, max(|2u / w|, |2v / h|) for a rectangle, at a position (u, v) relative to the centre, rotated back by theta. M
decreases slowly, so pixels far from the edge still have gradients. At the threshold 0.5 the mask ends at the edge, so
the box is that of the shape.
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

POOLED_SIZE = 7
"""Rows and columns of features in the detector's linear layers, as in VGG16, which the paper uses."""
MIN_SIZE = 0.05
"""Minimum width and height of a shape as a fraction of the image's; avoids division by zero."""
MASK_HW = (64, 64)
"""Rows and columns of a predicted mask, for images of any size."""

Shapes = Float[Tensor, "batch 5"]
"""x, y, w, h as fractions of the image size, and the angle in half turns, clockwise."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train the classifier, then the detector."""
    options = config.gcnet

    def class_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return cam.loss(network, partly_hidden(images, options), labels)

    train_network(Plan(cam.build, of_labels(data, class_loss), folder=CLASSIFIER), data, run, config, progress)

    def build_with_classifier(model_config: MethodConfig, state: State | None) -> nn.Module:
        network = build(model_config, state)
        assert isinstance(network, GcNetwork)
        fill(network.classifier, run / CLASSIFIER)
        return network

    def shape_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return loss(network, images, labels, options)

    inputs = {"classifier": file_hash(run / CLASSIFIER / "model.safetensors")}
    train_network(Plan(build_with_classifier, of_labels(data, shape_loss), inputs), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """Detector and classifier."""
    return load_model(run.network_folder, build, forward)


class TrainingOutputs(NamedTuple):
    """Shapes, and the class scores of object and background."""

    shapes: Shapes
    object_logits: Logits
    background_logits: Logits


class PredictionOutputs(NamedTuple):
    """Shapes, and the class scores of whole images."""

    shapes: Shapes
    logits: Logits


class GcNetwork(nn.Module):
    """Detector, generator and classifier. The classifier is frozen and always in eval mode."""

    def __init__(self, backbone: nn.Module, channels: int, classifier: nn.Module, options: GcNet) -> None:
        super().__init__()
        self.backbone = backbone
        self.reduction = nn.Sequential(nn.Conv2d(channels, options.width, 1, bias=False), nn.ReLU())
        inputs = options.width * POOLED_SIZE**2
        # Features are normalised here and again before the last layer. If they are large, a few steps of SGD saturate
        # the sigmoids, and the shape is the same for every image from then on.
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.LayerNorm(inputs, elementwise_affine=False), nn.Linear(inputs, options.width), nn.ReLU()
        )
        self.shape = nn.Linear(options.width, 5)
        # Training starts with an upright shape in the image centre, about half as wide and as high as the image.
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)
        self.classifier = classifier.requires_grad_(False)
        self.mask_shape = options.mask_shape
        self.smooth = options.smooth

    def train(self, mode: bool = True) -> GcNetwork:
        """Set the mode of the detector alone."""
        super().train(mode)
        self.classifier.eval()
        return self

    def forward(self, images: Tensor) -> TrainingOutputs | PredictionOutputs:
        """Shapes, and class scores: in training of object and background, else of whole images."""
        features = self.reduction(self.backbone(images)[-1])
        pooled = interpolate(features.float(), (POOLED_SIZE, POOLED_SIZE), mode="bilinear", align_corners=False)
        shapes = shapes_of(self.shape(normalize(self.hidden(pooled))).float())
        if not self.training:
            return PredictionOutputs(shapes, self._logits(images))
        masks = shape_masks(shapes, (images.shape[2], images.shape[3]), self.mask_shape, self.smooth)[:, None]
        return TrainingOutputs(shapes, self._logits(images * masks), self._logits(images * (1 - masks)))

    def _logits(self, images: Tensor) -> Logits:
        logits: Tensor = self.classifier(images).fused.mean((2, 3)).float()
        return logits


def shapes_of(outputs: Float[Tensor, "batch 5"]) -> Shapes:
    """Convert the detector's outputs: centre inside the image, size at least `MIN_SIZE`, at most a quarter turn either
    way.
    """
    values = outputs.sigmoid()
    centre, size, angle = values[:, :2], values[:, 2:4], values[:, 4:]
    return torch.cat([centre, MIN_SIZE + (1 - MIN_SIZE) * size, angle - 0.5], dim=1)


def shape_masks(shapes: Shapes, image_hw: tuple[int, int], mask_shape: MaskShape, smooth: float) -> Heatmaps:
    """The generator: M at the centre of each pixel."""
    height, width = image_hw
    x, y, w, h, angle = (value[:, None, None] for value in shapes.unbind(1))
    columns, rows = ((torch.arange(count, device=shapes.device) + 0.5) / count for count in (width, height))
    right, down = columns[None, None, :] - x, rows[None, :, None] - y
    turn = angle * (math.pi if mask_shape.startswith("rotated") else 0)
    along = (right * turn.cos() + down * turn.sin()) / (w / 2)
    across = (down * turn.cos() - right * turn.sin()) / (h / 2)
    d = along**2 + across**2 if mask_shape.endswith("ellipse") else torch.maximum(along.abs(), across.abs())
    return 0.5 - torch.atan(smooth * (d - 1)) / math.pi


def partly_hidden(images: Tensor, options: GcNet) -> Tensor:
    """Mask a fraction p_hide of the images with shapes of random position, size and angle, inside or outside."""
    count = len(images)
    image_hw = images.shape[2], images.shape[3]
    masks = shape_masks(shapes_of(torch.rand(count, 5).logit()), image_hw, options.mask_shape, options.smooth)
    masks = torch.where(torch.rand(count, 1, 1) < 0.5, masks, 1 - masks)
    masks = torch.where(torch.rand(count, 1, 1) < options.p_hide, masks, 1)
    return images * masks[:, None].to(images)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network with pretrained weights in the detector's backbone; the classifier's weights are not set yet."""
    backbone, channels = last_stage(model_config, state)
    return GcNetwork(backbone, channels, cam.build(model_config, None), GcNet.model_validate(model_config.options))


def loss(network: nn.Module, images: Tensor, labels: Tensor, options: GcNet) -> Tensor:
    """The loss L."""
    shapes, object_logits, background_logits = network(images)
    area = (shapes[:, 2] * shapes[:, 3]).mean()
    total: Tensor = (
        options.area_loss * area
        + options.obj_loss * cross_entropy(object_logits, labels)
        + options.back_loss * missing_entropy(background_logits)
    )
    return total


def missing_entropy(logits: Logits) -> Tensor:
    """The mean of log C - H over images: 0 if all C classes are equally probable."""
    entropies = -(logits.softmax(1) * logits.log_softmax(1)).sum(1)
    return math.log(logits.shape[1]) - entropies.mean()


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The class-agnostic mask, and the class probabilities of the whole image."""
    assert isinstance(network, GcNetwork)
    shapes, logits = network(images)
    return ModelOutputs(shape_masks(shapes, MASK_HW, network.mask_shape, network.smooth), None, logits.softmax(1))
