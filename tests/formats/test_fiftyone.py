"""FiftyOne export, checked with pycocotools, the library with which FiftyOne reads masks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_data.predictions import CORPUS, EMPTY, TURNED, UNNAMED, write_predictions
from PIL import Image
from pycocotools.coco import COCO

from wsol.data.images import read_image
from wsol.formats.fiftyone import write_fiftyone
from wsol.predictions.records import Prediction

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_a_second_reader_finds_every_image_box_mask_class_and_score(tmp_path: Path) -> None:
    write_fiftyone(write_predictions(tmp_path), tmp_path)
    coco = COCO(tmp_path / "labels.json")
    for image_id, prediction in enumerate(CORPUS, start=1):
        (image,) = coco.loadImgs([image_id])
        with Image.open(tmp_path / "data" / image["file_name"]) as stored:
            assert stored.getexif().get(0x0112, 1) == 1
            assert stored.size == (image["width"], image["height"]) == prediction.image_hw[::-1]
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        for annotation, one in zip(annotations, prediction.objects, strict=True):
            x, y, width, height = annotation["bbox"]
            assert (x, y, x + width, y + height) == one.xyxy
            assert np.array_equal(coco.annToMask(annotation), one.mask())
            assert annotation["score"] == one.score
            assert coco.loadCats([annotation["category_id"]])[0]["name"] == prediction.class_name


def test_an_image_that_exif_rotates_is_written_upright(tmp_path: Path) -> None:
    write_fiftyone(write_predictions(tmp_path), tmp_path)
    with Image.open(tmp_path / "data" / TURNED) as stored:
        difference = np.asarray(stored).astype(int) - read_image(tmp_path / "images" / TURNED)
    assert np.abs(difference).mean() < 4  # quality 95


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        pytest.param((), {"images": 0, "objects": 0, "empty_images": 0, "rewritten": 0}, id="no images"),
        pytest.param(EMPTY, {"images": 1, "objects": 0, "empty_images": 1, "rewritten": 0}, id="no objects"),
        pytest.param(UNNAMED, {"images": 3, "objects": 1, "empty_images": 2, "rewritten": 0}, id="no classes"),
        pytest.param(CORPUS, {"images": 8, "objects": 9, "empty_images": 1, "rewritten": 1}, id="corpus"),
    ],
)
def test_the_folder_is_what_fiftyone_imports(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int]
) -> None:
    assert write_fiftyone(write_predictions(tmp_path, lines), tmp_path) == counts
    images = json.loads((tmp_path / "labels.json").read_text())["images"]
    stored = {path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*.*g")}
    assert {image["file_name"] for image in images} == stored and len(stored) == len(lines)


def test_the_readme_holds_three_lines_of_python_that_name_the_finished_folder(tmp_path: Path) -> None:
    scratch = tmp_path / ".x"
    scratch.mkdir()
    write_fiftyone(write_predictions(tmp_path), scratch)
    text = (scratch / "README.txt").read_text(encoding="utf-8")
    snippet = "\n".join(row.strip() for row in text.splitlines() if row.startswith("    "))
    assert len(snippet.splitlines()) == 3
    compile(snippet, "README.txt", "exec")
    assert re.search(r"from_dir\('[^']+', fo.types.COCODetectionDataset", snippet)
