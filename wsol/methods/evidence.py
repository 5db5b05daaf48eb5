"""Which class a position speaks for, without training: a linear model of whole images, applied to each position.

Ridge regression (Hoerl & Kennard 1970) of the labels on the mean over positions of the square roots of the features.
Mean and linear model commute, so that its value at a position is that position's share of the answer: a class
activation map (Zhou et al. 2016, Eq. 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

Matrix = Float64[np.ndarray, "_ _"]
Vector = Float64[np.ndarray, " _"]

PENALTY = 0.01
"""Of the squared weights, as a share of the mean squared distance of an image's features from the mean image's."""


@dataclass(frozen=True)
class ClassMoments:
    """Of images' mean features: how many, their sum and that of their products; of each class how many, and their
    sum.
    """

    count: int
    total: Vector
    products: Matrix
    counts: Int64[np.ndarray, " classes"]
    totals: Float64[np.ndarray, "classes channels"]

    def __add__(self, other: ClassMoments) -> ClassMoments:
        return ClassMoments(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def class_moments(
    means: Float64[np.ndarray, "n channels"], labels: Int64[np.ndarray, " n"], classes: int
) -> ClassMoments:
    """Of the rows, each an image's mean features."""
    is_of = np.arange(classes)[:, None] == labels
    return ClassMoments(len(means), means.sum(0), means.T @ means, is_of.sum(1), is_of.astype(np.float64) @ means)


class Linear(NamedTuple):
    """Features to what speaks for each class and against the others."""

    weight: Float64[np.ndarray, "classes channels"]
    bias: Vector


def ridge(moments: ClassMoments) -> Linear:
    """What speaks for a class more than for the mean of all; zero everywhere where there is but one class, or one
    image.
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
