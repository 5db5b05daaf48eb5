"""How well scores rank: whether boxes with higher scores are more often correct, and whether images with higher scores
more often contain an object.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64

from wsol.metrics.bootstrap import Rate, interval

FEW = 10
"""With fewer right or fewer wrong boxes than this, an AUC is reported together with these numbers."""
FINE = 1000
"""The interval distinguishes at most this many scores."""

Counts = Int64[np.ndarray, "draws 2 kinds"]
"""Numbers of wrong and of right images by score, lowest first."""


def score_auc(scores: Float[np.ndarray, " n"], is_found: Bool[np.ndarray, " n"]) -> Rate | None:
    """The area under the ROC curve in percent (Hanley and McNeil 1982, sec. III), with its interval.

    It is how often a correct box has a higher score than a wrong one, over all such pairs; ties count half. 50 is
    chance, 100 a score that separates right from wrong. Its interval resamples images; draws without a right or without
    a wrong box have no area and are left out.

    Args:
        scores: one per image, higher is more certain.
        is_found: whether the box of the image is correct, or whether the image contains an object.

    Returns:
        None if all are right or all are wrong.
    """
    return _ranked(scores, is_found, _area)


def average_precision(scores: Float[np.ndarray, " n"], is_right: Bool[np.ndarray, " n"]) -> Rate | None:
    """The average precision of a ranking in percent, with its interval: the sum over the scores, from the highest, of
    precision times the step in recall. Images with the same score have one step together.

    A ranking by chance has the fraction of right images. Its interval resamples images, as in `score_auc`.

    Args:
        scores: one per image, higher is more certain.
        is_right: whether the image is right.

    Returns:
        None if all are right or all are wrong.
    """
    return _ranked(scores, is_right, _precision)


def _ranked(
    scores: Float[np.ndarray, " n"],
    is_found: Bool[np.ndarray, " n"],
    figure: Callable[[Counts], Float[np.ndarray, " draws"]],
) -> Rate | None:
    if is_found.all() or not is_found.any():
        return None
    distinct, ranks = np.unique(scores, return_inverse=True)
    value = float(figure(_counts(ranks, len(distinct), is_found)[None])[0])
    # Right images with the same score are interchangeable (wrong ones too), so only their number is drawn. With very
    # many scores, neighbours count as equal in the interval, which is then centred on the exact area.
    kinds = min(len(distinct), FINE)
    counts = _counts(ranks * kinds // len(distinct), kinds, is_found)
    shift = value - float(figure(counts[None])[0])
    return interval(
        value, counts.ravel(), lambda drawn: (_defined(figure(drawn.reshape(-1, 2, kinds))) + shift).clip(0, 1)
    )


def _counts(
    ranks: Int64[np.ndarray, " n"], kinds: int, is_found: Bool[np.ndarray, " n"]
) -> Int64[np.ndarray, "2 kinds"]:
    """Numbers of images by score, lowest first: those with a wrong box, and those with a correct one."""
    return np.stack([np.bincount(ranks[which], minlength=kinds) for which in (~is_found, is_found)])


def _area(counts: Counts) -> Float[np.ndarray, " draws"]:
    """The fraction of pairs in the right order; NaN if there is no pair."""
    missed, found = counts[:, 0], counts[:, 1]
    below = missed.cumsum(axis=1) - missed / 2
    pairs = missed.sum(axis=1) * found.sum(axis=1)
    ordered = (found * below).sum(axis=1)
    return np.asarray(np.divide(ordered, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _precision(counts: Counts) -> Float[np.ndarray, " draws"]:
    """The average precision; NaN without a right or without a wrong image."""
    wrong, right = np.moveaxis(counts[..., ::-1], 1, 0)  # from the highest score
    found = right.cumsum(axis=1)
    both = found + wrong.cumsum(axis=1)
    precision = np.divide(found, both, out=np.zeros(both.shape), where=both > 0)
    summed, total = (precision * right).sum(axis=1), right.sum(axis=1)
    has_both = (total > 0) & (wrong.sum(axis=1) > 0)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=has_both))


def _defined(areas: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " defined"]:
    return np.asarray(areas[~np.isnan(areas)])
