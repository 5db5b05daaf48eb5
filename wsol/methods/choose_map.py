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
from jaxtyping import Float, Float64, Shaped
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
    targets: Shaped[np.ndarray, images * classes]
    """Label of each image, or 1 for each of several labels (`class_targets`)."""

    def __add__(self, other: Regions) -> Regions:
        both = (np.concatenate(two) for two in zip(vars(self).values(), vars(other).values(), strict=True))
        return Regions(*both)

    def is_rare_better(self) -> bool:
        """Whether the regions of what is rare show the classes better; false if there is only one class."""
        if not varying_columns(self.targets).size:
            return False
        common, rare, whole = (label_error(one, self.targets) for one in (self.common, self.rare, self.whole))
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


def varying_columns(
    targets: Shaped[np.ndarray, images * classes],
) -> Float64[np.ndarray, "images columns"]:
    """Return one column for each class that some of the images have, 1 for its images; none if all images are alike.

    Args:
        targets: label of each image, or 1 for each of its labels.
    """
    columns = targets[:, None] == np.unique(targets) if targets.ndim == 1 else targets > 0
    return columns[:, columns.any(0) & ~columns.all(0)].astype(np.float64)


def label_error(
    features: Float64[np.ndarray, "images channels"], targets: Shaped[np.ndarray, images * classes]
) -> float:
    """Return the mean squared error with which the labels of each image are predicted from the others, as a fraction
    of the error of the mean.

    Args:
        features: one row an image.
        targets: label of each image, or 1 for each of its labels; not the same for all.
    """
    columns = varying_columns(targets)
    columns -= columns.mean(0)
    centred = features - features.mean(0)
    gram = centred @ centred.T
    penalty = max(PENALTY * np.trace(gram) / len(gram), 1e-12)
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    errors = [column - leave_one_out(gram, inverse, column) for column in columns.T]
    return float(np.square(errors).sum() / np.square(columns).sum())
