"""A layout that is not read is named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data.images import write_image

from wsol.data.nearest import NEAREST, nearest
from wsol.data.open import open_data
from wsol.errors import WsolError

LABELME = '{"version": "5.0", "shapes": [], "imagePath": "1.jpg"}'
SUPERVISELY = '{"description": "", "tags": [], "size": {"height": 30, "width": 40}, "objects": []}'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(
            {"images/1.jpg": "", "labels/1.txt": "0 0.5 0.5 0.1 0.1"}, "YOLO.*classes.txt", id="YOLO, no names"
        ),
        pytest.param({"labels/1.txt": "0 0.5 0.5 0.1 0.1"}, "YOLO.*classes.txt", id="YOLO, no images"),
        pytest.param({"train/labels/1.txt": "3 0 0 0 0", "train/images/1.jpg": ""}, "YOLO", id="YOLO, no data.yaml"),
        pytest.param({"birds.names": "owl", "1.jpg": "", "1.txt": ""}, "Darknet.*classes.txt", id="Darknet"),
        pytest.param({"train.tfrecord": "x"}, "TensorFlow.*COCO", id="TensorFlow"),
        pytest.param({"1.jpg": "", "1.json": LABELME}, "LabelMe.*COCO", id="LabelMe"),
        pytest.param({"images/1.jpg": "", "annotations/1.json": LABELME}, "LabelMe.*COCO", id="LabelMe in a folder"),
        pytest.param({"1.jpg": "", "via.json": '{"_via_settings": {}}'}, "VGG Image Annotator", id="VIA"),
        pytest.param({"img/1.jpg": "", "ann/1.jpg.json": SUPERVISELY}, "Supervisely.*COCO", id="Supervisely"),
        pytest.param(
            {"ds/img/1.jpg": "", "ds/ann/1.jpg.json": SUPERVISELY}, "Supervisely", id="Supervisely, a project"
        ),
        pytest.param(
            {"1.jpg": "", "a.json": '[{"image": "1.jpg", "annotations": [{"coordinates": {}}]}]'},
            "CreateML",
            id="CreateML",
        ),
        pytest.param({"samples.json": "{}", "data/1.jpg": ""}, "FiftyOne.*COCODetection", id="FiftyOneDataset"),
        pytest.param({"JPEGImages/1.jpg": "", "SegmentationClass/1.png": ""}, "segmentation", id="VOC's masks"),
        pytest.param({"masks/1.png": ""}, "masks alone", id="masks"),
        pytest.param({"crops/owl/1.jpg": ""}, "crops.*no boxes", id="crops"),
        pytest.param({"images/1.jpg": "", "annotations/val-annotations-bbox.csv": ""}, "Open Images", id="Open Images"),
        pytest.param({"training/label_2/1.txt": "Car 0 0", "training/image_2/1.png": ""}, "KITTI", id="KITTI"),
    ],
)
def test_the_error_names_the_nearest_layout(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, content in files.items():
        if name.endswith((".jpg", ".png")):
            write_image(tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
    with pytest.raises(WsolError, match=f"It looks like .*{words}"):
        open_data(tmp_path)


def test_class_folders_with_one_class_look_like_nothing_else(tmp_path: Path) -> None:
    for name in ("owl/1.jpg", "masks/owl/1.png"):
        write_image(tmp_path / name)
    assert nearest(tmp_path) == ""
    assert nearest(tmp_path / "owl/1.jpg") == nearest(tmp_path / "absent") == ""


def test_every_row_says_what_to_do() -> None:
    assert len({layout.name for layout in NEAREST}) == len(NEAREST)
    assert all(layout.signs and layout.advice.endswith(".") for layout in NEAREST)
