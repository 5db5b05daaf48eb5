"""The images under review and the decisions about them, for any number of browser windows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wsol.data.readers.class_folders import GivenClasses
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import Prediction, Predictions
from wsol.predictions.review_journal import Decision, Journal, Verdict, has_chosen_class
from wsol.text import number_of

MAX_BOXES = 1000
"""Largest number of boxes in one image, more than a person draws."""

LIKELY_CLASSES, LIKELY_PROBABILITY = 3, 0.1
"""The list of classes begins with at most this many likely ones; all but the first need at least this probability."""


class StaleDecision(Exception):
    """Another window decided about the image after the requesting window last read it."""


@dataclass(frozen=True)
class Item:
    """A predicted image as the page shows it; masks are not kept in memory."""

    image: str
    image_hw: tuple[int, int]
    boxes: tuple[Xyxy, ...]
    scores: tuple[float, ...]
    class_name: str | None
    likely: tuple[str, ...]

    @classmethod
    def of(cls, prediction: Prediction) -> Item:
        """Take what the page needs from a prediction."""
        return cls(
            prediction.image,
            prediction.image_hw,
            tuple(one.xyxy for one in prediction.objects),
            tuple(one.score for one in prediction.objects),
            prediction.class_name,
            tuple(
                name
                for rank, (name, probability) in enumerate(prediction.top5[:LIKELY_CLASSES])
                if rank == 0 or probability >= LIKELY_PROBABILITY
            ),
        )

    @property
    def confidence(self) -> float:
        """The lowest score of the image's objects; 0 if it has none."""
        return min(self.scores, default=0.0)


@dataclass(frozen=True)
class DecisionRequest:
    """A decision sent by a window; `base` is the number of the last decision about the image that it has read, or 0.

    Without boxes, unless it is rejected, the image is without an object.
    """

    image: int
    base: int
    is_rejected: bool
    boxes: tuple[Xyxy, ...]
    class_name: str | None
    session: str
    id: str
    is_class_chosen: bool = False
    """Whether a person chose the class, even if it is the predicted one."""


class ReviewSession:
    """Holds the state of a review in memory; each decision is written to the journal before it is confirmed."""

    def __init__(self, predictions: Predictions, journal: Journal, sample: Sequence[str] | None = None) -> None:
        """Read the predictions and replay the journal.

        Args:
            predictions: the predictions to review.
            journal: earlier decisions; new ones are appended.
            sample: names of the images to show, in order; by default all images, lowest score first.
        """
        self.image_root: Path = predictions.image_root
        self.decoding = predictions.image
        self.items = tuple(map(Item.of, predictions))
        has_classes = any(item.class_name is not None for item in self.items)
        self._all_classes = predictions.class_names if has_classes else ()
        self.no_object = tuple(sorted(predictions.no_object))
        """Classes whose images contain no object."""
        self.class_names = tuple(name for name in self._all_classes if name not in self.no_object)
        """Classes of objects, from which a person chooses."""
        # Folders show whether images have an object also if the run predicts no classes.
        by_folder = self._all_classes or self.no_object
        self._folder_classes = GivenClasses((item.image for item in self.items), by_folder, self.image_root.name)
        self._journal = journal
        self._lock = threading.Lock()
        self._index = {item.image: i for i, item in enumerate(self.items)}
        self.is_sample = sample is not None
        self.order = (
            sorted(range(len(self.items)), key=lambda i: self.items[i].confidence)
            if sample is None
            else [self._index[image] for image in sample]
        )
        self._shown = frozenset(self.order)
        self._current: dict[int, Decision] = {}
        self._history: dict[int, list[Decision]] = {}
        self._by_number: dict[int, Decision] = {}
        self._by_id: dict[str, Decision] = {}
        self._undone: set[int] = set()
        self.unknown = sum(decision.image not in self._index for decision in journal.decisions)
        """Number of decisions about images that are not among these predictions; they stay in the journal."""
        self.last_before_start = journal.decisions[-1].number if journal.decisions else 0
        for decision in journal.decisions:
            self._note(decision)

    def _note(self, decision: Decision) -> None:
        self._by_number[decision.number] = decision
        self._by_id[decision.id] = decision
        if decision.undoes is not None:
            self._undone.add(decision.undoes)
        index = self._index.get(decision.image)
        if index is not None and decision.image_hw == self.items[index].image_hw:
            self._current[index] = decision
            self._history.setdefault(index, []).append(decision)

    def index_of(self, image: str) -> int:
        """Index of an image.

        Args:
            image: its name.

        Returns:
            Its position in `items`.
        """
        return self._index[image]

    @property
    def last_number(self) -> int:
        """Number of the newest decision; 0 if there is none."""
        return self._journal.decisions[-1].number if self._journal.decisions else 0

    def verdict(self, index: int) -> Verdict:
        """The current verdict about an image.

        Args:
            index: its position in `items`.

        Returns:
            The verdict.
        """
        head = self._current.get(index)
        return head.verdict if head else "undecided"

    def image(self, index: int) -> dict[str, Any]:
        """Everything that the page shows of an image, as JSON values.

        Args:
            index: its position in `items`.

        Returns:
            Fields by name; boxes are x0, y0, x1, y1 in pixels.
        """
        item, head = self.items[index], self._current.get(index)
        folder_class = self._folder_classes.of(item.image)
        is_empty = folder_class in self.no_object
        return {
            "index": index,
            "image": item.image,
            "image_hw": item.image_hw,
            "predicted_boxes": item.boxes,
            "scores": item.scores,
            "predicted_class": item.class_name,
            "likely": item.likely,
            "given_class": None if is_empty else folder_class,
            "given_empty": folder_class if is_empty else None,
            "version": head.number if head else 0,
            "verdict": self.verdict(index),
            "boxes": head.boxes if head else item.boxes,
            "class_name": head.class_name if head else item.class_name,
            "is_class_chosen": self._is_class_chosen(index),
        }

    def changes(self, since: int) -> list[dict[str, Any]]:
        """List the images that have changed.

        Args:
            since: number of the last decision that the window has read.

        Returns:
            Index, version and verdict of each image with a later decision.
        """
        with self._lock:
            changed: dict[int, Decision] = {}
            for decision in reversed(self._journal.decisions):
                if decision.number <= since:
                    break
                index = self._index.get(decision.image)
                if index is not None:
                    changed.setdefault(index, decision)
            return [{"index": index, "version": one.number, "verdict": one.verdict} for index, one in changed.items()]

    def decide(self, request: DecisionRequest) -> Decision:
        """Write a decision; a request that is repeated with the same id is not written again.

        Args:
            request: the decision.

        Returns:
            The decision in the journal.

        Raises:
            WsolError: the image, the class or a box is not valid.
            StaleDecision: another window has decided about the image first.
            OSError: the journal cannot be written.
        """
        with self._lock:
            if request.id in self._by_id:
                return self._by_id[request.id]
            item = self._item(request.image)
            self._check(request, item)
            head = self._current.get(request.image)
            if request.base != (head.number if head else 0):
                raise StaleDecision
            verdict = _verdict(request, item)
            is_other = request.class_name not in (item.class_name, None)
            is_chosen = request.is_class_chosen or is_other or self._is_class_chosen(request.image)
            return self._write(
                item, verdict, request.boxes, request.class_name, is_chosen, request.session, request.id, head, None
            )

    def undo(self, session: str, id: str) -> Decision | None:
        """Undo the last decision of a window or, if it has none, the last one made before the server started.

        Only a current decision can be undone: not one that another window has replaced since.

        Args:
            session: id of the window.
            id: id of the request; a repeated request is not written again.

        Returns:
            The new decision that restores the state before, or None if there is nothing to undo.

        Raises:
            OSError: the journal cannot be written.
        """
        with self._lock:
            if id in self._by_id:
                return self._by_id[id]
            undone = self._last_of(session) or self._last_of(None)
            if undone is None:
                return None
            index = self._index[undone.image]
            item, head = self.items[index], self._current[index]
            before = self._by_number.get(undone.supersedes or 0)
            state = (
                (before.verdict, before.boxes, before.class_name)
                if before
                else ("undecided", item.boxes, item.class_name)
            )
            is_chosen = self._is_class_chosen(index, without=undone)
            return self._write(item, *state, is_chosen, session, id, head, undone.number)

    def _last_of(self, session: str | None) -> Decision | None:
        for decision in reversed(self._journal.decisions):
            is_asked = decision.number <= self.last_before_start if session is None else decision.session == session
            if not is_asked or decision.undoes is not None or decision.number in self._undone:
                continue
            index = self._index.get(decision.image)
            if (
                index in self._shown
                and index in self._current
                and self._effective_number(self._current[index]) == decision.number
            ):
                return decision
        return None

    def _effective_number(self, decision: Decision | None) -> int:
        """Number of the effective decision: an undo counts as the decision before the one that it undid."""
        while decision is not None and decision.undoes is not None:
            undone = self._by_number.get(decision.undoes)
            decision = self._by_number.get(undone.supersedes or 0) if undone else None
        return decision.number if decision else 0

    def _is_class_chosen(self, index: int, without: Decision | None = None) -> bool:
        decisions = [one for one in self._history.get(index, []) if one is not without]
        return has_chosen_class(decisions, self.items[index].class_name)

    def _write(
        self,
        item: Item,
        verdict: Verdict,
        boxes: tuple[Xyxy, ...],
        class_name: str | None,
        is_class_chosen: bool,
        session: str,
        id: str,
        head: Decision | None,
        undoes: int | None,
    ) -> Decision:
        decision = Decision(
            self.last_number + 1,
            item.image,
            item.image_hw,
            verdict,
            boxes,
            class_name,
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            session,
            id,
            head.number if head else None,
            undoes,
            is_class_chosen,
        )
        self._journal.append(decision)
        self._note(decision)
        return decision

    def _item(self, index: int) -> Item:
        if not 0 <= index < len(self.items):
            raise WsolError(
                "no such image",
                expected=f"a number from 0 to {len(self.items) - 1}",
                got=f"{index}",
                remedy="Reload the page.",
            )
        return self.items[index]

    def _check(self, request: DecisionRequest, item: Item) -> None:
        if len(request.boxes) > MAX_BOXES:
            raise WsolError(
                "too many boxes", expected=f"at most {MAX_BOXES}", got=f"{len(request.boxes)}", remedy="Delete some."
            )
        for box in request.boxes:
            if box not in item.boxes:  # predicted boxes are accepted unchecked
                _check_box(box, item.image_hw)
        needs_class = self.class_names and request.boxes and not request.is_rejected
        if request.class_name is None and not needs_class and not request.is_class_chosen:
            return
        if request.class_name not in (*self._all_classes, item.class_name) or request.class_name is None:
            raise WsolError(
                "unknown class",
                expected=f"one of the {number_of(len(self.class_names), 'class')}",
                got=f"{request.class_name!r}",
                remedy="Choose a class (c).",
            )


def _verdict(request: DecisionRequest, item: Item) -> Verdict:
    if request.is_rejected:
        return "rejected"
    if not request.boxes:
        return "empty"
    is_as_predicted = request.boxes == item.boxes and request.class_name == item.class_name
    return "accepted" if is_as_predicted else "corrected"


def _check_box(box: Sequence[float], image_hw: tuple[int, int]) -> None:
    (x0, y0, x1, y1), (height, width) = box, image_hw
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):  # false for NaN as well
        raise WsolError(
            "invalid box",
            expected=f"a box with an area inside {width} x {height} pixels",
            got=f"{x0:g},{y0:g},{x1:g},{y1:g}",
            remedy="Draw it again.",
        )
