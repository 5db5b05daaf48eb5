"""Predictions with the class of the folder that an image lies in, instead of the predicted class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal, get_args

from wsol.data.readers.class_folders import GivenClasses
from wsol.errors import WsolError
from wsol.predictions.records import Prediction, Predictions
from wsol.text import number_of

Outcome = Literal["changed", "agreed", "chosen", "kept"]
"""The folder has another class than predicted; the same; another than a reviewer chose, which is kept; no class, or
one without objects, while the image has a box."""


def folder_classes(predictions: Predictions) -> GivenClasses:
    """The classes by folder of all predicted images, including those that a review left out.

    Args:
        predictions: the predictions, reviewed or not.

    Returns:
        The class of each image by its path.
    """
    everything = replace(predictions, edit=None)
    return GivenClasses(
        (prediction.image for prediction in everything), predictions.class_names, predictions.image_root.name
    )


def with_folder_classes(predictions: Predictions, classes: GivenClasses, chosen: Collection[str]) -> Predictions:
    """The same predictions, reviewed or not, with the class of each image's folder if that is a class of the run.

    A box never gets the class of a folder whose images contain no object.

    Args:
        predictions: the predictions.
        classes: the classes by folder.
        chosen: paths of the images whose class a reviewer chose; they keep it.

    Returns:
        The predictions with other labels and class names.
    """
    before = predictions.edit

    def edit(prediction: Prediction) -> Prediction | None:
        edited = prediction if before is None else before(prediction)
        if edited is None or edited.image in chosen:
            return edited
        name = _folder_class(edited, predictions, classes)
        if name is None:
            return edited
        return replace(edited, label=predictions.class_names.index(name), class_name=name)

    return replace(predictions, edit=edit)


def count_outcomes(predictions: Predictions, classes: GivenClasses, chosen: Collection[str]) -> Counter[Outcome]:
    """Count the outcomes of `with_folder_classes`.

    Args:
        predictions: the predictions before that.
        classes: the classes by folder.
        chosen: paths of the images whose class a reviewer chose.

    Returns:
        The number of images of each outcome.

    Raises:
        WsolError: an object has neither a predicted class nor one by its folder.
    """
    outcomes: Counter[Outcome] = Counter(dict.fromkeys(get_args(Outcome), 0))
    for prediction in predictions:
        name = _folder_class(prediction, predictions, classes)
        if name is None and prediction.objects and prediction.class_name is None:
            raise _no_class(prediction, predictions, classes.of(prediction.image))
        outcomes[_outcome(name, prediction, chosen)] += 1
    return outcomes


def _folder_class(prediction: Prediction, predictions: Predictions, classes: GivenClasses) -> str | None:
    name = classes.of(prediction.image)
    return None if prediction.objects and name in predictions.no_object else name


def _no_class(prediction: Prediction, predictions: Predictions, folder: str | None) -> WsolError:
    if folder is not None:
        return WsolError(
            f"{prediction.image!r} has a box, lies in the folder of a class without objects ({folder}), and the run"
            " predicts no classes",
            expected="no box there",
            remedy="Mark the image as `Nothing here` in `wsol review` and add --reviewed, or move it.",
        )
    return WsolError(
        f"{prediction.image!r} lies in no folder named like a class, and the run predicts no classes",
        expected=f"folders like {', '.join(predictions.class_names[:3])}",
        remedy="Move the image, or leave out --classes folder.",
    )


def _outcome(name: str | None, prediction: Prediction, chosen: Collection[str]) -> Outcome:
    if name is None:
        return "kept"
    if name == prediction.class_name:
        return "agreed"
    return "chosen" if prediction.image in chosen else "changed"


_KEEPS = "keeps its own since no folder of its path is named like a class of objects"
_KEEP = "keep theirs since no folder of their paths is named like a class of objects"


def describe_outcomes(outcomes: Mapping[Outcome, int]) -> str:
    """The number of images of each outcome, in a sentence."""
    return (
        f"Classes by folder: {number_of(outcomes['changed'], 'image')} changed to the folder's class,"
        f" {outcomes['agreed']} had that class already, {number_of(outcomes['chosen'], 'keeps', 'keep')} the one that a"
        f" reviewer chose, {number_of(outcomes['kept'], _KEEPS, _KEEP)}."
    )
