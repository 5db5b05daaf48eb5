"""PxAP: the area under the precision-recall curve of pixels (Choe et al. 2020, sec. 3.2), as clovaai/wsolevaluation
computes it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped, UInt16

from wsol.data.ground_truth import GroundTruthMask
from wsol.metrics.bootstrap import Rate, interval

Counts = UInt16[np.ndarray, "2 bins"]
"""Numbers of pixels by score, lowest first, of the object and of the rest. Counts of 224 x 224 pixels fit 16 bits."""


def score_counts(
    scores: Float[np.ndarray, "h w"], ground_truth_mask: GroundTruthMask, thresholds: Float[np.ndarray, " thresholds"]
) -> Counts:
    """Count the pixels of the object, and of the rest, between one threshold and the next; ignored pixels are left out.

    Args:
        scores: the map, height x width.
        ground_truth_mask: of the same size.
        thresholds: ascending.
    """
    edges = np.append(thresholds, [1.0, 2.0, 3.0])
    kinds = (ground_truth_mask.is_object, ~ground_truth_mask.is_object & ~ground_truth_mask.is_ignored)
    return np.stack([np.histogram(scores[kind], edges)[0] for kind in kinds]).astype(np.uint16)


def pixel_average_precision(counts: UInt16[np.ndarray, "n 2 bins"]) -> Rate | None:
    """PxAP over the pixels of all images in percent, with its interval; None if no pixel belongs to an object.

    It is the sum over thresholds of precision times the step in recall (`MaskEvaluator` in wsolevaluation).

    Args:
        counts: of `score_counts`, one per image.
    """
    n = len(counts)
    if not counts[:, 0].any():
        return None
    flat = counts.reshape(n, -1).astype(np.float32)
    value = _area(counts.sum(axis=0, dtype=np.int64)[None])[0]
    return interval(
        float(value),
        np.ones(n, dtype=np.int64),
        lambda drawn: _area((drawn.astype(np.float32) @ flat).reshape(-1, *counts.shape[1:])),
    )


def _area(counts: Shaped[np.ndarray, "draws 2 bins"]) -> Float[np.ndarray, " draws"]:
    true, false = np.moveaxis(counts[..., ::-1].cumsum(axis=2, dtype=np.float64), 1, 0)  # at least this score
    both = true + false
    precision = np.divide(true, both, out=np.zeros_like(true), where=both > 0)
    recall = true / np.maximum(true[:, -1:], 1)
    return np.asarray((precision[:, 1:] * np.diff(recall, axis=1)).sum(axis=1))
