"""How far a rate would move with another draw of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Shaped

RESAMPLES = 2000
FINE = 2000
"""Up to so many distinct values are told apart."""
_DRAWS_AT_ONCE = 4_000_000
"""A chunk of resamples is at most this many numbers: fifty thousand images need no gigabyte."""


class Rate(NamedTuple):
    """A figure in percent with a 95 % bootstrap percentile interval (Efron 1979)."""

    value: float
    low: float
    high: float


NORMAL_95 = 1.959964
"""Of a normal distribution, the part within so many standard deviations is 95 %."""


def wilson(right: int, n: int) -> Rate:
    """`right` of `n` in percent with the 95 % interval of Wilson (1927), which holds for few images, and where all are
    right.
    """
    share, square = right / n, NORMAL_95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL_95 * (share * (1 - share) / n + square / (4 * n**2)) ** 0.5 / (1 + square / n)
    return Rate(100 * share, 100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0))


def rate(values: Shaped[np.ndarray, " n"]) -> Rate:
    """The mean of per-image values in [0, 1], or of yes and no, resampling images; the same values in any order give
    the same interval.
    """
    # Images with the same value are interchangeable: drawing how often each value comes is the same and, for a few
    # values, quick. Of very many values the interval is taken to a thousandth; its centre stays where the mean is.
    distinct, counts = np.unique(values, return_counts=True)
    n, mean = len(values), float(distinct @ counts) / len(values)
    if len(distinct) > FINE:
        distinct, counts = np.unique(np.round(values, 3), return_counts=True)
    shift = mean - float(distinct @ counts) / n
    return interval(mean, counts, lambda drawn: drawn @ distinct / n + shift)


def interval(
    value: float,
    counts: Int64[np.ndarray, " kinds"],
    figure: Callable[[Int64[np.ndarray, "draws kinds"]], Float[np.ndarray, " draws"]],
) -> Rate:
    """A figure in [0, 1] with its interval: images come in kinds, `counts` of each; `figure` says what drawn counts
    would give.
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
