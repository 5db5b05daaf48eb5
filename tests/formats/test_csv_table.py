"""CSV export, checked with the csv module and float()."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from fake_data.predictions import CLASSES, CORPUS, EMPTY, UNNAMED, line, ones, write_predictions
from fake_data.run_lengths import no_mask

from wsol.formats.csv_table import write_csv
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import PredictedObject, Prediction

HEADER = ["path", "label", "score", "x0", "y0", "x1", "y1", "width", "height"]


def read_csv(path: Path) -> list[list[str]]:
    """The lines below the header."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == HEADER
    return rows


def test_a_second_reader_finds_every_image_box_class_and_score(tmp_path: Path) -> None:
    write_csv(write_predictions(tmp_path), tmp_path)
    rows = iter(read_csv(tmp_path / "boxes.csv"))
    for prediction in CORPUS:
        for one in prediction.objects:
            path, class_name, score, *corners, width, height = next(rows)
            assert (path, class_name, float(score)) == (prediction.image, prediction.class_name, one.score)
            assert tuple(map(float, corners)) == one.xyxy
            assert (int(height), int(width)) == prediction.image_hw
        if not prediction.objects:
            height, width = map(str, prediction.image_hw)
            assert next(rows) == [prediction.image, prediction.class_name, "", "", "", "", "", width, height]
    assert next(rows, None) is None


@pytest.mark.parametrize(
    ("lines", "counts", "classes"),
    [
        pytest.param((), {"images": 0, "objects": 0, "empty_images": 0}, [], id="no images"),
        pytest.param(EMPTY, {"images": 1, "objects": 0, "empty_images": 1}, [CLASSES[0]], id="no objects"),
        pytest.param(
            UNNAMED, {"images": 3, "objects": 1, "empty_images": 2}, ["object", "", CLASSES[2]], id="no classes"
        ),
    ],
)
def test_images_without_an_object_have_a_line(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int], classes: list[str]
) -> None:
    assert write_csv(write_predictions(tmp_path, lines), tmp_path) == counts
    assert [row[1] for row in read_csv(tmp_path / "boxes.csv")] == classes


@pytest.mark.parametrize("image", ["a,b.jpg", 'a"b.jpg', "two\nlines.jpg", " space .jpg"])
def test_odd_names_come_back(tmp_path: Path, image: str) -> None:
    write_csv(write_predictions(tmp_path, (line(image, 0, ones((40, 60), (1, 1, 9, 9))),)), tmp_path)
    assert [row[0] for row in read_csv(tmp_path / "boxes.csv")] == [image]


@pytest.mark.parametrize(
    ("xyxy", "expected"),
    [
        pytest.param((1.25, 2, 3, 1 / 3 + 2), (1.25, 2, 3, 1 / 3 + 2), id="as exact as a float"),
        pytest.param((-9, -9, 99, 99), (0, 0, 60, 40), id="clipped"),
    ],
)
def test_corners_are_exact_and_inside_the_image(tmp_path: Path, xyxy: Xyxy, expected: Xyxy) -> None:
    one = PredictedObject(xyxy, 0.5, no_mask((40, 60)))
    write_csv(write_predictions(tmp_path, (Prediction("a.jpg", (40, 60), (one,), 0, CLASSES[0], ()),)), tmp_path)
    assert tuple(map(float, read_csv(tmp_path / "boxes.csv")[0][3:7])) == expected
