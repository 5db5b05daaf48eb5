"""FiftyOne's labels.json: classification and detection, names of images, splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_data.coco import TRAIN, coco_of, write_json
from fake_data.fiftyone import BOX, DETECTIONS, HW, write_fiftyone, write_labels
from fake_data.images import write_image

from wsol.data.ground_truth import GroundTruth
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data
from wsol.data.readers import coco
from wsol.data.readers.fiftyone import read, recognise
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError

BOX_PX = [4, 9, 16, 21]


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.round(6).tolist() for image_id, one in ground_truth.by_id.items()}


def test_detections_are_read(tmp_path: Path) -> None:
    data = open_data(write_fiftyone(tmp_path))
    assert (data.kind, data.class_names) == ("FiftyOne", ("hawk", "owl"))
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl", "night/3.jpg": "owl"}
    assert all(sample.path == tmp_path / "data" / sample.image_id for sample in data.train)
    boxes = {"1.jpg": [BOX_PX], "2.jpg": [BOX_PX, [20, 15, 30, 30]], "night/3.jpg": [BOX_PX]}
    assert boxes_of(data.read_ground_truth()) == boxes
    assert recognise(tmp_path / "labels.json")


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        pytest.param(["hawk", "owl"], {"1": 0, "2": 1}, id="numbers"),
        pytest.param(None, {"1": "hawk", "2": "owl"}, id="names"),
        pytest.param(["hawk", "owl"], {"1": {"label": 0, "confidence": 0.5}, "2": {"label": "owl"}}, id="confidences"),
        pytest.param(["hawk", "owl"], {"1": ["hawk"], "2": [1]}, id="lists"),
    ],
)
def test_classifications_are_read_and_have_no_boxes(tmp_path: Path, classes: Any, labels: dict[str, Any]) -> None:
    data = open_data(write_labels(tmp_path, labels, classes))
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl"}
    with pytest.raises(WsolError, match="no boxes in"):
        data.read_ground_truth()


def test_images_without_an_entry_or_with_an_empty_one_have_no_label(tmp_path: Path) -> None:
    write_labels(tmp_path, {"1": 0, "2": None, "3": []})
    write_image(tmp_path / "data/4.png", HW)
    data = read(tmp_path)
    assert labelled(data, data.train) == {"1.jpg": "hawk"}
    assert [sample.image_id for sample in data.unlabelled.train] == ["2.jpg", "3.jpg", "4.png"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        pytest.param(7, "unknown class", id="a number without a name"),
        pytest.param(-1, "unknown class", id="below zero"),
        pytest.param({"label": 3.5}, "unknown class", id="half a number"),
        pytest.param([{"label": 9, "bounding_box": BOX}], "unknown class", id="an object of no class"),
        pytest.param(["owl", "hawk"], "several classes", id="two classes"),
        pytest.param(
            [{"label": 0, "bounding_box": BOX}, {"label": 1, "bounding_box": BOX}], "several classes", id="two objects"
        ),
    ],
)
def test_an_image_without_one_known_class_is_left_out(tmp_path: Path, label: Any, kind: str) -> None:
    data = with_one_label(read(write_labels(tmp_path, {"1": 0, "2": label})))
    assert labelled(data, data.train) == {"1.jpg": "hawk"}
    assert [mistake.kind for mistake in data.mistakes] == [kind]
    assert data.unlabelled.train == ()


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        pytest.param([10, 20, 30, 40], "outside the image", id="pixels"),
        pytest.param([0.1, 0.2, 0.3], "not a number", id="three numbers"),
        pytest.param(["a", 0, 0, 0], "not a number", id="letters"),
        pytest.param([0.1, 0.2, 0.0, 0.4], "no area", id="no width"),
    ],
)
def test_a_bad_object_costs_its_own_box_only(tmp_path: Path, box: Any, kind: str) -> None:
    rows = [{"label": 0, "bounding_box": box}, {"label": 0, "bounding_box": BOX}]
    ground_truth = read(write_labels(tmp_path, {"1": rows})).read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == [kind]
    assert boxes_of(ground_truth) == {"1.jpg": [BOX_PX]}


def test_folders_of_splits_are_the_split(tmp_path: Path) -> None:
    write_fiftyone(tmp_path / "train")
    write_labels(tmp_path / "validation", {"1": DETECTIONS["1"]})
    data = open_data(tmp_path)
    assert list(labelled(data, data.train)) == ["train/data/1.jpg", "train/data/2.jpg", "train/data/night/3.jpg"]
    assert labelled(data, data.test) == {"validation/data/1.jpg": "hawk"}
    assert all(sample.path == tmp_path / sample.image_id for sample in (*data.train, *data.test))
    assert len(data.read_ground_truth().by_id) == 4
    assert not coco.recognise(tmp_path)


def test_coco_folders_of_splits_are_coco(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_json(tmp_path / split / "labels.json", coco_of(TRAIN))
        for name in TRAIN:
            write_image(tmp_path / split / "data" / name, HW)
    data = open_data(tmp_path)
    assert (data.kind, len(data.train), len(data.test), data.has_split) == ("COCO", 3, 3, True)
    assert all(sample.path.is_file() for sample in (*data.train, *data.test))


def test_no_name_leads_out_of_the_folder_of_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "secret.jpg", HW)
    write_labels(tmp_path / "data", {"1": 0})
    write_json(tmp_path / "data/labels.json", {"classes": ["hawk"], "labels": {"1": 0, "../../secret": 0, "..": 0}})
    data = read(tmp_path / "data")
    assert all(sample.path.is_relative_to(tmp_path / "data/data") for sample in data.train)
    assert [mistake.kind for mistake in data.mistakes] == ["unknown image"]
