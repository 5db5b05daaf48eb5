"""Several classes in one image: which of them are there, and the map of each.

A class-agnostic map is divided between the classes: each position goes to the class with the most evidence there. The
evidence is the class activation map of the classifier (Zhou et al. 2016, Eq. 2), before any normalisation, since the
maps of different classes are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

from wsol.inference.outputs import Heatmap

PRESENT = 0.5
"""A class with a higher probability is in the image: for it, more is said than against it."""


def labels_present(
    probabilities: Float[np.ndarray, "batch classes"], no_object: Collection[int] = ()
) -> list[list[int]]:
    """Return the labels of the objects in each image, the most probable first.

    Args:
        probabilities: of each class to be in the image.
        no_object: labels of the classes whose images contain no object.

    Returns:
        The classes with a probability above one half; if there are none, the most probable one. Classes without an
        object are never among them.
    """
    scores = np.nan_to_num(probabilities, nan=-1.0)
    scores[:, [*no_object]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")
    return [
        [int(label) for number, label in enumerate(own) if row[label] > PRESENT or number == 0]
        for own, row in zip(order, scores, strict=True)
    ]


def divided(
    heatmap: Heatmap, evidence: Float32[np.ndarray, "classes _ _"], labels: Sequence[int]
) -> Mapping[int, Heatmap]:
    """Divide a class-agnostic map between classes.

    Args:
        heatmap: foreground probability of each position.
        evidence: class activation map of every class, on any grid.
        labels: the classes.

    Returns:
        The map of each label: the heatmap where this class has the most evidence of all `labels`, else 0.
    """
    if len(labels) == 1:
        return {labels[0]: heatmap}
    height, width = heatmap.shape
    finer = [cv2.resize(evidence[label], (width, height), interpolation=cv2.INTER_LINEAR) for label in labels]
    best = np.argmax(np.stack(finer), axis=0)
    return {label: np.where(best == number, heatmap, np.float32(0)) for number, label in enumerate(labels)}
