"""The page of a comparison: its contents, and that no name changes its structure."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_data.shown import HOSTILE, of_boxes, shown_image

from wsol.comparisons.comparison import Comparison
from wsol.comparisons.images import Row, cell_of
from wsol.comparisons.page import across, page_of
from wsol.data.ground_truth import GroundTruth
from wsol.data.samples import DataSet, Sample

VOID = {"meta", "link", "img"}


class Skeleton(HTMLParser):
    """The elements with the names of their attributes; every element must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect", "no element of HTML closes itself"
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def row(word: str, first: float, second: float) -> Row:
    maps, boxes = shown_image(word, first, class_name=word), of_boxes(shown_image(word, second, class_name=word))
    return Row(word, word, (cell_of(maps), cell_of(replace(boxes, predicted_name=word))))


IOUS = ((0.9, 0.8), (0.3, 0.7), (0.1, 0.2))


def page(comparison: Comparison, word: str = "word", ious: Sequence[tuple[float, float]] = IOUS) -> str:
    runs = tuple(replace(one, name=f"{word} {number}") for number, one in enumerate(comparison.runs))
    data = DataSet("COCO", Path(word), (word,), (), (Sample(word, Path(word), 0),), True, lambda: GroundTruth({}))
    return page_of(replace(comparison, runs=runs), [row(word, *both) for both in ious], data)


def test_each_image_is_a_row_with_every_runs_panels_and_iou(made_up: Comparison) -> None:
    found = page(made_up)
    assert re.findall(r"IoU (0\.\d\d)</span>", found) == ["0.90", "0.80", "0.30", "0.70", "0.10", "0.20"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", found) == 3 * ["Map", "Mask", "Box", "Box"]
    assert found.count("box without a map") == 3
    assert re.findall(r'data-which="(\w+)"', found) == ["all", "some", "none"]
    assert re.findall(r'data-spread="([\d.]+)"', found) == ["0.1000", "0.4000", "0.1000"]
    (found_box, annotated) = re.search(r'<g class="found">(.*?)</g><g class="annotated">(.*?)</g>', found).groups()
    assert '<rect class="line" x="4" y="0" width="4" height="3"/>' in found_box
    assert '<rect class="line" x="3" y="0" width="5" height="3"/>' in annotated
    assert "predicted <bdi>lark</bdi>" in found and "predicted <bdi>word</bdi>" not in found, "only wrong classes"


def test_the_page_needs_no_network_and_runs_its_own_script_only(made_up: Comparison) -> None:
    found = page(made_up)
    script = re.search(r"<script>(.*?)</script>", found, re.S)[1]
    code = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{code}'" in found and "default-src 'none'" in found
    assert "http:" not in found and "https:" not in found


def test_no_name_changes_the_structure(made_up: Comparison) -> None:
    plain = Skeleton(page(made_up, ious=IOUS[:1])).elements
    for word in HOSTILE:
        found = page(made_up, word, IOUS[:1])
        assert Skeleton(found).elements == plain, word
        assert not word.isprintable() or word in html.unescape(found)


@pytest.mark.parametrize(("runs", "expected"), [(2, 2), (3, 3), (4, 2), (5, 3), (6, 3), (7, 3), (9, 3), (10, 3)])
def test_lines_of_runs_are_about_equally_long(runs: int, expected: int) -> None:
    assert across(runs) == expected
