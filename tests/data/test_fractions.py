"""Boxes that are fractions of their images: refused by every reader of ground truth and of results, whatever the
layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.coco import HAWK, OWL, coco_of, write_json
from fake_data.csv_table import write_table
from fake_data.cub import write_cub
from fake_data.imagenet import write_train, write_val, write_xmls
from fake_data.images import write_image
from fake_data.voc import write_voc
from fake_data.wsolevaluation import write_boxes
from hypothesis import given
from hypothesis import strategies as st

from wsol.checks.run import check_data
from wsol.data.ground_truth import Collector, GroundTruth
from wsol.data.open import open_ground_truth
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.results.boxes import read_boxes
from wsol.runtime.progress import Progress

SHARES: tuple[Xyxy, Xyxy] = ((0.1, 0.2, 0.6, 0.9), (0, 0, 1, 1))
PIXELS: tuple[Xyxy, Xyxy] = ((4, 6, 24, 27), (0, 0, 40, 30))
NAMES = ("owl/1.jpg", "hawk/2.jpg")


def write_folders(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    for name in NAMES:
        write_image(root / name)
    rows = [(name, *box) for name, box in zip(NAMES, boxes, strict=True)]
    write_table(root / "boxes.csv", rows, ("path", "x0", "y0", "x1", "y1"))
    return root


def write_csv(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    return write_folders(root, boxes) / "boxes.csv"


def write_coco(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    document = coco_of({"1.jpg": [OWL], "2.jpg": [HAWK]})
    for annotation, (x0, y0, x1, y1) in zip(document["annotations"], boxes, strict=True):
        annotation["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    return write_json(root / "truth.json", document)


def write_pascal(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    write_voc(root, {name: [(name, *box)] for name, box in zip(("owl", "hawk"), boxes, strict=True)})
    return root


def write_imagenet(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    write_train(root)
    write_val(root / "val", ["n01440764", "n01443537"])
    write_xmls(
        root / "Annotations/CLS-LOC/val",
        {i: [(w, *box)] for i, w, box in zip((1, 2), ("n01440764", "n01443537"), boxes, strict=True)},
    )
    return root


def write_lists(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    write_boxes(
        root, {name: label for label, name in enumerate(NAMES)}, {n: [b] for n, b in zip(NAMES, boxes, strict=True)}
    )
    return root


def write_birds(root: Path, boxes: tuple[Xyxy, ...]) -> Path:
    write_cub(root)
    table = root / "bounding_boxes.txt"
    numbers = [line.split()[0] for line in table.read_text().splitlines()]
    rows = [boxes[i % 2] for i in range(len(numbers))]
    lines = [
        f"{number} {x0} {y0} {x1 - x0} {y1 - y0}\n" for number, (x0, y0, x1, y1) in zip(numbers, rows, strict=True)
    ]
    table.write_text("".join(lines))
    return root


WRITE = [write_folders, write_csv, write_coco, write_pascal, write_imagenet, write_lists, write_birds]
Write = Callable[[Path, tuple[Xyxy, ...]], Path]


@pytest.mark.parametrize("write", WRITE)
def test_ground_truth_of_fractions_is_an_error_for_evaluation_and_for_check(tmp_path: Path, write: Write) -> None:
    data = open_ground_truth(write(tmp_path / "data", SHARES))
    with pytest.raises(WsolError, match=r"all \d+ boxes lie within 0\.\.1.*expected corners in pixels.*Multiply"):
        data.read_ground_truth()
    findings = check_data(data, Progress(quiet=True))
    assert "lie within 0..1" in str(findings["unusable ground truth"][0]) and findings.is_wrong


@pytest.mark.parametrize("write", WRITE)
def test_ground_truth_of_pixels_is_none(tmp_path: Path, write: Write) -> None:
    ground_truth = open_ground_truth(write(tmp_path / "data", PIXELS)).read_ground_truth()
    assert ground_truth.by_id and not [mistake for mistake in ground_truth.mistakes if mistake.kind == "fractions"]


@pytest.mark.parametrize("write", WRITE)
def test_one_box_of_fractions_among_pixels_is_a_mistake(tmp_path: Path, write: Write) -> None:
    ground_truth = open_ground_truth(write(tmp_path / "data", (SHARES[0], PIXELS[1]))).read_ground_truth()
    noted = [mistake for mistake in ground_truth.mistakes if mistake.kind == "fractions"]
    assert noted and "expected corners in pixels" in noted[0].what and ground_truth.by_id


def collected(*boxes: Xyxy) -> GroundTruth:
    collector = Collector()
    for number, box in enumerate(boxes):
        collector.add(f"{number}.jpg", box, (30, 40), f"line {number}")
    return collector.ground_truth()


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([(0, 0, 1, 1)] * 5, id="the whole of every image"),
        pytest.param([(-0.02, 0.1, 0.5, 1.01)], id="a little beyond the image"),
        pytest.param([(0.5, 0.5, 1.25, 1.1)], id="the centre for a corner"),
        pytest.param([(-0.8, -0.7, 0.6, 0.9)], id="counted from 1"),
        pytest.param([(0.1, 0.1, 0.5, 0.5), (0, 0, 0, 0)], id="one that says nothing"),
    ],
)
def test_what_cannot_be_pixels_is_refused(boxes: list[Xyxy]) -> None:
    with pytest.raises(WsolError, match=r"line 0: all .* within 0\.\.1"):
        collected(*boxes)


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([], id="nothing"),
        pytest.param([(0, 0, 1, 1)], id="the first pixel"),
        pytest.param([(0, 0, 0, 0)] * 9, id="nothing found"),
        pytest.param([(0, 0, 1, 1)] * 9 + [(0, 0, 2, 1)], id="first pixels and one more"),
        pytest.param([(39.2, 29.2, 39.8, 29.8)], id="part of the last pixel"),
    ],
)
def test_what_may_be_pixels_is_not(boxes: list[Xyxy]) -> None:
    assert not [mistake for mistake in collected(*boxes).mistakes if mistake.kind == "fractions"]


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=5, max_size=8))
def test_no_box_of_fractions_is_ever_used(corners: list[tuple[float, float, float, float]]) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    try:
        ground_truth = collected(*boxes)
    except WsolError:
        return
    used = [tuple(box) for one in ground_truth.by_id.values() for box in one.boxes.xyxy.tolist()]
    assert all(float(corner).is_integer() for box in used for corner in box) and len(used) < 5


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_results_of_fractions_are_an_error(tmp_path: Path, kind: str) -> None:
    def write(boxes: tuple[Xyxy, ...]) -> Path:
        if kind == "csv":
            rows = [(name, *box) for name, box in zip(NAMES, boxes, strict=True)]
            return write_table(tmp_path / "r.csv", rows, ("path", "x0", "y0", "x1", "y1"))
        rows = [
            {"image_id": n, "bbox": [a, b, c - a, d - b], "score": 1}
            for n, (a, b, c, d) in zip(NAMES, boxes, strict=True)
        ]
        (tmp_path / "r.json").write_text(json.dumps(rows))
        return tmp_path / "r.json"

    with pytest.raises(WsolError, match=r"r\..*: all 2 boxes lie within 0\.\.1.*expected corners in pixels"):
        read_boxes(write(SHARES), NAMES, None)
    assert len(read_boxes(write(PIXELS), NAMES, None).by_id) == 2
    assert len(read_boxes(write((SHARES[0], PIXELS[1])), NAMES, None).by_id) == 2
