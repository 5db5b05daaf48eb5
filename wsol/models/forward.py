"""Batches of images through a trained network."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from wsol.data.crops import standardised
from wsol.data.images import middle
from wsol.models.checkpoint import ClassifierConfig, MffConfig, ModelConfig
from wsol.models.mffnet import MffNet, OriginalCam, ScoreMaps, class_logits
from wsol.models.outputs import LocalizationModel, ModelOutputs, fraction_of_peak
from wsol.runtime.engine import Engine

Squares = UInt8[Tensor, "batch 3 side side"]
Heatmaps = Float[Tensor, "batch height width"]
Probabilities = Float[Tensor, "batch classes"]


def prepared(pixels: Squares, model_config: ModelConfig, engine: Engine, margin_fraction: float = 0.0) -> Tensor:
    """Normalised squares of the network's size on its device; with a margin, the middle of the images alone."""
    if pixels.shape[-1] != model_config.resize_px:
        pixels = resize(pixels, [model_config.resize_px, model_config.resize_px], antialias=True)
    return standardised(middle(pixels, margin_fraction).to(engine.device), model_config.mean, model_config.std)


@torch.inference_mode()
def score_maps(
    network: MffNet | OriginalCam,
    model_config: MffConfig,
    pixels: Squares,
    engine: Engine,
    *,
    margin_fraction: float = 0.0,
) -> ScoreMaps:
    """Raw scores of every output at every place; with a margin, of the middle of the images alone."""
    with engine.autocast():
        fused, deep = network(prepared(pixels, model_config, engine, margin_fraction))
    return ScoreMaps(fused.float(), None if deep is None else deep.float())


@torch.inference_mode()
def run_model(
    model: LocalizationModel, pixels: Squares, engine: Engine, labels: Tensor | None, *, margin_fraction: float = 0.0
) -> ModelOutputs:
    """What the network that finds says of images, for these classes; with a margin, of the middle of the images
    alone.
    """
    images = prepared(pixels, model.model_config, engine, margin_fraction)
    with engine.autocast():
        found = model.forward(model.network, images, None if labels is None else labels.to(engine.device))
    return ModelOutputs(*(None if part is None else part.float() for part in found))


def foreground(scores: ScoreMaps) -> Heatmaps:
    """Stage 3's probability that a place belongs to an object."""
    return scores.fused[:, 0].sigmoid()


def class_maps(scores: ScoreMaps, labels: Tensor) -> Heatmaps:
    """Stage 1's activation map of each image's class, before normalisation."""
    return scores.fused[torch.arange(len(labels)), labels.to(scores.fused.device)].relu()


def normalised_class_maps(scores: ScoreMaps, labels: Tensor) -> Heatmaps:
    """The same, as a share of its peak."""
    return fraction_of_peak(class_maps(scores, labels))


def cam_probabilities(network: MffNet | OriginalCam, scores: ScoreMaps) -> Probabilities:
    """Stage 1's own opinion of the class."""
    return class_logits(scores.fused, is_rectified=network.is_rectified).softmax(1)


@torch.inference_mode()
def classifier_probabilities(
    network: nn.Module, model_config: ClassifierConfig, pixels: Squares, engine: Engine
) -> Probabilities:
    """The stand-alone classifier's opinion."""
    with engine.autocast():
        logits: Tensor = network(prepared(pixels, model_config, engine))
    return logits.float().softmax(1)
