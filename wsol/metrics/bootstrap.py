"""Confidence intervals of rates by resampling images (bootstrap)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Shaped

RESAMPLES = 2000
FINE = 2000
"""With more distinct values than this, the interval uses values rounded to a thousandth."""
_DRAWS_AT_ONCE = 4_000_000
"""A chunk of resamples has at most this many numbers, so that fifty thousand images need less than a gigabyte."""


class Rate(NamedTuple):
    """A rate in percent, or the mean of a count, with the bounds of its 95 % bootstrap percentile interval (Efron
    1979).
    """

    value: float
    low: float
    high: float


NORMAL_95 = 1.959964
"""95 % of a normal distribution lie within this many standard deviations."""


def wilson(right: int, n: int) -> Rate:
    """`right` of `n` in percent with the 95 % interval of Wilson (1927), which is valid for few images, and also if all
    are right.

    Args:
        right: the number of correct images.
        n: the number of images, at least 1.
    """
    fraction, square = right / n, NORMAL_95**2
    centre = (fraction + square / (2 * n)) / (1 + square / n)
    half = NORMAL_95 * (fraction * (1 - fraction) / n + square / (4 * n**2)) ** 0.5 / (1 + square / n)
    return Rate(100 * fraction, 100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0))


def rate(values: Shaped[np.ndarray, " n"]) -> Rate:
    """The mean of one value per image in percent, with the interval of resampled images. The order does not matter.

    Args:
        values: in [0, 1], or booleans.
    """
    # Images with the same value are interchangeable, so it is enough to draw how often each value occurs, which is fast
    # for a few values. Very many values are rounded to a thousandth; the interval is then centred on the exact mean.
    distinct, counts = np.unique(values, return_counts=True)
    n, mean = len(values), float(distinct @ counts) / len(values)
    if len(distinct) > FINE:
        distinct, counts = np.unique(np.round(values, 3), return_counts=True)
    shift = mean - float(distinct @ counts) / n
    return interval(mean, counts, lambda drawn: drawn @ distinct / n + shift)


def mean_count(counts: Shaped[np.ndarray, " n"]) -> Rate:
    """The mean of a count per image, with the interval of resampled images: a number, not in percent.

    Args:
        counts: one per image.
    """
    return Rate(*(figure / 100 for figure in rate(counts)))


def interval(
    value: float,
    counts: Int64[np.ndarray, " kinds"],
    figure: Callable[[Int64[np.ndarray, "draws kinds"]], Float[np.ndarray, " draws"]],
) -> Rate:
    """A metric in percent with its interval.

    Args:
        value: the metric of all images, in [0, 1].
        counts: images with equal values are one kind; the number of images of each kind.
        figure: computes the metric from drawn counts.
    """
    n = int(counts.sum())
    random = np.random.default_rng(0)
    chunk = max(_DRAWS_AT_ONCE // len(counts), 1)
    drawn = [
        figure(random.multinomial(n, counts / n, size=min(chunk, RESAMPLES - done)))
        for done in range(0, RESAMPLES, chunk)
    ]
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return Rate(100 * value, 100 * float(low), 100 * float(high))
