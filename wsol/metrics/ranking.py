"""Whether the surer boxes are the better ones: how well a system's score ranks its boxes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

from wsol.metrics.bootstrap import Rate, interval

FEW = 10
"""With fewer right or fewer wrong boxes an area is told with how many there are."""
FINE = 1000
"""Up to so many distinct scores are told apart by the interval."""


def score_auc(scores: Float[np.ndarray, " n"], is_found: Bool[np.ndarray, " n"]) -> Rate | None:
    """In percent, how often a found object has a higher score than one that was not found, over all such pairs; ties
    count half.

    It is the area under the ROC curve (Hanley and McNeil 1982, sec. III): 50 is chance, 100 a score that parts right
    from wrong. Its interval resamples images; draws without a right or without a wrong one have no area and are left
    out. None where all are right or all are wrong.
    """
    if is_found.all() or not is_found.any():
        return None
    distinct, places = np.unique(scores, return_inverse=True)
    value = float(_area(_counts(places, len(distinct), is_found)[None])[0])
    # Images with the same score that are both right are interchangeable, so that only their number is drawn. Of very
    # many scores, neighbours are taken as equal for the interval; its centre stays where the area is.
    kinds = min(len(distinct), FINE)
    counts = _counts(places * kinds // len(distinct), kinds, is_found)
    shift = value - float(_area(counts[None])[0])
    return interval(
        value, counts.ravel(), lambda drawn: (_defined(_area(drawn.reshape(-1, 2, kinds))) + shift).clip(0, 1)
    )


def _counts(
    places: Int64[np.ndarray, " n"], kinds: int, is_found: Bool[np.ndarray, " n"]
) -> Int64[np.ndarray, "2 kinds"]:
    """How many images have each score, the lowest first: those not found, then those found."""
    return np.stack([np.bincount(places[which], minlength=kinds) for which in (~is_found, is_found)])


def _area(counts: Int64[np.ndarray, "draws 2 kinds"]) -> Float[np.ndarray, " draws"]:
    """The share of pairs in the right order; NaN where there is no pair."""
    missed, found = counts[:, 0], counts[:, 1]
    below = missed.cumsum(axis=1) - missed / 2
    pairs = missed.sum(axis=1) * found.sum(axis=1)
    ordered = (found * below).sum(axis=1)
    return np.asarray(np.divide(ordered, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _defined(areas: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " defined"]:
    return np.asarray(areas[~np.isnan(areas)])
