"""Images without an object: what is found in them, and which class they get."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from wsol.inference.outputs import Outputs


def without_objects(outputs: Outputs, is_empty: Bool[np.ndarray, " batch"]) -> Outputs:
    """Remove what was found in some images: their maps become 0, and their boxes NaN.

    Args:
        outputs: of a batch.
        is_empty: whether an image has no object.
    """
    heatmaps = None if outputs.heatmaps is None else np.where(is_empty[:, None, None], np.float32(0), outputs.heatmaps)
    boxes = None if outputs.boxes is None else np.where(is_empty[:, None], np.float32(np.nan), outputs.boxes)
    of_classes = outputs.of_classes
    if of_classes is not None:
        of_classes = [{} if empty else own for own, empty in zip(of_classes, is_empty, strict=True)]
    return replace(outputs, heatmaps=heatmaps, boxes=boxes, of_classes=of_classes)


def labels_of(names: Collection[str], class_names: Sequence[str]) -> frozenset[int]:
    """The labels of some classes; names that are no classes are ignored.

    Args:
        names: of the classes.
        class_names: of all classes, by label.
    """
    return frozenset(label for label, name in enumerate(class_names) if name in names)


def predicted_empty(
    probabilities: Float[np.ndarray, "batch classes"], no_object: Collection[int]
) -> Bool[np.ndarray, " batch"]:
    """Whether the most probable class of each image is one without an object."""
    return np.isin(probabilities.argmax(1), [*no_object])


def possible(
    probabilities: Float[np.ndarray, " classes"], no_object: Collection[int], *, has_object: bool
) -> Float[np.ndarray, " classes"]:
    """Set the probabilities of impossible classes to -1: an image with an object has a class with objects, and an image
    in which nothing was found has another, if there is one.

    Args:
        probabilities: of each class.
        no_object: labels of the classes without an object.
        has_object: whether anything was found.
    """
    is_without = np.isin(np.arange(len(probabilities)), [*no_object])
    return np.where(is_without == has_object, -1.0, probabilities) if is_without.any() else probabilities
