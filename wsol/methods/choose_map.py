"""Choose between two maps by the labels: the map whose salient regions show better which class an image has.

What all images have in common is the object if objects are large, and the surface if they are small; what is rare is
then the object. The mean features of the salient region of each image are classified by ridge regression (Hoerl &
Kennard 1970). What is rare is chosen if its leave-one-out error (Allen 1974) is smaller, and either half as large or
what is common shows the classes no better than the whole image does. A smaller error alone is not enough: the rarest
part of an animal may show its class better than the whole animal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.methods.evidence import leave_one_out
from wsol.models.features import Features

PENALTY = 0.1
"""Weight of the squared weights, as a fraction of the mean squared distance of a region's features from their mean.
0.01 and 1 choose the same on five sets (studies/surfaces.md)."""
CLEARLY = 0.5
"""An error of less than this fraction is clearly smaller (studies/surfaces.md)."""


@dataclass(frozen=True)
class Regions:
    """Mean features of some images: of the salient region by each of the two maps, and of the whole image."""

    common: Float64[np.ndarray, "images channels"]
    rare: Float64[np.ndarray, "images channels"]
    whole: Float64[np.ndarray, "images channels"]
    labels: Int64[np.ndarray, " images"]

    def __add__(self, other: Regions) -> Regions:
        both = (np.concatenate(two) for two in zip(vars(self).values(), vars(other).values(), strict=True))
        return Regions(*both)

    def is_rare_better(self) -> bool:
        """Whether the regions of what is rare show the classes better; false if there is only one class."""
        if len(np.unique(self.labels)) < 2:
            return False
        common, rare, whole = (label_error(one, self.labels) for one in (self.common, self.rare, self.whole))
        return rare < CLEARLY * common or (rare < common and whole < common)


def region_means(
    salience: Float[Tensor, "batch finer_height finer_width"], roots: Features
) -> Float64[np.ndarray, "batch channels"]:
    """Return the mean features of the region in which a map is above 0.5; zeros if there is none.

    Args:
        salience: a map of each image.
        roots: square roots of the features.
    """
    inside = interpolate((salience > 0.5).float()[:, None], roots.shape[2:], mode="area")
    sums, areas = (roots * inside).sum((2, 3)), inside.sum((2, 3))
    return np.asarray((sums / areas.clamp(min=torch.finfo(torch.float32).tiny)).double().cpu().numpy())


def label_error(features: Float64[np.ndarray, "images channels"], labels: Int64[np.ndarray, " images"]) -> float:
    """Return the mean squared error with which the label of each image is predicted from the others, as a fraction of
    the error of the mean.

    Args:
        features: one row an image.
        labels: of at least two classes.
    """
    targets = (labels[:, None] == np.unique(labels)).astype(np.float64)
    targets -= targets.mean(0)
    centred = features - features.mean(0)
    gram = centred @ centred.T
    penalty = max(PENALTY * np.trace(gram) / len(gram), 1e-12)
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    errors = [column - leave_one_out(gram, inverse, column) for column in targets.T]
    return float(np.square(errors).sum() / np.square(targets).sum())
