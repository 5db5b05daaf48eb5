"""Batches of images through a trained network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from wsol.data.crops import standardised
from wsol.data.images import middle
from wsol.errors import WsolError
from wsol.models.checkpoint import ClassifierConfig, MffConfig, ModelConfig
from wsol.models.class_scores import class_probabilities
from wsol.models.mffnet import MffNet, OriginalCam, ScoreMaps, class_logits
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs, fraction_of_peak
from wsol.runtime.engine import Engine

Squares = UInt8[Tensor, "batch 3 size size"]
Probabilities = Float[Tensor, "batch classes"]


def prepared(pixels: Squares, model_config: ModelConfig, engine: Engine, margin_fraction: float = 0.0) -> Tensor:
    """Resize and normalise pixels for a network.

    Args:
        pixels: square images.
        model_config: has the network's image size, mean and standard deviation.
        engine: has the device.
        margin_fraction: fraction of the image size to cut off at each edge.

    Returns:
        The input of the network, on its device.
    """
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
    """Compute the scores of every output at every position, before any ReLU or sigmoid.

    Args:
        network: stage 1 or stage 3.
        model_config: its configuration.
        pixels: square images.
        engine: device and precision.
        margin_fraction: fraction of the image size to cut off at each edge.

    Returns:
        Score maps in 32 bits, on the engine's device.
    """
    with engine.autocast():
        fused, deep = network(prepared(pixels, model_config, engine, margin_fraction))
    return ScoreMaps(fused.float(), None if deep is None else deep.float())


@torch.inference_mode()
def run_model(
    model: LocalizationModel, pixels: Squares, engine: Engine, labels: Tensor | None, *, margin_fraction: float = 0.0
) -> ModelOutputs:
    """Run a localization model on a batch.

    Args:
        model: the model.
        pixels: square images.
        engine: device and precision.
        labels: the classes whose maps are computed; None for the most probable ones.
        margin_fraction: fraction of the image size to cut off at each edge.

    Returns:
        Its outputs in 32 bits, on the engine's device.
    """
    images = prepared(pixels, model.model_config, engine, margin_fraction)
    with engine.autocast():
        outputs = model.forward(model.network, images, None if labels is None else labels.to(engine.device))
    return ModelOutputs(*(None if output is None else output.float() for output in outputs))


def foreground(scores: ScoreMaps) -> Heatmaps:
    """Convert stage 3's scores to the foreground probability of each position."""
    return scores.fused[:, 0].sigmoid()


def class_maps(scores: ScoreMaps, labels: Tensor) -> Heatmaps:
    """Select stage 1's class activation maps.

    Args:
        scores: score maps of stage 1.
        labels: class of each image.

    Returns:
        The map of each image's class: non-negative, not normalised.
    """
    return scores.fused[torch.arange(len(labels)), labels.to(scores.fused.device)].relu()


def normalised_class_maps(scores: ScoreMaps, labels: Tensor) -> Heatmaps:
    """Select stage 1's class activation maps as `class_maps` does, as fractions of their maximum."""
    return fraction_of_peak(class_maps(scores, labels))


def cam_probabilities(network: MffNet | OriginalCam, model_config: MffConfig, scores: ScoreMaps) -> Probabilities:
    """Compute class probabilities from stage 1's score maps."""
    logits = class_logits(scores.fused, is_rectified=network.is_rectified)
    return class_probabilities(logits, multi_label=model_config.multi_label)


class Evidence(NamedTuple):
    """Class probabilities, and the class scores of each position."""

    probabilities: Probabilities
    maps: Float[Tensor, "batch classes height width"]


@torch.inference_mode()
def classifier_evidence(
    network: nn.Module,
    model_config: ClassifierConfig,
    pixels: Squares,
    engine: Engine,
    *,
    margin_fraction: float = 0.0,
) -> Evidence:
    """Compute the probabilities and class activation maps of a separate classifier: its head, on each position alone.

    Args:
        network: the classifier.
        model_config: its configuration.
        pixels: square images.
        engine: device and precision.
        margin_fraction: fraction of the image size to cut off at each edge.

    Raises:
        WsolError: the classifier has no feature map.
    """
    with engine.autocast():
        features = feature_map(network, prepared(pixels, model_config, engine, margin_fraction))
        logits: Tensor = network.forward_head(features)  # type: ignore[operator]
        batch, channels, height, width = features.shape
        positions = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
        scores: Tensor = network.forward_head(positions)  # type: ignore[operator]
    maps = scores.float().reshape(batch, height, width, -1).permute(0, 3, 1, 2)
    return Evidence(class_probabilities(logits.float(), multi_label=model_config.multi_label), maps)


def feature_map(network: nn.Module, images: Tensor) -> Float[Tensor, "batch channels height width"]:
    """Return the features before a timm classifier's head.

    Args:
        network: the classifier.
        images: normalised images.

    Raises:
        WsolError: they are no map with the channels in front, as in vision transformers.
    """
    features: Tensor = network.forward_features(images)  # type: ignore[operator]
    if features.ndim != 4 or features.shape[1] != network.num_features:
        raise WsolError(
            f"a classifier of type {type(network).__name__} has no feature map, so it cannot tell where each of"
            " several classes is",
            expected="a convolutional network",
            remedy="Choose another `--classifier`, or leave images with several labels out (`--multi-label off`).",
        )
    return features


@torch.inference_mode()
def classifier_probabilities(
    network: nn.Module, model_config: ClassifierConfig, pixels: Squares, engine: Engine
) -> Probabilities:
    """Compute the class probabilities of a separate classifier.

    Args:
        network: the classifier.
        model_config: its configuration.
        pixels: square images.
        engine: device and precision.

    Returns:
        Probabilities in 32 bits, on the engine's device.
    """
    with engine.autocast():
        logits: Tensor = network(prepared(pixels, model_config, engine))
    return class_probabilities(logits.float(), multi_label=model_config.multi_label)
