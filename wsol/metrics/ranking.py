"""How well the scores of a system rank its boxes: whether boxes with higher scores are more often correct."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

from wsol.metrics.bootstrap import Rate, interval

FEW = 10
"""With fewer right or fewer wrong boxes than this, an AUC is reported together with these numbers."""
FINE = 1000
"""The interval distinguishes at most this many scores."""


def score_auc(scores: Float[np.ndarray, " n"], is_found: Bool[np.ndarray, " n"]) -> Rate | None:
    """The area under the ROC curve in percent (Hanley and McNeil 1982, sec. III), with its interval.

    It is how often a correct box has a higher score than a wrong one, over all such pairs; ties count half. 50 is
    chance, 100 a score that separates right from wrong. Its interval resamples images; draws without a right or without
    a wrong box have no area and are left out.

    Args:
        scores: one per image, higher is more certain.
        is_found: whether the box of the image is correct.

    Returns:
        None if all are right or all are wrong.
    """
    if is_found.all() or not is_found.any():
        return None
    distinct, ranks = np.unique(scores, return_inverse=True)
    value = float(_area(_counts(ranks, len(distinct), is_found)[None])[0])
    # Right images with the same score are interchangeable (wrong ones too), so only their number is drawn. With very
    # many scores, neighbours count as equal in the interval, which is then centred on the exact area.
    kinds = min(len(distinct), FINE)
    counts = _counts(ranks * kinds // len(distinct), kinds, is_found)
    shift = value - float(_area(counts[None])[0])
    return interval(
        value, counts.ravel(), lambda drawn: (_defined(_area(drawn.reshape(-1, 2, kinds))) + shift).clip(0, 1)
    )


def _counts(
    ranks: Int64[np.ndarray, " n"], kinds: int, is_found: Bool[np.ndarray, " n"]
) -> Int64[np.ndarray, "2 kinds"]:
    """Numbers of images by score, lowest first: those with a wrong box, and those with a correct one."""
    return np.stack([np.bincount(ranks[which], minlength=kinds) for which in (~is_found, is_found)])


def _area(counts: Int64[np.ndarray, "draws 2 kinds"]) -> Float[np.ndarray, " draws"]:
    """The fraction of pairs in the right order; NaN if there is no pair."""
    missed, found = counts[:, 0], counts[:, 1]
    below = missed.cumsum(axis=1) - missed / 2
    pairs = missed.sum(axis=1) * found.sum(axis=1)
    ordered = (found * below).sum(axis=1)
    return np.asarray(np.divide(ordered, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _defined(areas: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " defined"]:
    return np.asarray(areas[~np.isnan(areas)])
