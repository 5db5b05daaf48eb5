"""Label Studio export, checked with a strict reader and a decoder written from the definition of its brush bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.dom import minidom

import numpy as np
import pytest
from fake_data.predictions import CORPUS, EMPTY, UNNAMED, write_predictions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.formats.labelstudio import brush_rle, write_labelstudio
from wsol.predictions.records import Prediction


def decode_brush(rle: list[int], image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """thi.ng's rle-pack as Label Studio reads it: number of values, word size, four sizes of lengths, then runs or
    literals."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    place = 0

    def take(length: int) -> int:
        nonlocal place
        place += length
        assert place <= len(bits)
        return int(bits[place - length : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        is_run, size = take(1), sizes[take(2)]
        length = take(size) + 1
        values += [take(word)] * length if is_run else [take(word) for _ in range(length)]
    assert len(values) == total and len(bits) - place < 8
    channels = np.asarray(values).reshape(*image_hw, 4)
    assert np.isin(channels, (0, 255)).all() and (channels == channels[..., :1]).all()
    return np.asarray(channels[..., 0] > 0)


def labels_of(folder: Path) -> dict[str, tuple[str, str, list[str]]]:
    """The interface: name of a control -> its tag, what it labels, its labels."""
    view = minidom.parse(str(folder / "labels.xml")).documentElement
    assert view is not None and view.tagName == "View"
    (image,) = view.getElementsByTagName("Image")
    assert image.getAttribute("value") == "$image"
    return {
        control.getAttribute("name"): (
            control.tagName.lower(),
            control.getAttribute("toName"),
            [label.getAttribute("value") for label in control.getElementsByTagName("Label")],
        )
        for control in view.childNodes
        if isinstance(control, minidom.Element) and control.tagName != "Image"
    }


def assert_valid(region: dict[str, Any], controls: dict[str, tuple[str, str, list[str]]]) -> None:
    """What the server does not check: the region fits the interface, and lies inside the image."""
    tag, to_name, labels = controls[region["from_name"]]
    assert (region["type"], region["to_name"]) == (tag, to_name) and to_name == "image"
    (label,) = region["value"][tag]
    assert label in labels
    assert region["image_rotation"] == 0
    if tag == "rectanglelabels":
        value = region["value"]
        assert value["rotation"] == 0
        for low, side in (("x", "width"), ("y", "height")):
            assert 0 <= value[low] < value[low] + value[side] <= 100 + 1e-9


def test_a_second_reader_finds_every_image_box_mask_class_and_score(tmp_path: Path) -> None:
    write_labelstudio(write_predictions(tmp_path), tmp_path)
    controls = labels_of(tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="ascii"))
    for task, prediction in zip(tasks, CORPUS, strict=True):
        (guess,) = task["predictions"]
        assert len({region["id"] for region in guess["result"]}) == len(guess["result"]) == 2 * len(prediction.objects)
        height, width = prediction.image_hw
        for region in guess["result"]:
            assert_valid(region, controls)
            assert (region["original_height"], region["original_width"]) == (height, width)
        for one, (box, mask) in zip(
            prediction.objects, zip(guess["result"][::2], guess["result"][1::2], strict=True), strict=True
        ):
            value = box["value"]
            corners = value["x"], value["y"], value["x"] + value["width"], value["y"] + value["height"]
            assert np.multiply(corners, [width, height] * 2) / 100 == pytest.approx(one.xyxy)
            assert np.array_equal(decode_brush(mask["value"]["rle"], prediction.image_hw), one.mask())
            assert value["rectanglelabels"] == mask["value"]["brushlabels"] == [prediction.class_name]
            assert box["score"] == mask["score"] == one.score
        assert guess["score"] == min([one.score for one in prediction.objects], default=0)


def test_images_are_found_below_the_document_root(tmp_path: Path) -> None:
    write_labelstudio(write_predictions(tmp_path), tmp_path)
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={tmp_path}\n" in text
    for task in json.loads((tmp_path / "tasks.json").read_text()):
        url = urlsplit(task["data"]["image"])
        assert url.path == "/data/local-files/"
        assert (tmp_path / parse_qs(url.query)["d"][0]).is_file()


@pytest.mark.parametrize(
    ("lines", "counts", "labels"),
    [
        pytest.param((), {"images": 0, "objects": 0, "empty_images": 0}, 1, id="no images"),
        pytest.param(EMPTY, {"images": 1, "objects": 0, "empty_images": 1}, 3, id="no objects"),
        pytest.param(UNNAMED, {"images": 3, "objects": 1, "empty_images": 2}, 1, id="no classes"),
        pytest.param(CORPUS, {"images": 8, "objects": 9, "empty_images": 1}, 3, id="corpus"),
    ],
)
def test_every_image_is_a_task_and_every_class_a_label(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int], labels: int
) -> None:
    predictions = write_predictions(tmp_path, lines)
    assert write_labelstudio(predictions, tmp_path) == counts
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == counts["images"]
    for _, _, names in labels_of(tmp_path).values():
        assert names == list(predictions.class_names)
    assert labels == len(predictions.class_names) or not lines


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_every_mask_comes_back_from_its_brush_bytes(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decode_brush(brush_rle(mask), mask.shape), mask)


@pytest.mark.parametrize("pixels", [2, 4, 64, 65, 16384, 16385, 40_000])
@pytest.mark.parametrize("value", [False, True])
def test_runs_at_the_limits_of_their_sizes_come_back(pixels: int, value: bool) -> None:
    mask = np.full((1, pixels + 1), value)
    mask[0, -1] = not value
    assert np.array_equal(decode_brush(brush_rle(mask), (1, pixels + 1)), mask)


def test_the_bytes_of_one_pixel_are_these() -> None:
    header = [0, 0, 0, 4, 0b00111_001, 0b0_0011_011, 0b1_1111_1_00]  # 4 values, 8 bits, sizes 3 4 8 16, a run of size 3
    assert brush_rle(np.ones((1, 1), dtype=bool)) == [*header, 0b011_11111, 0b111_00000]
