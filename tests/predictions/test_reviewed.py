"""The classes of objects after a review, where an image may show several classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import LINES, PredictedObject, Prediction, encode, open_predictions, write_lines
from wsol.predictions.review_journal import Decision
from wsol.predictions.reviewed import reviewed
from wsol.storage.folders import write_manifest

NAMES = ("hawk", "owl", "wren")
HAWK, OWL = (1.0, 1.0, 5.0, 5.0), (10.0, 1.0, 16.0, 8.0)
HW = (12, 20)


def classes_after(folder: Path, boxes: tuple[Xyxy, ...], class_name: str = "hawk") -> list[str | None]:
    """The classes of the objects after a decision about an image with a hawk and an owl."""
    ones = np.ones(HW, dtype=bool)
    objects = (
        PredictedObject(HAWK, 0.9, encode(ones), 0, "hawk"),
        PredictedObject(OWL, 0.8, encode(ones), 1, "owl"),
    )
    write_lines(folder / LINES, [Prediction("1.jpg", HW, objects, 0, "hawk", ())])
    write_manifest(folder, "predict", {}, {}, {"image_root": str(folder), "class_names": NAMES})
    decision = Decision(1, "1.jpg", HW, "corrected", boxes, class_name, "2026-12-01T00:00:00Z", "s", "i")
    (edited,) = reviewed(open_predictions(folder), {"1.jpg": decision}, with_undecided=False, needs_masks=False)
    return [NAMES[label] if (label := edited.label_of(one)) is not None else None for one in edited.objects]


@pytest.mark.parametrize(
    ("boxes", "class_name", "expected"),
    [
        pytest.param((HAWK, OWL), "hawk", ["hawk", "owl"], id="as predicted"),
        pytest.param((HAWK, (9.0, 1.0, 16.0, 9.0)), "hawk", ["hawk", "owl"], id="a moved box"),
        pytest.param((HAWK, (6.0, 9.0, 8.0, 11.0)), "hawk", ["hawk", "hawk"], id="a new box"),
        pytest.param((HAWK, OWL), "wren", ["wren", "owl"], id="another class of the image"),
        pytest.param(((6.0, 9.0, 8.0, 11.0), OWL), "wren", ["wren", "owl"], id="a new box of another class"),
    ],
)
def test_objects_keep_their_classes(
    boxes: tuple[Xyxy, ...], class_name: str, expected: list[str], tmp_path: Path
) -> None:
    assert classes_after(tmp_path, boxes, class_name) == expected
