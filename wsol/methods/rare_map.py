"""What is rare: positions whose features differ from those of the background, without training.

The distance of a position's features x from the background is that of Mahalanobis, |L (x - mean)| / sqrt(channels),
where L^T L is the inverse of the covariance over all positions of the images without an object; without such images,
over those of all images, of which small objects are a small part. Anomaly detectors use the same distance (Reed & Yu
1990; on pretrained features, Defard et al. 2021, PaDiM). The map is the geometric mean of the distances of three levels
of the backbone, as SPOL multiplies its levels (Wei et al. 2021, Eq. 1): a deep level alone is too coarse for a scratch,
a shallow one alone finds texture.

The threshold of each image is half-way from its median to its peak (the full width at half maximum of a blurred spot).
Values are rescaled so that it is 0.5, the box threshold of all images; in an image whose peak is not above the peaks of
the images without an object, all are below.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.data.samples import DataSet
from wsol.methods.passes import Levels, Numbers, Pass, evenly_spaced
from wsol.models.features import FeatureLevels
from wsol.models.outputs import Heatmaps

LEVELS = 3
"""Number of last stages of the backbone."""
PENALTY = 0.01
"""Added to the variances, as a fraction of their mean: some directions have almost none."""
HEIGHT = 0.5
"""Threshold of an image, as a fraction of the way from its median to its peak. 0.6 is better for defects of 0.2 to 2 %
of the image and much worse for larger ones (studies/surfaces.md)."""
QUIET = 0.95
"""Fraction of the training images without an object in which nothing is found."""
UPSAMPLING = 2
"""Factor by which the map is finer than the shallowest level."""


@dataclass(frozen=True)
class Peaks:
    """The highest distance of each image."""

    values: Float64[np.ndarray, " images"]

    def __add__(self, other: Peaks) -> Peaks:
        return Peaks(np.concatenate((self.values, other.values)))


@dataclass(frozen=True)
class LevelMoments:
    """Sums over the features of each level at all positions: of 1, x and x x^T."""

    counts: tuple[int, ...]
    totals: tuple[Float64[np.ndarray, " _"], ...]
    products: tuple[Float64[np.ndarray, "_ _"], ...]

    def __add__(self, other: LevelMoments) -> LevelMoments:
        sums = (
            tuple(mine + its for mine, its in zip(one, two, strict=True))
            for one, two in zip(vars(self).values(), vars(other).values(), strict=True)
        )
        return LevelMoments(*sums)


class RareNetwork(nn.Module):
    """Levels of features, and for each a linear layer that makes the background white noise."""

    floor: Tensor
    """Peaks of the map up to this height are background."""

    def __init__(self, features: FeatureLevels) -> None:
        super().__init__()
        self.features = features
        self.whitening = nn.ModuleList(nn.Conv2d(channels, channels, 1) for channels in features.channels)
        self.register_buffer("floor", torch.zeros(()))

    def levels(self, images: Tensor) -> Levels:
        """The levels of normalised images, shallowest first; the last one is rectified."""
        *shallow, last = self.features(images)
        return [level.float() for level in (*shallow, last.clamp(min=0))]

    def distances(self, levels: Levels) -> Float[Tensor, "batch height width"]:
        """The geometric mean of the distances of all levels; about 1 in the background."""
        height, width = (UPSAMPLING * side for side in levels[0].shape[2:])
        logs = [
            interpolate(
                white(level).square().mean(1, keepdim=True).sqrt(),
                (height, width),
                mode="bilinear",
                align_corners=False,
            ).log()
            for white, level in zip(self.whitening, levels, strict=True)
        ]
        return torch.stack(logs).mean(0)[:, 0].exp()

    def salience(self, levels: Levels) -> Float[Tensor, "batch finer_height finer_width"]:
        """The map in [0, 1] with threshold 0.5, computed from the levels."""
        return rescaled(self.distances(levels), self.floor)

    def forward(self, images: Tensor) -> Heatmaps:
        """The map of each image."""
        return self.salience(self.levels(images))


def rescaled(distances: Heatmaps, floor: Tensor) -> Heatmaps:
    """Rescale maps so that the threshold of each is 0.5. Higher peaks stay higher, so that images can be ranked.

    Args:
        distances: positive maps.
        floor: the highest peak of an image without an object.

    Returns:
        Maps in [0, 1]; nothing is above 0.5 in an image whose peak is not above the floor.
    """
    peaks = distances.amax((1, 2), keepdim=True)
    middles = distances.flatten(1).median(dim=1).values[:, None, None]
    thresholds = middles + HEIGHT * (peaks - middles)
    above = (peaks - floor).clamp(min=0)
    heights = 0.5 + 0.5 * above / (above + 1)
    tiny = torch.finfo(torch.float32).tiny
    part = (distances - thresholds) / (peaks - thresholds).clamp(min=tiny)
    low = 0.5 * distances / thresholds.clamp(min=tiny)
    found = torch.where(distances > thresholds, 0.5 + (heights - 0.5) * part, low)
    empty = 0.5 * distances / torch.maximum(floor, peaks).clamp(min=tiny)
    return torch.where(peaks > floor, found, empty).clamp(0, 1)


def level_moments(levels: Levels) -> LevelMoments:
    """Compute the sums of a batch, in 32 bits; they are returned in 64, in which batches are added."""
    rows = [level.permute(0, 2, 3, 1).flatten(0, 2) for level in levels]
    sums = [(row.sum(0).double().cpu().numpy(), (row.T @ row).double().cpu().numpy()) for row in rows]
    return LevelMoments(
        tuple(len(row) for row in rows), tuple(total for total, _ in sums), tuple(products for _, products in sums)
    )


def fill_whitening(network: RareNetwork, moments: LevelMoments) -> None:
    """Set the layers from the background's mean and covariance."""
    for layer, count, total, products in zip(
        network.whitening, moments.counts, moments.totals, moments.products, strict=True
    ):
        assert isinstance(layer, nn.Conv2d)
        mean = total / count
        covariance = products / count - np.outer(mean, mean)
        covariance += max(PENALTY * np.trace(covariance) / len(mean), 1e-12) * np.eye(len(mean))
        white = np.linalg.inv(np.linalg.cholesky(covariance))
        with torch.no_grad():
            layer.weight[:, :, 0, 0] = torch.from_numpy(white).float()
            layer.bias.copy_(torch.from_numpy(-white @ mean).float())  # type: ignore[union-attr]


def fill_floor(network: RareNetwork, peaks: Peaks) -> None:
    """Set the floor, from the highest distance in each image without an object."""
    network.floor.fill_(float(np.quantile(peaks.values, QUIET)))


def background_passes(network: RareNetwork, data: DataSet, sample: int) -> list[Pass]:
    """Return the passes over images without an object that set the layers; over all images if there are none.

    Args:
        network: the network.
        data: the training images.
        sample: the maximum number of images.
    """
    empty = [i for i, one in enumerate(data.train) if not data.has_object(one)]
    background = empty or [*range(len(data.train))]
    numbers = [background[i] for i in evenly_spaced(len(background), sample)]
    halves = Halves(network, numbers)
    first = Pass(numbers, halves.moments, halves.fill)
    second = Pass(numbers, halves.peaks, lambda found: fill_floor(network, found))
    return [first, second] if empty else [first]


class Halves:
    """The background in two halves of the images. The distances in each are measured from the other: from a background
    of which it is a part, an image is too near.

    Args:
        network: its layers are set from both halves together.
        images: their indices; every second one is in the same half.
    """

    def __init__(self, network: RareNetwork, images: Sequence[int]) -> None:
        self.network = network
        self.even = frozenset(images[::2])
        self.other_half: list[RareNetwork] = []

    def moments(self, levels: Levels, numbers: Numbers) -> HalfMoments:
        """The sums over the features of each half of a batch."""
        even = self._is_even(numbers)
        return HalfMoments(*(_moments_of(levels, [one == wanted for one in even]) for wanted in (True, False)))

    def _is_even(self, numbers: Numbers) -> list[bool]:
        return [number in self.even for number in numbers.tolist()]

    def fill(self, sums: HalfMoments) -> None:
        """Set the layers from both halves, and keep networks of the halves."""
        parts = [part for part in (sums.even, sums.odd) if part is not None]
        fill_whitening(self.network, reduce(operator.add, parts))
        for part in (sums.odd, sums.even):
            half = RareNetwork(self.network.features).to(self.network.floor.device)
            fill_whitening(half, parts[0] if part is None else part)
            self.other_half.append(half)

    def peaks(self, levels: Levels, numbers: Numbers) -> Peaks:
        """The highest distance in each image, from the other half."""
        odd, even = (half.distances(levels).amax((1, 2)).double().cpu().numpy() for half in self.other_half)
        return Peaks(np.where(self._is_even(numbers), odd, even))


@dataclass(frozen=True)
class HalfMoments:
    """The sums over every second image, and over the others; None without images."""

    even: LevelMoments | None
    odd: LevelMoments | None

    def __add__(self, other: HalfMoments) -> HalfMoments:
        both = ((self.even, other.even), (self.odd, other.odd))
        return HalfMoments(*(b if a is None else a if b is None else a + b for a, b in both))


def _moments_of(levels: Levels, rows: list[bool]) -> LevelMoments | None:
    return level_moments([level[rows] for level in levels]) if any(rows) else None
