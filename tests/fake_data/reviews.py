"""Predictions with images, a decision, and a review page that runs in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol.predictions.records import LINES, PredictedObject, Prediction, encode, open_predictions, write_lines
from wsol.predictions.review_journal import Decision, Journal, Verdict
from wsol.review.address import Address
from wsol.review.serve import bound, server
from wsol.review.session import ReviewSession
from wsol.storage.folders import write_manifest

CLASSES = ("hawk", "owl", "tit")
HW = (120, 160)


def object_at(x0: int, y0: int, x1: int, y1: int, score: float, image_hw: tuple[int, int] = HW) -> PredictedObject:
    """A predicted object whose mask fills its box."""
    mask: NDArray[np.bool_] = np.zeros(image_hw, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return PredictedObject((float(x0), float(y0), float(x1), float(y1)), score, encode(mask))


def prediction(number: int, *objects: PredictedObject, image: str | None = None) -> Prediction:
    """A line of predictions.jsonl; by default with one object whose score increases with the number."""
    label = number % len(CLASSES)
    found = objects or (object_at(40, 30, 120, 90, (number + 1) / 1000),)
    name = image or f"{CLASSES[label]}/{number:04}.jpg"
    return Prediction(name, HW, found, label, CLASSES[label], ((CLASSES[label], 0.9), (CLASSES[label - 1], 0.1)))


def write_reviewable(root: Path, lines: list[Prediction], class_names: tuple[str, ...] = CLASSES) -> Path:
    """`root/images` and the finished prediction folder `root/out`."""
    drawn = np.zeros((*HW, 3), dtype=np.uint8)
    drawn[..., 0] = np.linspace(0, 255, HW[1])
    for number, one in enumerate(lines):
        drawn[..., 2] = number * 40 % 256
        path = root / "images" / one.image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path)
    out = root / "out"
    out.mkdir()
    write_lines(out / LINES, lines)
    write_manifest(out, "predict", {}, {}, {"image_root": str(root / "images"), "class_names": class_names})
    return out


def decide(
    out: Path, image: str, verdict: Verdict, *boxes: tuple[float, float, float, float], class_name: str | None = "owl"
) -> None:
    """Append a decision to the journal."""
    with Journal(out) as journal:
        number = len(journal.decisions) + 1
        journal.append(
            Decision(number, image, HW, verdict, boxes, class_name, "2026-01-01", "by hand", f"hand{number}")
        )


@contextmanager
def served(out: Path, token: str = "the-key") -> Iterator[Address]:
    """The page's server on a free port."""
    with Journal(out) as journal, bound([0]) as listening:
        address = Address(listening.getsockname()[1], token)
        running = server(ReviewSession(open_predictions(out), journal), address)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.005)
        try:
            yield address
        finally:
            running.should_exit = True
            thread.join()
