"""Images with several objects: which of the boxes found are right, and the metrics of detection.

A box is right if its IoU with an annotated box that no box of a higher score has taken is at least 0.5; it takes the
one with the highest IoU (as in COCO's evaluation, Lin et al. 2014). Classes are not compared: an image with several
labels is evaluated once for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from wsol.geometry.boxes import Boxes, iou
from wsol.metrics.bootstrap import Rate, interval

RIGHT_IOU = 0.5


@dataclass(frozen=True)
class Detections:
    """The boxes found in an image, and the number of those annotated."""

    scores: Float[np.ndarray, " found"]
    is_right: Bool[np.ndarray, " found"]
    annotated: int


def matched(found: Boxes, scores: Float[np.ndarray, " found"], annotated: Boxes) -> Detections:
    """Compare the boxes found in an image with the annotated ones.

    Args:
        found: the boxes.
        scores: of each, higher is more certain; boxes of equal scores are compared in their order.
        annotated: the annotated boxes in the same pixels.
    """
    overlaps = iou(found, annotated)
    is_right = np.zeros(len(found), dtype=bool)
    for box in np.argsort(-scores, kind="stable"):
        best = int(overlaps[box].argmax()) if len(annotated) else 0
        if len(annotated) and overlaps[box, best] >= RIGHT_IOU:
            is_right[box] = True
            overlaps[:, best] = 0
    return Detections(np.asarray(scores, dtype=float), is_right, len(annotated))


def rates_of_objects(images: Sequence[Detections]) -> dict[str, Rate]:
    """Compute the metrics of detection, in percent with intervals of resampled images.

    Args:
        images: every image, also those without an object.

    Returns:
        `ap_50`, the area under precision over recall at every recall (all points, Everingham et al. 2010 as revised),
        and `recall_50`. Empty if no image has an annotated box.
    """
    annotated = np.array([one.annotated for one in images])
    if not annotated.any():
        return {}
    scores = np.concatenate([one.scores for one in images])
    is_right = np.concatenate([one.is_right for one in images])
    image = np.repeat(np.arange(len(images)), [len(one.scores) for one in images])
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # boxes of equal scores have one step together

    def precision_area(drawn: Int64[np.ndarray, "draws images"]) -> Float[np.ndarray, " draws"]:
        weights = drawn[:, image[order]]
        right = (weights * is_right[order]).cumsum(1)[:, ends]
        both = weights.cumsum(1)[:, ends]
        precision = np.divide(right, both, out=np.zeros(both.shape), where=both > 0)
        best_later = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        steps = np.diff(right, axis=1, prepend=0) / (drawn @ annotated).clip(min=1)[:, None]
        return np.asarray((best_later * steps).sum(1))

    rights = np.array([one.is_right.sum() for one in images])

    def recall(drawn: Int64[np.ndarray, "draws images"]) -> Float[np.ndarray, " draws"]:
        return np.asarray(drawn @ rights / (drawn @ annotated).clip(min=1))

    once = np.ones((1, len(images)), dtype=np.int64)
    return {
        name: interval(float(figure(once)[0]), once[0], figure)
        for name, figure in (("ap_50", precision_area), ("recall_50", recall))
    }


def counts_of_objects(images: Sequence[Detections]) -> dict[str, Float[np.ndarray, " images"]]:
    """Return what is a mean over images, with the value of each in [0, 1].

    Args:
        images: every image.

    Returns:
        `corloc`: whether a box is right (Deselaers et al. 2012), NaN without an annotated box; `count_right` and
        `count_within_one`: whether as many boxes are found as annotated, or one more or less.
    """
    off = np.array([abs(len(one.scores) - one.annotated) for one in images])
    hits = [float(one.is_right.any()) if one.annotated else np.nan for one in images]
    return {
        "corloc": np.array(hits),
        "count_right": (off == 0).astype(float),
        "count_within_one": (off <= 1).astype(float),
    }
