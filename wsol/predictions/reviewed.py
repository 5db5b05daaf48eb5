"""Predictions as a review left them: what was accepted or corrected, without what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import PredictedObject, Prediction, Predictions, encode
from wsol.predictions.review_journal import FILE, Decision
from wsol.text import number_of

DRAWN_SCORE = 1.0
"""Of a box that a person drew."""


@dataclass(frozen=True)
class Tally:
    """How many images of each verdict there are, and what became of them."""

    verdicts: Mapping[str, int]
    drawn: int
    """Boxes that a person drew or moved; they have no mask."""
    maskless: int
    """Images left out since a box of theirs has no mask, where masks are needed."""

    def describe(self) -> str:
        """In a sentence."""
        shown = ", ".join(
            f"{self.verdicts.get(verdict, 0)} {verdict}"
            for verdict in ("accepted", "corrected", "rejected", "undecided")
        )
        return f"{shown}; {number_of(self.drawn, 'box')} drawn or moved by hand"


def reviewed(
    predictions: Predictions, decisions: Mapping[str, Decision], *, with_undecided: bool, needs_masks: bool
) -> Predictions:
    """The same predictions with each image as it was decided; rejected ones are left out, undecided ones too unless
    asked for.

    A box that is still the predicted one keeps its score and mask. One that was drawn or moved has the score 1 and an
    empty mask; where a format `needs_masks`, images with such a box are left out, since half of their objects would be
    missing.

    Raises:
        WsolError: a decision is about an image of another size, or names a class that the predictions do not know.
    """

    def mend(prediction: Prediction) -> Prediction | None:
        decision = decisions.get(prediction.image)
        if decision is None or decision.verdict == "undecided":
            return prediction if with_undecided else None
        if decision.verdict == "rejected":
            return None
        found = _decided(prediction, decision, predictions.class_names)
        return None if needs_masks and any(is_drawn(one) for one in found.objects) else found

    return replace(predictions, mend=mend)


def tally(predictions: Predictions, decisions: Mapping[str, Decision], *, needs_masks: bool) -> Tally:
    """Count what `reviewed` makes of unreviewed predictions."""
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


def is_drawn(found: PredictedObject) -> bool:
    """Whether an object has no mask: a person drew its box."""
    return not found.mask().any()


def _decided(prediction: Prediction, decision: Decision, class_names: tuple[str, ...]) -> Prediction:
    if decision.image_hw != prediction.image_hw:
        raise WsolError(
            f"{FILE}, decision {decision.number}",
            expected=f"an image of (height, width) {prediction.image_hw}",
            got=f"{decision.image_hw} for {prediction.image!r}",
            remedy="The image was another one when it was reviewed: review it again.",
        )
    by_box = {found.xyxy: found for found in prediction.objects}
    objects = tuple(by_box.get(box) or _drawn(box, prediction.image_hw) for box in decision.boxes)
    # Without a classifier there are no classes to choose from.
    if decision.class_name is None or prediction.class_name == decision.class_name:
        return replace(prediction, objects=objects)
    if decision.class_name not in class_names:
        raise WsolError(
            f"{FILE}, decision {decision.number}",
            expected=f"one of the {number_of(len(class_names), 'class')} in manifest.json",
            got=f"{decision.class_name!r}",
            remedy=f"Mend that line, or review {prediction.image!r} again.",
        )
    return replace(
        prediction, objects=objects, label=class_names.index(decision.class_name), class_name=decision.class_name
    )


def _drawn(box: Xyxy, image_hw: tuple[int, int]) -> PredictedObject:
    return PredictedObject(box, DRAWN_SCORE, encode(np.zeros(image_hw, dtype=bool)))
