"""CVAT export, checked with xml.dom and a decoder of its masks written from the definition."""

from __future__ import annotations

import re
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
from fake_data.predictions import CORPUS, COUNTED, write_predictions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.formats.cvat import write_cvat
from wsol.formats.run_lengths import run_lengths
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import Prediction


def decode_runs(runs: list[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Row by row, zeros first."""
    flat = [number % 2 == 1 for number, length in enumerate(runs) for _ in range(length)]
    return np.asarray(flat, dtype=bool).reshape(shape)


def read_box(node: minidom.Element) -> Xyxy:
    """Edges counted from 0, with two decimals."""
    edges = [node.getAttribute(name) for name in ("xtl", "ytl", "xbr", "ybr")]
    assert all(re.fullmatch(r"\d+\.\d\d", edge) for edge in edges)
    x0, y0, x1, y1 = map(float, edges)
    return x0, y0, x1, y1


def read_mask(node: minidom.Element, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask over the whole image."""
    left, top, width, height = (int(node.getAttribute(name)) for name in ("left", "top", "width", "height"))
    whole = np.zeros(image_hw, dtype=bool)
    runs = [int(length) for length in node.getAttribute("rle").split(",")]
    whole[top : top + height, left : left + width] = decode_runs(runs, (height, width))
    return whole


def test_a_second_reader_finds_every_image_box_mask_and_class(tmp_path: Path) -> None:
    write_cvat(write_predictions(tmp_path), tmp_path)
    images = minidom.parse(str(tmp_path / "annotations.xml")).getElementsByTagName("image")
    for number, (image, prediction) in enumerate(zip(images, CORPUS, strict=True)):
        assert (image.getAttribute("id"), image.getAttribute("name")) == (str(number), prediction.image)
        assert (int(image.getAttribute("height")), int(image.getAttribute("width"))) == prediction.image_hw
        boxes, masks = image.getElementsByTagName("box"), image.getElementsByTagName("mask")
        for one, box, mask in zip(prediction.objects, boxes, masks, strict=True):
            assert read_box(box) == one.xyxy
            assert np.array_equal(read_mask(mask, prediction.image_hw), one.mask())
            assert box.getAttribute("label") == mask.getAttribute("label") == prediction.class_name
            assert box.getAttribute("group_id") == mask.getAttribute("group_id") != "0"
            assert box.getAttribute("occluded") == mask.getAttribute("occluded") == "0"


@pytest.mark.parametrize(("lines", "counts"), COUNTED)
def test_meta_has_the_labels_and_the_number_of_images(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int]
) -> None:
    predictions = write_predictions(tmp_path, lines)
    assert write_cvat(predictions, tmp_path) == counts
    root = minidom.parse(str(tmp_path / "annotations.xml")).documentElement
    assert root is not None
    (version,) = root.getElementsByTagName("version")
    (task,) = root.getElementsByTagName("task")
    assert root.tagName == "annotations" and version.firstChild.data == "1.1"
    assert task.getElementsByTagName("size")[0].firstChild.data == str(counts["images"])
    names = [label.getElementsByTagName("name")[0].firstChild.data for label in task.getElementsByTagName("label")]
    assert names == list(predictions.class_names)
    assert len(root.getElementsByTagName("image")) == counts["images"]
    for name in names:
        assert f"    {name}\n" in (tmp_path / "README.txt").read_text(encoding="utf-8")


@given(arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_every_mask_comes_back_from_its_run_lengths(mask: NDArray[np.bool_]) -> None:
    runs = run_lengths(mask)
    assert np.array_equal(decode_runs(runs, mask.shape), mask)
    assert all(length > 0 for length in runs[1:])


@pytest.mark.parametrize(
    ("rows", "runs"),
    [
        pytest.param([[0, 0]], [2], id="nothing"),
        pytest.param([[1, 1]], [0, 2], id="everything: no zeros first"),
        pytest.param([[0, 1], [1, 0]], [1, 2, 1], id="on from row to row"),
    ],
)
def test_runs_go_row_by_row_and_the_first_counts_zeros(rows: list[list[int]], runs: list[int]) -> None:
    assert run_lengths(np.asarray(rows, dtype=bool)) == runs
