"""Masks of the training images without training: what is salient, and of it the part that speaks for the image's class.

The salient parts are instant mode's (`wsol.methods.instant`): it finds whatever the images share. Where that is more
than one part, the labels
say which of them counts: the one with the strongest evidence of the image's class (`wsol.methods.evidence`), and the
likest to what was chosen in other images (`wsol.methods.spol.parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import load_model, untrained
from wsol.methods.ddt import Moments
from wsol.methods.evidence import ClassMoments, class_moments, ridge
from wsol.methods.instant import (
    InstantNetwork,
    Look,
    config_at_own_size,
    features_of,
    fill,
    look_at_images,
    moments_of_roots,
    split_at_half,
    spread_over,
)
from wsol.methods.instant import build as build_instant
from wsol.methods.spol.parts import EVIDENCE_SHARE, Parts, part_model
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.features import Features
from wsol.models.folding import fold
from wsol.models.forward import Squares, prepared
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs
from wsol.runtime.engine import Engine
from wsol.runtime.progress import Progress

STAGE = "see-cues"
OF_EACH_CLASS = 10
"""Images, evenly spaced, that the evidence is learned from at least."""
LEAST_SHARE = 0.0016
"""Of the image, that a part has to cover: in a speck of noise evidence is anything."""

THRESHOLD = 0.5
"""Of all salience maps: Otsu's stands there."""

Plane = Float32[np.ndarray, "height width"]


class Cues(NamedTuple):
    """What is known of each image without training; all of one size."""

    salience: Heatmaps
    """Its threshold is 0.5."""
    evidence: Heatmaps
    """Of the image's class; zeros where nobody tells it."""
    likeness: Heatmaps
    """To the parts that were chosen in other images, over that to the refused ones."""


class CueNetwork(nn.Module):
    """Instant mode's network, and two linear layers of its features: the evidence of each class, and the likeness of
    parts.
    """

    def __init__(self, salience: InstantNetwork, classes: int) -> None:
        super().__init__()
        channels = salience.features.channels
        self.salience = salience
        self.evidence = nn.Conv2d(channels, classes, 1)
        self.likeness = nn.Conv2d(channels, 1, 1)

    def forward(self, images: Tensor, labels: Int64[Tensor, " batch"] | None = None) -> Cues:
        """The cues of normalised images."""
        return self.cues(self.salience.features(images).float(), labels)

    def cues(self, features: Features, labels: Int64[Tensor, " batch"] | None) -> Cues:
        """The same, of features."""
        salience, roots = split_at_half(self.salience.joined(features)), features.sqrt()
        evidence = self.evidence(roots)
        rows = torch.arange(len(evidence), device=evidence.device)
        own = evidence[:, :1] * 0 if labels is None else evidence[rows, labels.to(evidence.device), None]
        both = torch.cat([own, self.likeness(roots)], dim=1)
        finer = interpolate(both, salience.shape[1:], mode="bilinear", align_corners=False)
        return Cues(salience, finer[:, 0], finer[:, 1])


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, its layers still to be filled in."""
    salience = build_instant(model_config, state)
    assert isinstance(salience, InstantNetwork)
    return CueNetwork(salience, len(model_config.class_names))


def load(run: Path, engine: Engine) -> LocalizationModel:
    """The network of a run, on the engine's device."""
    model = load_model(run / "cues", build, forward)
    network = engine.place(model.network)
    assert isinstance(network, CueNetwork)
    fold(network.salience.features, network.salience.features.modules(), model.model_config.resize_px)
    return model


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The chosen part of each image: above 0.5 what belongs to it, 0 in the others."""
    found = (one.float().cpu().numpy() for one in network(images, labels))
    return ModelOutputs(torch.from_numpy(np.stack([chosen(*one) for one in zip(*found, strict=True)])), None, None)


@torch.inference_mode()
def seen(model: LocalizationModel, pixels: Squares, labels: Tensor, engine: Engine) -> list[tuple[Plane, ...]]:
    """The cues of each image."""
    images = prepared(pixels, model.model_config, engine)
    with engine.autocast():
        found = model.network(images, labels)
    return list(zip(*(one.float().cpu().numpy() for one in found), strict=True))


class SalientParts(NamedTuple):
    """The connected parts of an image that are salient, from 1 on; 0 is what is not."""

    numbers: Int32[np.ndarray, "height width"]
    areas: Int64[np.ndarray, " parts"]

    def sums(self, plane: Plane) -> Float64[np.ndarray, " parts"]:
        """Of a plane's values over each part."""
        return np.asarray(
            np.bincount(self.numbers.ravel(), plane.ravel(), minlength=len(self.areas) + 1)[1:], np.float64
        )

    def evidence(self, plane: Plane) -> Float64[np.ndarray, " parts"]:
        """What speaks for each part, as a share of the most; zeros where nothing speaks for any.

        The sum of the positive values over the root of the area, which weighs means of different numbers of values by
        how sure they are (Stouffer et al. 1949). Specks have none.
        """
        found: Float64[np.ndarray, " parts"] = self.sums(plane.clip(0)) / np.sqrt(self.areas)
        found[self.areas < LEAST_SHARE * plane.size] = 0
        return np.asarray(found / max(found.max(initial=0.0), np.finfo(np.float64).tiny))


def salient_parts(salience: Plane) -> SalientParts:
    """The parts above the threshold."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats((salience > THRESHOLD).astype(np.uint8), connectivity=8)
    return SalientParts(numbers, stats[1:, cv2.CC_STAT_AREA].astype(np.int64))


def chosen(salience: Plane, evidence: Plane, likeness: Plane) -> Plane:
    """The map without the parts that are not the object: those with less evidence and likeness. Where nothing tells,
    the largest is taken.
    """
    parts = salient_parts(salience)
    if len(parts.areas) < 2:
        return salience
    strength = EVIDENCE_SHARE * parts.evidence(evidence) + parts.sums(likeness) / parts.areas
    is_speck = parts.areas < LEAST_SHARE * salience.size
    if strength.max() == strength.min() or is_speck.all():
        strength = parts.areas.astype(np.float64)
    best = 1 + int(np.argmax(np.where(is_speck & ~is_speck.all(), -np.inf, strength)))
    return np.where((parts.numbers == best) | (parts.numbers == 0), salience, np.float32(0))


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Look at a sample of the training images twice, with their labels; write `run/cues`.

    Raises:
        WsolError: no weights, a backbone that does not fit, a folder of other settings, or no image that can be
            decoded.
    """
    model_config = config_at_own_size(data, config).model_copy(update={"method": "spol"})
    ready = untrained(STAGE, run / "cues", model_config, build, data, config, progress)
    if ready is None:
        return
    network = ready.network
    assert isinstance(network, CueNetwork)
    features = network.salience.features
    fold(features, features.modules(), model_config.resize_px)
    labels, classes = torch.tensor([sample.label for sample in data.train]), len(data.class_names)
    first = Look(
        STAGE,
        sample_of(labels.tolist(), config.instant.sample),
        lambda pixels, numbers: cue_moments(features_of(network.salience, ready, pixels), labels[numbers], classes),
        lambda moments: fill_from_moments(network, moments),
    )
    second = Look(
        STAGE,
        spread_over(len(labels), config.instant.sample),
        lambda pixels, numbers: parts_of(network, features_of(network.salience, ready, pixels), numbers, labels),
        lambda parts: fill_layer(network.likeness, *part_model(parts)),
    )
    look_at_images([first, second], run / "cues", ready, data, config, progress)


def cue_moments(features: Features, labels: Int64[Tensor, " batch"], classes: int) -> CueMoments:
    """What a batch adds to salience and evidence."""
    means = features.sqrt().mean((2, 3)).double().cpu().numpy()
    return CueMoments(moments_of_roots(features), class_moments(means, labels.numpy(), classes))


def fill_from_moments(network: CueNetwork, found: CueMoments) -> None:
    """Set the layers of salience and evidence."""
    fill(network.salience, found.positions)
    fill_layer(network.evidence, *ridge(found.images))
    fill_layer(network.likeness, np.zeros(network.likeness.in_channels), 0.0)


def fill_layer(layer: nn.Conv2d, weight: Float64[np.ndarray, ...], bias: Float64[np.ndarray, ...] | float) -> None:
    """Set a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight).reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(torch.as_tensor(bias))


@torch.inference_mode()
def parts_of(
    network: CueNetwork, features: Features, numbers: Int64[Tensor, " batch"], labels: Int64[Tensor, " n"]
) -> Parts:
    """The salient parts of a batch, whose features are means over the positions that they cover."""
    cues = network.cues(features, labels[numbers])
    roots = features.sqrt().cpu().numpy()
    found: list[tuple[Float64[np.ndarray, " channels"], float, int]] = []
    for number, salience, evidence, root in zip(
        numbers.tolist(), *(one.cpu().numpy() for one in cues[:2]), roots, strict=True
    ):
        parts = salient_parts(salience)
        for part, strength in enumerate(parts.evidence(evidence), start=1):
            if parts.areas[part - 1] >= LEAST_SHARE * salience.size:
                covered = cv2.resize(
                    (parts.numbers == part).astype(np.float32), root.shape[:0:-1], interpolation=cv2.INTER_AREA
                )
                found.append(((root * covered).sum((1, 2), dtype=np.float64) / covered.sum(), strength, number))
    rows, strengths, images = zip(*found, strict=True) if found else ([], [], [])
    return Parts(
        np.array(rows, np.float64).reshape(-1, roots.shape[1]),
        np.array(strengths, np.float64),
        np.array(images, np.int64),
    )


def sample_of(labels: Sequence[int], sample: int) -> list[int]:
    """The numbers of evenly spaced images, and of some of each class where that is not among them."""
    found = set(spread_over(len(labels), sample))
    of_class: dict[int, list[int]] = {}
    for number, label in enumerate(labels):
        of_class.setdefault(label, []).append(number)
    for own in of_class.values():
        rest = [number for number in own if number not in found]
        missing = OF_EACH_CLASS - (len(own) - len(rest))
        found.update(rest[i] for i in spread_over(len(rest), max(missing, 0)))
    return sorted(found)


@dataclass(frozen=True)
class CueMoments:
    """Of the positions of all images, and of whole images."""

    positions: Moments
    images: ClassMoments

    def __add__(self, other: CueMoments) -> CueMoments:
        return CueMoments(self.positions + other.positions, self.images + other.images)
