"""Class scores of images with one label or several (multi-label): targets, loss, probabilities."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from wsol.data.samples import DataSet

Logits = Float[Tensor, "batch classes"]


def class_targets(data: DataSet) -> Tensor:
    """Return what a classifier learns from each training image.

    Args:
        data: the data set.

    Returns:
        The labels (images,), or, if an image has several, 1 for each of its labels and 0 for the others
        (images, classes).
    """
    if not data.is_multi_label:
        return torch.tensor([sample.label for sample in data.train])
    return multi_hot([sample.labels for sample in data.train], len(data.class_names))


def multi_hot(labels: list[tuple[int, ...]], classes: int) -> Float[Tensor, "images classes"]:
    """Return 1 for each label of each image, and 0 for the others.

    Args:
        labels: of each image.
        classes: number of classes.
    """
    targets = torch.zeros(len(labels), classes)
    for row, own in zip(targets, labels, strict=True):
        row[list(own)] = 1
    return targets


def class_loss(logits: Logits, targets: Tensor) -> Tensor:
    """Return the mean loss of a batch: cross entropy, or for several labels the binary cross entropy summed over the
    classes, whose gradients are as large as those of cross entropy.

    Args:
        logits: class scores.
        targets: rows of `class_targets`, on the same device.
    """
    if targets.ndim == 1:
        return cross_entropy(logits, targets)
    return binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


def class_probabilities(logits: Logits, *, multi_label: bool) -> Logits:
    """Return the probability of each class: that it is the image's class, or with several labels one of them."""
    return logits.sigmoid() if multi_label else logits.softmax(1)
