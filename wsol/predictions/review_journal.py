"""The decisions of reviewers about predicted images: `review.jsonl`, one line per decision, append-only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.storage.folders import opened, parse_json
from wsol.storage.links import open_own
from wsol.text import number_of

JOURNAL_FILE = "review.jsonl"

Verdict = Literal["accepted", "corrected", "empty", "rejected", "undecided"]
"""As predicted; with other boxes or another class; without an object, whether or not one was predicted; unusable; open
again (an undo)."""


@dataclass(frozen=True)
class Decision:
    """One line: the complete state of an image after the decision. The last line about an image is the valid one."""

    number: int
    """Number of the line, from 1, to which `supersedes` and `undoes` refer."""
    image: str
    image_hw: tuple[int, int]
    verdict: Verdict
    boxes: tuple[Xyxy, ...]
    """Half-open boxes in pixels of the upright image; for an accepted image the predicted ones."""
    class_name: str | None
    time: str
    """UTC."""
    session: str
    """Id of the browser window."""
    id: str
    """Made by the browser window, so that a decision that is sent twice is written once."""
    supersedes: int | None = None
    undoes: int | None = None
    is_class_chosen: bool = False
    """Whether a person chose the class so far, even the predicted one; older journals do not contain it."""


def heads(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """The last decision about each image."""
    return {decision.image: decision for decision in decisions}


def by_image(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """All decisions about each image, in the order they were made."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.image, []).append(decision)
    return found


def has_chosen_class(decisions: Sequence[Decision], predicted: str | None) -> bool:
    """Whether a person chose the class of an image, without undoing it.

    Args:
        decisions: all decisions about the image.
        predicted: the predicted class; a decision with another class counts as chosen.

    Returns:
        Whether one of the decisions that were not undone chose the class.
    """
    undone = {decision.undoes for decision in decisions}
    return any(
        decision.is_class_chosen or decision.class_name not in (predicted, None)
        for decision in decisions
        if decision.undoes is None and decision.number not in undone
    )


def read_journal(folder: Path) -> list[Decision]:
    """Read the decisions about a prediction folder.

    An incomplete last line, which a killed server may leave, was never acknowledged and is ignored.

    Args:
        folder: the prediction folder.

    Returns:
        The decisions, in the order they were made; empty if there was no review.

    Raises:
        WsolError: another line is damaged.
    """
    path = folder / JOURNAL_FILE
    if not path.exists():
        return []
    with opened(path, "wsol review") as file:
        return _parsed(path, file.read())[0]


class Journal:
    """An open journal, as a context: the decisions so far, and `append`, which returns when a decision is on the disk.

    Args:
        folder: the prediction folder.

    Raises:
        WsolError: a line is damaged, or the file is a link.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self.decisions: list[Decision] = []
        self.repaired = ""
        """The incomplete line of a killed server, if any, which was cut off."""

    def __enter__(self) -> Journal:
        self._file = open_own(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            self._repair(_read(self._file))
            _sync_folder(self.path.parent)
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, decision: Decision) -> None:
        """Write a line and wait until it is on the disk; after a failure the file is unchanged.

        Raises:
            OSError: the disk is full, or gone.
        """
        size = os.fstat(self._file).st_size
        left = memoryview(_to_line(decision))
        try:
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # half a line would damage the next one
            raise
        self.decisions.append(decision)

    def _repair(self, content: bytes) -> None:
        self.decisions, tail = _parsed(self.path, content)
        if tail:
            self.repaired = tail.decode("utf-8", "replace")
            os.ftruncate(self._file, len(content) - len(tail))
        elif content and not content.endswith(b"\n"):
            os.write(self._file, b"\n")  # complete, but without a newline, as editors may leave it
        os.fsync(self._file)


def _read(file: int) -> bytes:
    with open(file, "rb", closefd=False) as whole:
        return whole.read()


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file exists after a power failure."""
    if os.name == "nt":  # folders cannot be opened there
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


_DAMAGED = (ValueError, KeyError, TypeError, OverflowError, RecursionError, WsolError)
"""Errors that a damaged line may cause."""


def _parsed(path: Path, content: bytes) -> tuple[list[Decision], bytes]:
    """The decisions, and the content of an incomplete last line."""
    *lines, last = content.split(b"\n")
    decisions: list[Decision] = []
    for number, line in enumerate(lines, start=1):
        try:
            decisions.append(_from_line(line, decisions))
        except _DAMAGED as error:
            raise WsolError(
                f"{path}, line {number}: not a decision ({error!s:.300})",
                expected="what `wsol review` writes",
                remedy="Fix that line, or remove it.",
            ) from None
    try:
        return ([*decisions, _from_line(last, decisions)] if last else decisions), b""
    except _DAMAGED:
        return decisions, last


def _to_line(decision: Decision) -> bytes:
    text = json.dumps(asdict(decision), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _from_line(line: bytes, before: list[Decision]) -> Decision:
    row: Any = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError(f"it is {row!r:.50}")
    row.setdefault("is_class_chosen", False)
    for name, kinds in _KINDS.items():
        if not isinstance(row.get(name), kinds):
            raise ValueError(f"{name} is {row.get(name)!r}")
    if row["verdict"] not in get_args(Verdict):
        raise ValueError(f"the verdict is {row['verdict']!r}")
    if row["number"] <= (before[-1].number if before else 0):
        raise ValueError(f"number {row['number']} is not higher than the one before")
    height, width = map(int, row.pop("image_hw"))
    boxes = tuple(_four(box) for box in row.pop("boxes"))
    Boxes.of(list(boxes))
    if row["verdict"] == "empty" and boxes:
        raise ValueError(f"the image is empty, and has {number_of(len(boxes), 'box')}")
    if row["verdict"] in ("accepted", "corrected") and not boxes:  # older journals have no verdict of their own for it
        row["verdict"] = "empty"
    return Decision(**row, image_hw=(height, width), boxes=boxes)


_KINDS: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "image": (str,),
    "class_name": (str, NoneType),
    "time": (str,),
    "session": (str,),
    "id": (str,),
    "supersedes": (int, NoneType),
    "undoes": (int, NoneType),
    "is_class_chosen": (bool,),
}


def _four(box: list[float]) -> Xyxy:
    x0, y0, x1, y1 = map(float, box)
    return x0, y0, x1, y1
