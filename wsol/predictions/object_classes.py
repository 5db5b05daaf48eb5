"""The classes of objects: without those whose images contain no object, such as `good`, unless a box has that class."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from wsol.predictions.records import Prediction, Predictions


def labels_without_objects(predictions: Predictions) -> frozenset[int]:
    """The labels of `predictions.no_object` that no object has.

    Args:
        predictions: the predictions, as they will be exported.

    Returns:
        Labels of classes that are no class of an object.
    """
    used = {one.label_of(found) for one in predictions for found in one.objects}
    return frozenset(
        label
        for label, name in enumerate(predictions.class_names)
        if name in predictions.no_object and label not in used
    )


def without_labels(predictions: Predictions, labels: Collection[int]) -> Predictions:
    """The same predictions without some classes that no object has.

    Args:
        predictions: the predictions.
        labels: the classes to remove.

    Returns:
        The predictions with fewer class names and labels that count these. An image of a removed class keeps its class
        name, and has no label. If no class is left, the only one is "object".
    """
    if not labels:
        return predictions
    kept = [label for label in range(len(predictions.class_names)) if label not in labels]
    new_labels = {label: number for number, label in enumerate(kept)}
    before = predictions.edit

    def edit(prediction: Prediction) -> Prediction | None:
        edited = prediction if before is None else before(prediction)
        if edited is None or edited.label is None:
            return edited
        objects = tuple(
            one if one.label is None else replace(one, label=new_labels.get(one.label)) for one in edited.objects
        )
        return replace(edited, label=new_labels.get(edited.label), objects=objects)

    class_names = tuple(predictions.class_names[label] for label in kept) or ("object",)
    return replace(predictions, class_names=class_names, edit=edit)
