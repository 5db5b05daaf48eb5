"""Pseudo masks without training: of the salient parts of an image, the one with most evidence of the image's class.

The salient parts are those of instant mode (`wsol.methods.instant`), which finds what the images have in common. If an
image has several, one is chosen by the evidence of the image's class (`wsol.methods.evidence`) and by its similarity to
the parts chosen in other images (`wsol.methods.spol.parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import load_model, untrained
from wsol.methods.ddt import Moments
from wsol.methods.evidence import ClassMoments, class_moments, ridge
from wsol.methods.instant import (
    SalienceNetwork,
    UndecidedNetwork,
    build_to_fit,
    choosing_pass,
    decided,
    fill,
    instant_config,
    made_of,
    moments_of_roots,
)
from wsol.methods.instant import build as build_instant
from wsol.methods.passes import Levels, Made, Pass, evenly_spaced, run_passes, together
from wsol.methods.rare_map import RareNetwork, background_passes
from wsol.methods.spol.parts import EVIDENCE_WEIGHT, Parts, part_model
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.class_scores import class_targets
from wsol.models.features import Features
from wsol.models.folding import fold
from wsol.models.forward import Squares, prepared
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs
from wsol.runtime.engine import Engine
from wsol.runtime.progress import Progress

STAGE = "see-cues"
IMAGES_PER_CLASS = 10
"""Minimum number of evenly spaced images of each class from which the evidence is learned."""
MIN_AREA = 0.0016
"""Minimum area of a part as a fraction of the image; the evidence of smaller specks is noise."""

THRESHOLD = 0.5
"""Threshold of all salience maps, which are rescaled so that Otsu's threshold is here."""

Plane = Float32[np.ndarray, "height width"]


class Cues(NamedTuple):
    """Maps of each image, all of one size."""

    salience: Heatmaps
    """Salience, with threshold 0.5."""
    evidence: Heatmaps
    """Evidence of the image's class, of several the highest; zeros without a label."""
    likeness: Heatmaps
    """Similarity to the parts chosen in other images, relative to the rejected ones."""


class CueNetwork(nn.Module):
    """The network of instant mode, with two linear layers on its features: class evidence, and likeness of parts."""

    salience: SalienceNetwork | UndecidedNetwork

    def __init__(self, salience: SalienceNetwork | UndecidedNetwork, classes: int) -> None:
        super().__init__()
        channels = salience.features.channels[-1]
        self.salience = salience
        self.evidence = nn.Conv2d(channels, classes, 1)
        self.likeness = nn.Conv2d(channels, 1, 1)

    def forward(self, images: Tensor, targets: Shaped[Tensor, batch * classes] | None = None) -> Cues:
        """The cues of normalised images."""
        return self.cues(self.salience.levels(images), targets)

    def cues(self, levels: Levels, targets: Shaped[Tensor, batch * classes] | None) -> Cues:
        """The cues, computed from the levels of features.

        Args:
            levels: the features.
            targets: label of each image, or 1 for each of its labels (`class_targets`); None without labels.
        """
        salience, roots = decided(self.salience).salience(levels), levels[-1].sqrt()
        evidence = self.evidence(roots)
        rows = torch.arange(len(evidence), device=evidence.device)
        if targets is None:
            own = evidence[:, :1] * 0
        elif targets.ndim == 1:
            own = evidence[rows, targets.to(evidence.device), None]
        else:
            is_of = targets.to(evidence.device)[:, :, None, None] > 0
            own = evidence.where(is_of, -torch.inf).amax(1, keepdim=True)
        both = torch.cat([own, self.likeness(roots)], dim=1)
        finer = interpolate(both, salience.shape[1:], mode="bilinear", align_corners=False)
        return Cues(salience, finer[:, 0], finer[:, 1])


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, with layers that are not set yet."""
    return CueNetwork(build_instant(model_config, state), len(model_config.class_names))


def load(run: Path, engine: Engine) -> LocalizationModel:
    """Load the network of a run.

    Args:
        run: folder of the run; the network is in `run/cues`.
        engine: device and precision.

    Returns:
        The network on the device, in eval mode.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    model = load_model(run / "cues", build, forward)
    network = engine.place(model.network)
    assert isinstance(network, CueNetwork)
    fold(network.salience.features, network.salience.features.modules(), model.model_config.resize_px)
    return model


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The salience with only the chosen part of each image: above 0.5 in it, 0 in the other parts."""
    planes = (one.float().cpu().numpy() for one in network(images, labels))
    maps = [keep_best_part(*one) for one in zip(*planes, strict=True)]
    return ModelOutputs(torch.from_numpy(np.stack(maps)), None, None)


@torch.inference_mode()
def image_cues(model: LocalizationModel, pixels: Squares, labels: Tensor, engine: Engine) -> list[tuple[Plane, ...]]:
    """Compute salience, evidence and likeness of each image of a batch, as arguments of `keep_best_part`."""
    images = prepared(pixels, model.model_config, engine)
    with engine.autocast():
        cues = model.network(images, labels)
    return list(zip(*(one.float().cpu().numpy() for one in cues), strict=True))


class SalientParts(NamedTuple):
    """The connected salient parts of an image."""

    numbers: Int32[np.ndarray, "height width"]
    """The part of each pixel, from 1; 0 is not salient."""
    areas: Int64[np.ndarray, " parts"]

    def sums(self, plane: Plane) -> Float64[np.ndarray, " parts"]:
        """The sum of a plane over each part."""
        return np.asarray(
            np.bincount(self.numbers.ravel(), plane.ravel(), minlength=len(self.areas) + 1)[1:], np.float64
        )

    def evidence(self, plane: Plane) -> Float64[np.ndarray, " parts"]:
        """The evidence of each part, as a fraction of the highest; zeros if no part has any.

        It is the sum of the positive values divided by the square root of the area, which weights means by their
        reliability (Stouffer et al. 1949). Specks have no evidence.
        """
        evidence: Float64[np.ndarray, " parts"] = self.sums(plane.clip(0)) / np.sqrt(self.areas)
        evidence[self.areas < MIN_AREA * plane.size] = 0
        return np.asarray(evidence / max(evidence.max(initial=0.0), np.finfo(np.float64).tiny))


def salient_parts(salience: Plane) -> SalientParts:
    """The parts above the threshold."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats((salience > THRESHOLD).astype(np.uint8), connectivity=8)
    return SalientParts(numbers, stats[1:, cv2.CC_STAT_AREA].astype(np.int64))


def keep_best_part(salience: Plane, evidence: Plane, likeness: Plane) -> Plane:
    """Set the salience of all parts except the best one to 0.

    The best part has the highest sum of weighted evidence and likeness; if all are equal, it is the largest.

    Args:
        salience: above 0.5 in the parts.
        evidence: evidence of the image's class at each position.
        likeness: similarity to chosen parts at each position.

    Returns:
        The salience with one part; unchanged if it has fewer than two.
    """
    parts = salient_parts(salience)
    if len(parts.areas) < 2:
        return salience
    strength = EVIDENCE_WEIGHT * parts.evidence(evidence) + parts.sums(likeness) / parts.areas
    is_speck = parts.areas < MIN_AREA * salience.size
    if strength.max() == strength.min() or is_speck.all():
        strength = parts.areas.astype(np.float64)
    best = 1 + int(np.argmax(np.where(is_speck & ~is_speck.all(), -np.inf, strength)))
    return np.where((parts.numbers == best) | (parts.numbers == 0), salience, np.float32(0))


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Learn evidence and likeness in two passes over a sample of the training images and labels; write `run/cues`.

    Raises:
        WsolError: no weights, a backbone that does not fit, a folder of other settings, or no image that can be
            decoded.
    """
    model_config = instant_config(data, config).model_copy(update={"method": "spol"})

    def to_fit(model_config: MethodConfig, state: State | None) -> nn.Module:
        return CueNetwork(build_to_fit(model_config, state, config.instant.map), len(model_config.class_names))

    ready = untrained(STAGE, run / "cues", model_config, to_fit, data, config, progress)
    if ready is None:
        return
    network = ready.network
    assert isinstance(network, CueNetwork)
    features = network.salience.features
    fold(features, features.modules(), model_config.resize_px)

    def made() -> Made:
        salience, with_map = made_of(decided(network.salience), model_config)
        assert isinstance(salience, SalienceNetwork)
        network.salience = salience
        if isinstance(salience, RareNetwork):  # evidence is of what is common; without it the largest part is chosen
            _clear(network)
        return Made(network, with_map)

    passes = _passes(network, data, config, progress)
    run_passes(STAGE, passes, network.salience.levels, made, run / "cues", ready, data, config, progress)


def _clear(network: CueNetwork) -> None:
    for layer in (network.evidence, network.likeness):
        fill_layer(layer, np.zeros(layer.weight.shape), 0.0)


def _passes(network: CueNetwork, data: DataSet, config: RunConfig, progress: Progress) -> list[Pass]:
    """Salience and evidence from one pass; likeness, and the choice between two maps, from another."""
    _clear(network)
    salience, sample = network.salience, config.instant.sample
    if isinstance(salience, RareNetwork):
        return background_passes(salience, data, sample)
    common = salience.common if isinstance(salience, UndecidedNetwork) else salience
    targets, classes = class_targets(data), len(data.class_names)

    def fill_from_moments(moments: CueMoments) -> None:
        fill(common, moments.positions)
        fill_layer(network.evidence, *ridge(moments.images))

    first = Pass(
        sample_of([one.labels for one in data.train], sample),
        lambda levels, numbers: cue_moments(levels[-1], targets[numbers], classes),
        fill_from_moments,
    )
    with_object = [number for number, one in enumerate(data.train) if data.has_object(one)]
    numbers = [with_object[i] for i in evenly_spaced(len(with_object), sample)]
    second = Pass(
        numbers,
        lambda levels, numbers: parts_of(network, levels, numbers, targets),
        lambda parts: fill_layer(network.likeness, *part_model(parts)),
    )
    if not isinstance(salience, UndecidedNetwork):
        return [first, second]
    background, *floor = background_passes(salience.rare, data, sample)
    choice = choosing_pass(salience, data, evenly_spaced(len(data.train), sample), progress)
    return [together([first, background]), together([second, *floor, choice])]


def cue_moments(features: Features, targets: Shaped[Tensor, batch * classes], classes: int) -> CueMoments:
    """The sums of a batch for salience and evidence."""
    means = features.sqrt().mean((2, 3)).double().cpu().numpy()
    return CueMoments(moments_of_roots(features), class_moments(means, targets.numpy(), classes))


def fill_layer(layer: nn.Conv2d, weight: Float64[np.ndarray, ...], bias: Float64[np.ndarray, ...] | float) -> None:
    """Set a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight).reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(torch.as_tensor(bias))


@torch.inference_mode()
def parts_of(
    network: CueNetwork, levels: Levels, numbers: Int64[Tensor, " batch"], targets: Shaped[Tensor, n * classes]
) -> Parts:
    """The salient parts of a batch, with their mean features."""
    cues = network.cues(levels, targets[numbers])
    roots = levels[-1].sqrt().cpu().numpy()
    rows: list[tuple[Float64[np.ndarray, " channels"], float, int]] = []
    for number, salience, evidence, root in zip(
        numbers.tolist(), *(one.cpu().numpy() for one in cues[:2]), roots, strict=True
    ):
        parts = salient_parts(salience)
        for part, strength in enumerate(parts.evidence(evidence), start=1):
            if parts.areas[part - 1] >= MIN_AREA * salience.size:
                covered = cv2.resize(
                    (parts.numbers == part).astype(np.float32), root.shape[:0:-1], interpolation=cv2.INTER_AREA
                )
                rows.append(((root * covered).sum((1, 2), dtype=np.float64) / covered.sum(), strength, number))
    means, strengths, images = zip(*rows, strict=True) if rows else ([], [], [])
    return Parts(
        np.array(means, np.float64).reshape(-1, roots.shape[1]),
        np.array(strengths, np.float64),
        np.array(images, np.int64),
    )


def sample_of(labels: Sequence[tuple[int, ...]], sample: int) -> list[int]:
    """The indices of evenly spaced images, and of more images of classes with fewer than `IMAGES_PER_CLASS`."""
    chosen = set(evenly_spaced(len(labels), sample))
    of_class: dict[int, list[int]] = {}
    for number, own in enumerate(labels):
        for label in own:
            of_class.setdefault(label, []).append(number)
    for images in of_class.values():
        rest = [number for number in images if number not in chosen]
        missing = IMAGES_PER_CLASS - (len(images) - len(rest))
        chosen.update(rest[i] for i in evenly_spaced(len(rest), max(missing, 0)))
    return sorted(chosen)


@dataclass(frozen=True)
class CueMoments:
    """Sums over the positions of all images, and over whole images."""

    positions: Moments
    images: ClassMoments

    def __add__(self, other: CueMoments) -> CueMoments:
        return CueMoments(self.positions + other.positions, self.images + other.images)
