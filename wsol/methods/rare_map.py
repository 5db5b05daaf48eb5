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

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.data.samples import DataSet
from wsol.methods.passes import Levels, Pass, evenly_spaced
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
"""Fraction of the training images without an object in which nothing is found; of others, less, if these are few."""
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

    def peaks(self, levels: Levels) -> Peaks:
        """The highest distance in each image."""
        return Peaks(self.distances(levels).amax((1, 2)).double().cpu().numpy())

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
    first = Pass(numbers, lambda levels, _: level_moments(levels), lambda sums: fill_whitening(network, sums))
    second = Pass(numbers, lambda levels, _: network.peaks(levels), lambda found: fill_floor(network, found))
    return [first, second] if empty else [first]
