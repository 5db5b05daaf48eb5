"""Which of an image's salient parts is the object, learned from all images together.

Labels tell it part by part and err often: of a distractor that is in every image some class always says a little. But
the distractor is refused in most images and looks the same in all. So a linear model learns what chosen parts have that
refused ones have not, chooses
anew, and learns again: multiple instance learning (Andrews et al. 2003, mi-SVM), each image a bag with one positive
part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

Vector = Float64[np.ndarray, " channels"]

ROUNDS = 5
PENALTY = 1.0
"""Of the squared weights, as a share of the mean squared distance of a part's features from the mean part's."""
EVIDENCE_SHARE = 0.3
"""What the strongest evidence in an image is worth beside the model, for which chosen and refused parts are 1 apart
(studies/cues.md)."""


@dataclass(frozen=True)
class Parts:
    """The salient parts of some images."""

    features: Float64[np.ndarray, "parts channels"]
    """Mean over the part."""
    evidence: Float64[np.ndarray, " parts"]
    """Of the image's class, as a share of the strongest in the image; 0 where there is none."""
    images: Int64[np.ndarray, " parts"]
    """The number of the image, ascending."""

    def __add__(self, other: Parts) -> Parts:
        both = (np.concatenate(two) for two in zip(vars(self).values(), vars(other).values(), strict=True))
        return Parts(*both)


class PartModel(NamedTuple):
    """A linear layer on features."""

    weight: Vector
    bias: float


def part_model(parts: Parts) -> PartModel:
    """What parts have in common that are chosen where there are several; zero where no image has more than one."""
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
        is_chosen = _first_of_each(of_others(gram, inverse, targets) + EVIDENCE_SHARE * evidence, images)
    targets = is_chosen - is_chosen.mean()
    weight = (features - mean).T @ (inverse @ targets)
    return PartModel(weight, float(-weight @ mean))


def of_others(
    gram: Float64[np.ndarray, "parts parts"],
    inverse: Float64[np.ndarray, "parts parts"],
    targets: Float64[np.ndarray, " parts"],
) -> Float64[np.ndarray, " parts"]:
    """What ridge regression says of each part when it has learned from the others (Allen 1974): a choice must not
    confirm itself.

    `inverse` is that of the features' products, `gram`, with the penalty on its diagonal.
    """
    hat = gram @ inverse
    return np.asarray(targets - (targets - hat @ targets) / (1 - np.diag(hat)))


def _first_of_each(
    strength: Float64[np.ndarray, " parts"], images: Int64[np.ndarray, " parts"]
) -> Bool[np.ndarray, " parts"]:
    """The strongest part of each image; of equal ones the first."""
    order = np.lexsort((np.arange(len(images)), -strength, images))
    _, first = np.unique(images[order], return_index=True)
    found = np.zeros(len(images), dtype=bool)
    found[order[first]] = True
    return found
