"""Evidence of each class at each position, without training: a linear model of whole images, applied to positions.

Ridge regression (Hoerl & Kennard 1970) of the labels on the spatial mean of the square roots of the features. Mean and
linear model commute, so the model's value at a position is the contribution of that position to the class score: a
class activation map (Zhou et al. 2016, Eq. 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped

Matrix = Float64[np.ndarray, "_ _"]
Vector = Float64[np.ndarray, " _"]

PENALTY = 0.01
"""Weight of the squared weights, as a fraction of the mean squared distance of an image's features from their mean."""


@dataclass(frozen=True)
class ClassMoments:
    """Sums over the mean features of images: count, sum and sum of products; count and sum for each class."""

    count: int
    total: Vector
    products: Matrix
    counts: Int64[np.ndarray, " classes"]
    totals: Float64[np.ndarray, "classes channels"]

    def __add__(self, other: ClassMoments) -> ClassMoments:
        return ClassMoments(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def class_moments(
    means: Float64[np.ndarray, "n channels"], targets: Shaped[np.ndarray, n * classes], classes: int
) -> ClassMoments:
    """Compute the sums over some images.

    Args:
        means: mean features of each image.
        targets: label of each image, or 1 for each of its labels.
        classes: number of classes.
    """
    is_of = np.arange(classes)[:, None] == targets if targets.ndim == 1 else targets.T > 0
    return ClassMoments(len(means), means.sum(0), means.T @ means, is_of.sum(1), is_of.astype(np.float64) @ means)


class Linear(NamedTuple):
    """A linear layer from features to the evidence of each class."""

    weight: Float64[np.ndarray, "classes channels"]
    bias: Vector


def ridge(moments: ClassMoments) -> Linear:
    """Fit the evidence of each class relative to the mean of all classes (ridge regression, Hoerl & Kennard 1970).

    Args:
        moments: sums over the images.

    Returns:
        The linear layer; zero with only one class or one image.
    """
    mean = moments.total / moments.count
    scatter = moments.products - moments.count * np.outer(mean, mean)
    penalty = PENALTY * np.trace(scatter) / moments.count
    if penalty <= 0:
        return Linear(np.zeros_like(moments.totals), np.zeros(len(moments.totals)))
    towards = moments.totals - moments.counts[:, None] * mean
    weight = np.linalg.solve(scatter + penalty * np.eye(len(mean)), towards.T).T
    weight = weight - weight.mean(0)
    return Linear(weight, -weight @ mean)


def leave_one_out(
    gram: Float64[np.ndarray, "rows rows"],
    inverse: Float64[np.ndarray, "rows rows"],
    targets: Float64[np.ndarray, " rows"],
) -> Float64[np.ndarray, " rows"]:
    """Return ridge regression's prediction for each row when fitted on the others (Allen 1974), so that a choice does
    not confirm itself.

    Args:
        gram: products of the features of all rows.
        inverse: its inverse, with the penalty on the diagonal.
        targets: of each row.
    """
    hat = gram @ inverse
    return np.asarray(targets - (targets - hat @ targets) / (1 - np.diag(hat)))
