"""Images with several labels: the same image in every layout, left out or used once for each label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_data import cvat, labelstudio
from fake_data.coco import HAWK, OWL, coco_of, write_json
from fake_data.csv_table import write_images, write_table
from fake_data.images import write_image
from fake_data.voc import write_voc
from fake_data.yolo import write_pairs

from wsol.data.multi_label import with_each_label, with_one_label
from wsol.data.open import open_data
from wsol.data.samples import DataSet

# The hawk of both.jpg has the box 4,9,16,21, its owl 4,6,20,18.


def write_csv(root: Path) -> Path:
    rows = [("hawk.jpg", "hawk", 4, 9, 16, 21), ("owl.jpg", "owl", 4, 6, 20, 18)]
    rows += [("both.jpg", "hawk", 4, 9, 16, 21), ("both.jpg", "owl", 4, 6, 20, 18)]
    write_images(root, rows)
    return write_table(root / "labels.csv", rows)


def write_coco(root: Path) -> Path:
    document = coco_of({"hawk.jpg": [HAWK], "owl.jpg": [OWL], "both.jpg": [HAWK, OWL]})
    for annotation in document["annotations"]:
        annotation["bbox"] = [4, 9, 12, 12] if annotation["category_id"] == HAWK else [4, 6, 16, 12]
        x, y, width, height = annotation["bbox"]
        annotation["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    for name in ("hawk.jpg", "owl.jpg", "both.jpg"):
        write_image(root / name, (30, 40))
    return write_json(root / "instances.json", document)


def write_voc_set(root: Path) -> Path:
    hawk, owl = ("hawk", 5, 10, 16, 21), ("owl", 5, 7, 20, 18)
    write_voc(root, {"hawk": [hawk], "owl": [owl], "both": [hawk, owl]})
    return root


def write_yolo_set(root: Path) -> Path:
    hawk, owl = "0 0.25 0.5 0.3 0.4\n", "1 0.3 0.4 0.4 0.4\n"
    write_pairs(root / "images", root / "labels", {"hawk.jpg": hawk, "owl.jpg": owl, "both.jpg": hawk + owl})
    (root / "data.yaml").write_text("train: images\nnames: [hawk, owl]\n")
    return root


def write_cvat_set(root: Path) -> Path:
    hawk, owl = cvat.box("hawk", 4, 9, 16, 21), cvat.polygon("owl", (4, 6), (20, 6), (20, 18), (4, 18))
    return cvat.write_cvat(root, {"hawk.jpg": hawk, "owl.jpg": owl, "both.jpg": hawk + owl})


def write_labelstudio_set(root: Path) -> Path:
    hawk, owl = labelstudio.rectangle("hawk"), labelstudio.rectangle("owl", 10, 20, 40, 40)
    tasks = {"hawk.jpg": [hawk], "owl.jpg": [owl], "both.jpg": [hawk, owl]}
    for name in tasks:
        write_image(root / name, (30, 40))
    return labelstudio.write_tasks(
        root / "tasks.json", [labelstudio.task(name, *regions) for name, regions in tasks.items()]
    )


WRITERS: list[Callable[[Path], Path]] = [
    write_csv,
    write_coco,
    write_voc_set,
    write_yolo_set,
    write_cvat_set,
    write_labelstudio_set,
]


@pytest.fixture(params=WRITERS, ids=lambda write: write.__name__)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written: Path = request.param(tmp_path)
    return written


def names_of(data: DataSet) -> dict[str, set[str]]:
    return {Path(one.image_id).stem: {data.class_names[label] for label in one.labels} for one in data.train}


def test_every_layout_gives_all_labels_and_the_boxes_of_each(root: Path) -> None:
    data = open_data(root, multi_label=True)
    assert names_of(data) == {"hawk": {"hawk"}, "owl": {"owl"}, "both": {"hawk", "owl"}}
    assert data.is_multi_label and "1 with several labels" in data.describe()
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == data.mistakes == ()
    (both,) = (one.image_id for one in data.train if one.others)
    for name, box in (("hawk", [4, 9, 16, 21]), ("owl", [4, 6, 20, 18])):
        own = ground_truth.of_class(both, name)
        assert own is not None
        np.testing.assert_allclose(own.boxes.xyxy, [box], atol=1e-4)
    assert len(ground_truth[both].boxes) == 2
    assert ground_truth.of_class(both, "wren") is None


def test_where_one_label_is_learned_they_are_left_out_by_name(root: Path) -> None:
    data = open_data(root)
    assert names_of(data) == {"hawk": {"hawk"}, "owl": {"owl"}} and not data.is_multi_label
    (mistake,) = data.mistakes
    assert mistake.kind == "several classes" and "both" in mistake.where and "hawk, owl" in mistake.what
    assert {Path(image_id).stem for image_id in data.read_ground_truth().by_id} == {"hawk", "owl"}


def test_the_masks_of_classes_are_apart(tmp_path: Path) -> None:
    ground_truth = open_data(write_coco(tmp_path), multi_label=True).read_ground_truth()
    pixels = []
    for name in ("hawk", "owl"):
        own = ground_truth.of_class("both.jpg", name)
        assert own is not None and own.read_mask is not None
        pixels.append(own.read_mask((30, 40)).is_object)
    whole = ground_truth["both.jpg"].read_mask
    assert whole is not None and [int(one.sum()) for one in pixels] == [12 * 12, 16 * 12]
    np.testing.assert_array_equal(whole((30, 40)).is_object, pixels[0] | pixels[1])


def test_evaluation_lists_an_image_once_for_each_label(tmp_path: Path) -> None:
    data = open_data(write_csv(tmp_path), multi_label=True)
    evaluated = with_each_label(data).test
    assert sorted((one.image_id, data.class_names[one.label]) for one in evaluated) == [
        ("both.jpg", "hawk"),
        ("both.jpg", "owl"),
        ("hawk.jpg", "hawk"),
        ("owl.jpg", "owl"),
    ]
    assert all(set(one.labels) == {0, 1} for one in evaluated if one.image_id == "both.jpg")


def test_without_such_images_nothing_changes(tmp_path: Path) -> None:
    rows = [("hawk.jpg", "hawk"), ("owl.jpg", "owl")]
    write_images(tmp_path, rows)
    data = open_data(write_table(tmp_path / "t.csv", rows, ("path", "label")), multi_label=True)
    assert with_one_label(data) is data and data.training_hash() == open_data(tmp_path / "t.csv").training_hash()


def test_other_labels_of_an_image_are_other_training_data(tmp_path: Path) -> None:
    table = write_csv(tmp_path)
    both = open_data(table, multi_label=True).training_hash()
    rows = [("hawk.jpg", "hawk"), ("owl.jpg", "owl"), ("both.jpg", "hawk")]
    write_table(table, rows, ("path", "label"))
    assert open_data(table, multi_label=True).training_hash() != both
