"""Choose the salient part of each image that is the object, by a model of all images together.

The class evidence of a part alone is unreliable: a distractor that is in every image has some evidence of some class.
But it is rejected in most images, and looks the same in all. So a linear model learns to separate chosen from rejected
parts, chooses again, and is trained again: multiple instance learning (Andrews et al. 2003, mi-SVM), where each image
is a bag with one positive part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from wsol.methods.evidence import leave_one_out

Vector = Float64[np.ndarray, " channels"]

ROUNDS = 5
PENALTY = 1.0
"""Weight of the squared weights, as a fraction of the mean squared distance of a part's features from their mean."""
EVIDENCE_WEIGHT = 0.3
"""Weight of the evidence relative to the model, whose targets for chosen and rejected parts differ by 1
(studies/cues.md)."""


@dataclass(frozen=True)
class Parts:
    """The salient parts of some images."""

    features: Float64[np.ndarray, "parts channels"]
    """Mean features of each part."""
    evidence: Float64[np.ndarray, " parts"]
    """Evidence of the image's class, as a fraction of the highest in the image; 0 if there is none."""
    images: Int64[np.ndarray, " parts"]
    """Image index of each part, ascending."""

    def __add__(self, other: Parts) -> Parts:
        both = (np.concatenate(two) for two in zip(vars(self).values(), vars(other).values(), strict=True))
        return Parts(*both)


class PartModel(NamedTuple):
    """A linear layer on features."""

    weight: Vector
    bias: float


def part_model(parts: Parts) -> PartModel:
    """Fit the model that separates chosen parts from rejected ones; zero if no image has several parts."""
    counts = np.bincount(parts.images, minlength=1)
    kept = counts[parts.images] > 1
    features, evidence = parts.features[kept], parts.evidence[kept]
    _, images = np.unique(parts.images[kept], return_inverse=True)
    if not len(features):
        return PartModel(np.zeros(parts.features.shape[1]), 0.0)
    mean = features.mean(0)
    gram = (features - mean) @ (features - mean).T
    inverse = np.linalg.inv(gram + max(PENALTY * np.trace(gram) / len(gram), 1e-12) * np.eye(len(gram)))
    is_chosen = _first_of_each(evidence, images)
    for _ in range(ROUNDS):
        targets = is_chosen - is_chosen.mean()
        is_chosen = _first_of_each(leave_one_out(gram, inverse, targets) + EVIDENCE_WEIGHT * evidence, images)
    targets = is_chosen - is_chosen.mean()
    weight = (features - mean).T @ (inverse @ targets)
    return PartModel(weight, float(-weight @ mean))


def _first_of_each(
    strength: Float64[np.ndarray, " parts"], images: Int64[np.ndarray, " parts"]
) -> Bool[np.ndarray, " parts"]:
    """The strongest part of each image; the first of equal ones."""
    order = np.lexsort((np.arange(len(images)), -strength, images))
    _, first = np.unique(images[order], return_index=True)
    is_first = np.zeros(len(images), dtype=bool)
    is_first[order[first]] = True
    return is_first
