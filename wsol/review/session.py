"""The images under review and what was decided about them, for any number of windows at once."""

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

MOST_BOXES = 1000
"""In one image; more than any person draws."""


MOST_LIKELY, LIKELY = 3, 0.1
"""So many classes head the list of them, and all but the first have so much of the probability: five of six would say
nothing."""


class Stale(Exception):
    """Somebody decided about the image since the window that asks has seen it."""


@dataclass(frozen=True)
class Item:
    """What is shown of a predicted image; its masks are not kept."""

    image: str
    image_hw: tuple[int, int]
    boxes: tuple[Xyxy, ...]
    scores: tuple[float, ...]
    class_name: str | None
    likely: tuple[str, ...]

    @classmethod
    def of(cls, prediction: Prediction) -> Item:
        """Without masks and labels."""
        return cls(
            prediction.image,
            prediction.image_hw,
            tuple(found.xyxy for found in prediction.objects),
            tuple(found.score for found in prediction.objects),
            prediction.class_name,
            tuple(
                name
                for place, (name, share) in enumerate(prediction.top5[:MOST_LIKELY])
                if not place or share >= LIKELY
            ),
        )

    @property
    def confidence(self) -> float:
        """That of the weakest object; 0 where there is none."""
        return min(self.scores, default=0.0)


@dataclass(frozen=True)
class Wish:
    """What a window asks for: `base` is the number of the decision that it saw last about the image, 0 for none."""

    image: int
    base: int
    is_rejected: bool
    boxes: tuple[Xyxy, ...]
    class_name: str | None
    session: str
    id: str
    is_class_chosen: bool = False
    """Whether a person chose the class, be it the predicted one."""


class Desk:
    """Reads once, answers from memory, and writes each decision to the journal before it says yes."""

    def __init__(self, predictions: Predictions, journal: Journal, sample: Sequence[str] | None = None) -> None:
        """`sample` names the images that are shown, in their order; without it all are, the least confident first."""
        self.image_root: Path = predictions.image_root
        self.items = tuple(map(Item.of, predictions))
        has_classes = any(item.class_name is not None for item in self.items)
        self.class_names = predictions.class_names if has_classes else ()
        self._given = GivenClasses((item.image for item in self.items), self.class_names, self.image_root.name)
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
        self._heads: dict[int, Decision] = {}
        self._made: dict[int, list[Decision]] = {}
        self._by_number: dict[int, Decision] = {}
        self._by_id: dict[str, Decision] = {}
        self._undone: set[int] = set()
        self.unknown = sum(decision.image not in self._index for decision in journal.decisions)
        """Decisions about images that are not among these predictions; they stay in the journal."""
        self.begun_with = journal.decisions[-1].number if journal.decisions else 0
        for decision in journal.decisions:
            self._note(decision)

    def _note(self, decision: Decision) -> None:
        self._by_number[decision.number] = decision
        self._by_id[decision.id] = decision
        if decision.undoes is not None:
            self._undone.add(decision.undoes)
        index = self._index.get(decision.image)
        if index is not None and decision.image_hw == self.items[index].image_hw:
            self._heads[index] = decision
            self._made.setdefault(index, []).append(decision)

    def index_of(self, image: str) -> int:
        """The number of an image."""
        return self._index[image]

    @property
    def last_number(self) -> int:
        """That of the newest decision; 0 before the first."""
        return self._journal.decisions[-1].number if self._journal.decisions else 0

    def verdict(self, index: int) -> Verdict:
        """What holds for an image."""
        head = self._heads.get(index)
        return head.verdict if head else "undecided"

    def image(self, index: int) -> dict[str, Any]:
        """Everything that a window shows of an image."""
        item, head = self.items[index], self._heads.get(index)
        return {
            "index": index,
            "image": item.image,
            "image_hw": item.image_hw,
            "predicted_boxes": item.boxes,
            "scores": item.scores,
            "predicted_class": item.class_name,
            "likely": item.likely,
            "given_class": self._given.of(item.image),
            "version": head.number if head else 0,
            "verdict": self.verdict(index),
            "boxes": head.boxes if head else item.boxes,
            "class_name": head.class_name if head else item.class_name,
            "is_class_chosen": self._is_class_chosen(index),
        }

    def changes(self, since: int) -> list[dict[str, Any]]:
        """The images about which something was decided after the decision `since`."""
        with self._lock:
            changed: dict[int, Decision] = {}
            for decision in reversed(self._journal.decisions):
                if decision.number <= since:
                    break
                index = self._index.get(decision.image)
                if index is not None:
                    changed.setdefault(index, decision)
            return [{"index": index, "version": one.number, "verdict": one.verdict} for index, one in changed.items()]

    def decide(self, wish: Wish) -> Decision:
        """Write what a window asks for; what was written before under the same id is not written again.

        Raises:
            WsolError: no such image, class or box.
            Stale: another window was faster.
            OSError: the disk is full, or gone.
        """
        with self._lock:
            if wish.id in self._by_id:
                return self._by_id[wish.id]
            item = self._item(wish.image)
            self._check(wish, item)
            head = self._heads.get(wish.image)
            if wish.base != (head.number if head else 0):
                raise Stale
            is_as_predicted = wish.boxes == item.boxes and wish.class_name == item.class_name
            verdict: Verdict = "rejected" if wish.is_rejected else "accepted" if is_as_predicted else "corrected"
            is_other = wish.class_name not in (item.class_name, None)
            is_chosen = wish.is_class_chosen or is_other or self._is_class_chosen(wish.image)
            return self._write(item, verdict, wish.boxes, wish.class_name, is_chosen, wish.session, wish.id, head, None)

    def undo(self, session: str, id: str) -> Decision | None:
        """Take back the last decision of this window, or, where it has none, of before the server started; None if
        there is none.

        Only what still holds can be taken back: not what another window has decided otherwise since.

        Raises:
            OSError: the disk is full, or gone.
        """
        with self._lock:
            if id in self._by_id:
                return self._by_id[id]
            taken_back = self._last_of(session) or self._last_of(None)
            if taken_back is None:
                return None
            index = self._index[taken_back.image]
            item, head = self.items[index], self._heads[index]
            before = self._by_number.get(taken_back.supersedes or 0)
            state = (
                (before.verdict, before.boxes, before.class_name)
                if before
                else ("undecided", item.boxes, item.class_name)
            )
            is_chosen = self._is_class_chosen(index, without=taken_back)
            return self._write(item, *state, is_chosen, session, id, head, taken_back.number)

    def _last_of(self, session: str | None) -> Decision | None:
        for decision in reversed(self._journal.decisions):
            is_asked = decision.number <= self.begun_with if session is None else decision.session == session
            if not is_asked or decision.undoes is not None or decision.number in self._undone:
                continue
            index = self._index.get(decision.image)
            if (
                index in self._shown
                and index in self._heads
                and self._stands_for(self._heads[index]) == decision.number
            ):
                return decision
        return None

    def _stands_for(self, decision: Decision | None) -> int:
        """The decision that holds: an undo stands for what was before the one that it took back."""
        while decision is not None and decision.undoes is not None:
            taken_back = self._by_number.get(decision.undoes)
            decision = self._by_number.get(taken_back.supersedes or 0) if taken_back else None
        return decision.number if decision else 0

    def _is_class_chosen(self, index: int, without: Decision | None = None) -> bool:
        made = [one for one in self._made.get(index, []) if one is not without]
        return has_chosen_class(made, self.items[index].class_name)

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
            raise WsolError(f"expected an image from 0 to {len(self.items) - 1}, got {index}. Load the page again.")
        return self.items[index]

    def _check(self, wish: Wish, item: Item) -> None:
        if len(wish.boxes) > MOST_BOXES:
            raise WsolError(f"expected at most {MOST_BOXES} boxes, got {len(wish.boxes)}. Delete some.")
        for box in wish.boxes:
            if box not in item.boxes:  # a predicted one may be odd, and stay
                _check_box(box, item.image_hw)
        needs_class = self.class_names and wish.boxes and not wish.is_rejected
        if wish.class_name is None and not needs_class and not wish.is_class_chosen:
            return
        if wish.class_name not in (*self.class_names, item.class_name) or wish.class_name is None:
            raise WsolError(
                f"expected one of the {number_of(len(self.class_names), 'class')}, got {wish.class_name!r}. Choose a"
                " class (c)."
            )


def _check_box(box: Sequence[float], image_hw: tuple[int, int]) -> None:
    (x0, y0, x1, y1), (height, width) = box, image_hw
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):  # false for NaN as well
        raise WsolError(
            f"expected a box with an area inside {width} x {height} pixels, got {x0:g},{y0:g},{x1:g},{y1:g}. Draw it"
            " again."
        )
