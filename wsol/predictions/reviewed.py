"""Predictions after a review: accepted, corrected and empty images, without the rejected ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy, iou
from wsol.predictions.records import PredictedObject, Prediction, Predictions, encode
from wsol.predictions.review_journal import JOURNAL_FILE, Decision, Verdict
from wsol.text import number_of

DRAWN_SCORE = 1.0
"""Score of a box that a person drew."""


_IN_WORDS: Mapping[Verdict, str] = {
    "accepted": "accepted",
    "corrected": "corrected",
    "empty": "without an object",
    "rejected": "rejected",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Tally:
    """Number of images of each verdict, and the effect on the predictions."""

    verdicts: Mapping[str, int]
    drawn: int
    """Number of boxes that a person drew or moved; they have no mask."""
    maskless: int
    """Number of images that are left out because masks are needed and one of their boxes has none."""

    def describe(self) -> str:
        """The counts in a sentence."""
        shown = ", ".join(f"{self.verdicts.get(verdict, 0)} {words}" for verdict, words in _IN_WORDS.items())
        return f"{shown}; {number_of(self.drawn, 'box')} drawn or moved by hand"


def reviewed(
    predictions: Predictions, decisions: Mapping[str, Decision], *, with_undecided: bool, needs_masks: bool
) -> Predictions:
    """The predictions with the decisions of a review. Rejected images are left out; an image without an object stays.

    A predicted box keeps its score and mask. A box that was drawn or moved has the score 1 and an empty mask. Where
    objects have classes of their own, it has the class of the predicted box that it overlaps most, else the image's; a
    class that was chosen for the image is that of the objects which had the image's class.

    Args:
        predictions: the predictions as `wsol predict` wrote them.
        decisions: the last decision about each image, by its path.
        with_undecided: whether images without a decision are kept, as predicted.
        needs_masks: leave out images with a box without a mask, since some of their objects would be missing.

    Returns:
        The predictions; iterating raises the error below.

    Raises:
        WsolError: a decision is about an image of another size, or names an unknown class.
    """

    def edit(prediction: Prediction) -> Prediction | None:
        decision = decisions.get(prediction.image)
        if decision is None or decision.verdict == "undecided":
            return prediction if with_undecided else None
        if decision.verdict == "rejected":
            return None
        edited = _decided(prediction, decision, predictions.class_names)
        return None if needs_masks and any(map(is_drawn, edited.objects)) else edited

    return replace(predictions, edit=edit)


def tally(predictions: Predictions, decisions: Mapping[str, Decision], *, needs_masks: bool) -> Tally:
    """Count the effects of `reviewed`; same arguments."""
    verdicts: Counter[str] = Counter()
    drawn = maskless = 0
    for prediction in predictions:
        decision = decisions.get(prediction.image)
        verdicts[decision.verdict if decision else "undecided"] += 1
        if decision and decision.verdict in ("accepted", "corrected"):
            by_hand = sum(map(is_drawn, _decided(prediction, decision, predictions.class_names).objects))
            drawn += by_hand
            maskless += needs_masks and by_hand > 0
    return Tally(verdicts, drawn, maskless)


def is_drawn(one: PredictedObject) -> bool:
    """Whether a person drew the box of an object: it has no mask."""
    return not one.mask().any()


def _decided(prediction: Prediction, decision: Decision, class_names: tuple[str, ...]) -> Prediction:
    if decision.image_hw != prediction.image_hw:
        raise WsolError(
            f"{JOURNAL_FILE}, decision {decision.number}",
            expected=f"an image of (height, width) {prediction.image_hw}",
            got=f"{decision.image_hw} for {prediction.image!r}",
            remedy="The image has changed since its review: review it again.",
        )
    by_box = {one.xyxy: one for one in prediction.objects}
    objects = tuple(by_box.get(box) or _drawn(box, prediction) for box in decision.boxes)
    # None: the run has no classifier, so there was no class to choose.
    if decision.class_name is None or prediction.class_name == decision.class_name:
        return replace(prediction, objects=objects)
    if decision.class_name not in class_names:
        raise WsolError(
            f"{JOURNAL_FILE}, decision {decision.number}",
            expected=f"one of the {number_of(len(class_names), 'class')} in manifest.json",
            got=f"{decision.class_name!r}",
            remedy=f"Fix that line, or review {prediction.image!r} again.",
        )
    label = class_names.index(decision.class_name)
    objects = tuple(
        replace(one, label=label, class_name=decision.class_name)
        if one.label is not None and one.label == prediction.label
        else one
        for one in objects
    )
    return replace(prediction, objects=objects, label=label, class_name=decision.class_name)


def _drawn(box: Xyxy, prediction: Prediction) -> PredictedObject:
    drawn = PredictedObject(box, DRAWN_SCORE, encode(np.zeros(prediction.image_hw, dtype=bool)))
    if not any(one.label is not None for one in prediction.objects):
        return drawn
    overlaps = iou(Boxes.of([box]), Boxes.of([one.xyxy for one in prediction.objects]))[0]
    nearest = prediction.objects[int(overlaps.argmax())]
    return replace(drawn, label=nearest.label, class_name=nearest.class_name) if overlaps.max() > 0 else drawn
