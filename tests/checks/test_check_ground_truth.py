"""`wsol check` and ground truth: sizes, single bad annotations, absent or unusable boxes, folders that may not be
classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_data.coco import HAWK, OWL, coco_of, write_json
from fake_data.csv_table import write_table
from fake_data.images import write_image
from fake_data.voc import write_xml
from fake_data.wsolevaluation import write_boxes

from wsol.checks.findings import FindingKind, Findings
from wsol.checks.run import check_data
from wsol.data.open import open_ground_truth
from wsol.runtime.progress import Progress

HW, TURNED = (30, 40), (40, 30)
NAMES = ("1.jpg", "2.jpg")


def found_in(root: Path, images: Path | None = None) -> Findings:
    return check_data(open_ground_truth(root, images), Progress(quiet=True))


def items_of(findings: Findings, kind: FindingKind) -> list[str]:
    return [str(item) for item in findings[kind]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in NAMES:
        write_image(tmp_path / "images" / name, HW)
    return tmp_path / "images"


def coco_with(root: Path, hw: tuple[int, int]) -> Path:
    document = coco_of({"1.jpg": [OWL], "2.jpg": [HAWK]})
    for image in document["images"]:
        image.update(height=hw[0], width=hw[1])
    document["annotations"][1]["bbox"] = [35, 2, 4, 8]  # outside of the turned image
    return write_json(root / "truth.json", document)


def voc_with(root: Path, hw: tuple[int, int]) -> Path:
    for name, stem in (("owl", "1"), ("hawk", "2")):
        write_xml(root / f"Annotations/{stem}.xml", [(name, 2, 2, 20, 20)], hw)
    return root


def csv_with(root: Path, hw: tuple[int, int]) -> Path:
    columns = ("path", "label", "x0", "y0", "x1", "y1", "width", "height")
    rows = [(name, label, 1, 2, 9, 9, hw[1], hw[0]) for name, label in zip(NAMES, ("owl", "hawk"), strict=True)]
    return write_table(root / "t.csv", rows, columns)


def lists_with(root: Path, hw: tuple[int, int]) -> Path:
    write_boxes(root / "lists", {"1.jpg": 0, "2.jpg": 1}, {name: [(1, 2, 9, 9)] for name in NAMES}, hw)
    return root / "lists"


WRITE = [coco_with, voc_with, csv_with, lists_with]


@pytest.mark.parametrize("write", WRITE)
def test_a_size_that_is_swapped_is_found_for_every_image(
    tmp_path: Path, images: Path, write: Callable[[Path, tuple[int, int]], Path]
) -> None:
    sizes = [
        line
        for line in items_of(found_in(write(tmp_path, TURNED), images), "wrong in the truth")
        if "other size" in line
    ]
    assert len(sizes) == 2 and all("(40, 30)" in line and "swapped" in line and "EXIF" in line for line in sizes)


@pytest.mark.parametrize("write", WRITE)
@pytest.mark.parametrize(("hw", "count"), [(HW, 0), ((60, 80), 2)], ids=["right", "another"])
def test_other_sizes_are_found_and_right_ones_are_not(
    tmp_path: Path, images: Path, write: Callable[[Path, tuple[int, int]], Path], hw: tuple[int, int], count: int
) -> None:
    lines = items_of(found_in(write(tmp_path, hw), images), "wrong in the truth")
    assert [("other size" in line, "swapped" in line) for line in lines] == [(True, False)] * count


@pytest.mark.parametrize(
    "new",
    [
        pytest.param({"bbox": ["1", "2", "3", "4"]}, id="a box of letters"),
        pytest.param({"category_id": "7"}, id="a category of letters"),
        pytest.param({"image_id": None}, id="no image"),
    ],
)
def test_one_annotation_with_letters_is_one_mistake_and_the_rest_is_used(
    tmp_path: Path, images: Path, new: dict[str, Any]
) -> None:
    document = coco_of({"1.jpg": [OWL, OWL], "2.jpg": [HAWK]})
    document["annotations"][0].update(new)
    findings = found_in(write_json(tmp_path / "truth.json", document), images)
    assert len(items_of(findings, "wrong in the truth")) == 1
    assert not items_of(findings, "no truth") and not items_of(findings, "unusable ground truth")


def test_a_line_with_letters_is_one_mistake_and_the_rest_is_used(tmp_path: Path, images: Path) -> None:
    columns = ("path", "label", "x0", "y0", "x1", "y1")
    rows = [("1.jpg", "owl", 1, 2, 3, 4), ("1.jpg", "owl", "one", 2, 3, 4), ("2.jpg", "hawk", 1, 2, 3, 4)]
    findings = found_in(write_table(tmp_path / "t.csv", rows, columns), images)
    assert len(items_of(findings, "wrong in the truth")) == 1 and not items_of(findings, "unusable ground truth")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(None, "no truth", id="absent"),
        pytest.param("path,xmin,ymin,xmax,ymax\n", "unusable ground truth", id="of other columns"),
        pytest.param("path,x0,y0,x1,y1\nowl/1.jpg,0.1,0.1,0.5,0.5\n", "unusable ground truth", id="of fractions"),
    ],
)
def test_absent_ground_truth_is_an_info_and_unusable_one_an_error(
    tmp_path: Path, content: str | None, kind: FindingKind
) -> None:
    for name in ("owl/1.jpg", "hawk/2.jpg"):
        write_image(tmp_path / name)
    if content is not None:
        (tmp_path / "boxes.csv").write_text(content)
    findings = {finding.kind: finding for finding in found_in(tmp_path).found}
    assert kind in findings and {"no truth", "unusable ground truth"} & findings.keys() == {kind}
    assert findings[kind].severity == ("info" if content is None else "error")


def test_unused_categories_are_an_info(tmp_path: Path, images: Path) -> None:
    document = coco_of({"1.jpg": [OWL], "2.jpg": [HAWK]})
    document["categories"] = [{"id": 0, "name": "background"}, *document["categories"]]
    findings = found_in(write_json(tmp_path / "truth.json", document), images)
    assert items_of(findings, "unused class") == ["background"] and not items_of(findings, "empty class")


def test_the_same_folders_in_every_class_are_doubtful_classes(tmp_path: Path) -> None:
    for name in ("owl", "hawk"):
        for view in ("front", "back"):
            write_image(tmp_path / name / view / "1.jpg")
    (doubt,) = items_of(found_in(tmp_path), "doubtful classes")
    assert "have the same folders each, back and front" in doubt
