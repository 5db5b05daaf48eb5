"""VOC export, checked with xml.dom (ElementTree wrote it) and by our own reader of data sets."""

from __future__ import annotations

from pathlib import Path
from xml.dom import minidom

import pytest
from fake_data.predictions import CORPUS, COUNTED_WITH_NAMES, write_predictions
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.readers.voc_xml import parse
from wsol.formats.objects import pixel_boxes, summary
from wsol.formats.voc import write_voc
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import PredictedObject, Prediction

XMLS = ["a/owl", "a/owl_png", "a/o & 'u' \"x\"", "b/at borders", "b/梟 ö", "b/empty", "images/corners", "turned"]


def texts(node: minidom.Document | minidom.Element, tag: str) -> list[str]:
    """The texts of all elements with a name."""
    return ["".join(child.data for child in found.childNodes) for found in node.getElementsByTagName(tag)]


def read_xml(path: Path) -> tuple[str, tuple[int, int], list[tuple[str, Xyxy]]]:
    """File name, (height, width), and objects with 0-based half-open boxes, from 1-based inclusive integers."""
    document = minidom.parse(str(path))
    (height,), (width,), (file_name,) = texts(document, "height"), texts(document, "width"), texts(document, "filename")
    objects = []
    for one in document.getElementsByTagName("object"):
        x0, y0, x1, y1 = (int(texts(one, edge)[0]) for edge in ("xmin", "ymin", "xmax", "ymax"))
        assert 1 <= x0 <= x1 <= int(width) and 1 <= y0 <= y1 <= int(height)
        objects.append((texts(one, "name")[0], (x0 - 1.0, y0 - 1.0, float(x1), float(y1))))
    return file_name, (int(height), int(width)), objects


def test_a_second_reader_finds_every_image_size_box_and_class(tmp_path: Path) -> None:
    write_voc(write_predictions(tmp_path), tmp_path)
    written = {path.relative_to(tmp_path / "Annotations").as_posix() for path in tmp_path.rglob("*.xml")}
    assert written == {f"{name}.xml" for name in XMLS}
    for name, prediction in zip(XMLS, CORPUS, strict=True):
        file_name, image_hw, objects = read_xml(tmp_path / "Annotations" / f"{name}.xml")
        assert (file_name, image_hw) == (prediction.image, prediction.image_hw)
        assert objects == [(prediction.class_name, one.xyxy) for one in prediction.objects]
        assert len(parse(tmp_path / "Annotations" / f"{name}.xml").objects) == len(prediction.objects)


@pytest.mark.parametrize(("lines", "counts"), COUNTED_WITH_NAMES)
def test_counts_and_the_readme_agree_with_the_files(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int]
) -> None:
    assert write_voc(write_predictions(tmp_path, lines), tmp_path) == counts
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert f" {summary(counts)}.\n" in text
    assert ("    a/owl.png -> a/owl_png.xml\n" in text) == bool(counts["renamed"])


@pytest.mark.parametrize(
    ("xyxy", "expected"),
    [
        pytest.param((1.5, 2.5, 3.5, 4.5), (1, 2, 4, 5), id="edges between pixels move outwards"),
        pytest.param((0.9999999999, 2, 8.0000000001, 9), (1, 2, 8, 9), id="but not by arithmetic"),
        pytest.param((-5, -5, 99, 99), (0, 0, 60, 40), id="clipped"),
        pytest.param((5, 5, 5, 9), (5, 5, 6, 9), id="no width: one pixel"),
        pytest.param((60, 40, 60, 40), (59, 39, 60, 40), id="no area at the corner: the last pixel"),
        pytest.param((70, 50, 80, 60), (59, 39, 60, 40), id="outside: the nearest pixel"),
    ],
)
def test_corners_are_whole_pixels_inside_the_image(xyxy: Xyxy, expected: tuple[int, int, int, int]) -> None:
    one = PredictedObject(xyxy, 0.5, {"size": [40, 60], "counts": ""})
    assert pixel_boxes(Prediction("a.jpg", (40, 60), (one,), 0, "a", ())) == [expected]


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000))
def test_whole_pixels_hold_the_box_and_are_less_than_a_pixel_larger(
    data: st.DataObject, height: int, width: int
) -> None:
    x0, x1 = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y0, y1 = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    one = PredictedObject((x0, y0, x1, y1), 0.5, {"size": [height, width], "counts": ""})
    ((left, top, right, bottom),) = pixel_boxes(Prediction("a.jpg", (height, width), (one,), 0, "a", ()))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert left <= x0 + 1e-6 and x1 - 1e-6 <= right and top <= y0 + 1e-6 and y1 - 1e-6 <= bottom
    assert right - left < max(x1 - x0, 0) + 2 and bottom - top < max(y1 - y0, 0) + 2
