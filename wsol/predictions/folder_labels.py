"""Predictions with the classes that people gave: the folder's that an image lies in, in place of the predicted one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal, get_args

from wsol.data.readers.class_folders import GivenClasses
from wsol.errors import WsolError
from wsol.predictions.records import Prediction, Predictions
from wsol.text import number_of

Fate = Literal["changed", "agreed", "chosen", "kept"]
"""The folder names another class; the same; another than a reviewer chose, who wins; none."""


def given_classes(predictions: Predictions) -> GivenClasses:
    """What the folders of all images say, of those too that a review left out."""
    whole = replace(predictions, mend=None)
    return GivenClasses(
        (prediction.image for prediction in whole), predictions.class_names, predictions.image_root.name
    )


def with_given_classes(predictions: Predictions, given: GivenClasses, chosen: Collection[str]) -> Predictions:
    """The same predictions, reviewed or not, with the class of each image's folder where that is a class of the run.

    Images of `chosen` keep the class that a reviewer chose.
    """
    before = predictions.mend

    def mend(prediction: Prediction) -> Prediction | None:
        left = prediction if before is None else before(prediction)
        if left is None or left.image in chosen:
            return left
        name = given.of(left.image)
        if name is None:
            return left
        return replace(left, label=predictions.class_names.index(name), class_name=name)

    return replace(predictions, mend=mend)


def tally_given(predictions: Predictions, given: GivenClasses, chosen: Collection[str]) -> Counter[Fate]:
    """Count what `with_given_classes` makes of the images.

    Raises:
        WsolError: an object has neither a predicted class nor one by its folder.
    """
    fates: Counter[Fate] = Counter(dict.fromkeys(get_args(Fate), 0))
    for prediction in predictions:
        name = given.of(prediction.image)
        if name is None and prediction.objects and prediction.class_name is None:
            raise WsolError(
                f"{prediction.image!r} lies in no folder named like a class, and this run predicts none",
                expected=f"folders like {', '.join(predictions.class_names[:3])}",
                remedy="Move the image, or leave out --classes folder.",
            )
        fates[_fate(name, prediction, chosen)] += 1
    return fates


def _fate(name: str | None, prediction: Prediction, chosen: Collection[str]) -> Fate:
    if name is None:
        return "kept"
    if name == prediction.class_name:
        return "agreed"
    return "chosen" if prediction.image in chosen else "changed"


_KEEPS = "keeps its own since no folder of its path is named like a class"
_KEEP = "keep theirs since no folder of theirs is named like a class"


def told(fates: Mapping[Fate, int]) -> str:
    """In a sentence."""
    return (
        f"Classes by folder: {number_of(fates['changed'], 'image')} changed to the folder's class, {fates['agreed']}"
        f" had that class already, {number_of(fates['chosen'], 'keeps', 'keep')} the one that a reviewer chose,"
        f" {number_of(fates['kept'], _KEEPS, _KEEP)}."
    )
