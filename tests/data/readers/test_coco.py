"""COCO as ground truth: file and image locations, the class of each image, boxes and masks, files that are not COCO."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data.coco import (
    CATEGORIES,
    HAWK,
    HW,
    OWL,
    TEST,
    TRAIN,
    coco_of,
    rectangle,
    write_json,
    write_published_coco,
    write_roboflow_coco,
    write_single_coco,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.data.ground_truth import GroundTruth, GroundTruthMask
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.coco import image_ids_of, read, recognise
from wsol.data.readers.coco_masks import read_coco_mask
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Xyxy

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

Change = Callable[[dict[str, Any]], object]


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[Xyxy]]:
    return {image_id: [tuple(box) for box in one.boxes.xyxy.tolist()] for image_id, one in ground_truth.by_id.items()}


def mask_of(ground_truth: GroundTruth, image_id: str, image_hw: tuple[int, int] = HW) -> GroundTruthMask:
    read_mask = ground_truth[image_id].read_mask
    assert read_mask is not None
    mask: GroundTruthMask = pickle.loads(pickle.dumps(read_mask))(image_hw)
    assert mask.is_object.shape == mask.is_ignored.shape == image_hw
    assert not (mask.is_object & mask.is_ignored).any()
    return mask


def ones(x0: int, y0: int, x1: int, y1: int, image_hw: tuple[int, int] = HW) -> NDArray[np.bool_]:
    mask = np.zeros(image_hw, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def changed(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    write_json(path, document)


TRAIN_LABELS = {"000000000009.jpg": "hawk", "000000000025.jpg": "owl", "000000000030.jpg": "owl"}
TEST_LABELS = {"000000000139.jpg": "hawk", "000000000285.jpg": "owl"}
TRAIN_BOXES = {
    "000000000009.jpg": [(1, 2, 11.5, 10)],
    "000000000025.jpg": [(2, 2, 12.5, 10), (3, 2, 13.5, 10)],
    "000000000030.jpg": [(4, 2, 14.5, 10)],
}
TEST_BOXES = {"000000000139.jpg": [(1, 2, 11.5, 10)], "000000000285.jpg": [(2, 2, 12.5, 10)]}


# Where things lie


def test_the_published_layout_is_read_with_its_split(tmp_path: Path) -> None:
    data = open_data(write_published_coco(tmp_path))
    assert data.kind == "COCO"
    # In the order of the category ids, not of the file.
    assert data.class_names == ("hawk", "owl")
    assert labelled(data, data.train) == TRAIN_LABELS
    assert labelled(data, data.test) == TEST_LABELS
    assert data.has_split
    assert data.train[0].path == tmp_path / "train2017/000000000009.jpg"
    assert data.test[1].path == tmp_path / "val2017/000000000285.jpg"
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == TRAIN_BOXES | TEST_BOXES
    assert ground_truth.mistakes == data.mistakes == ()
    assert image_ids_of(tmp_path) == dict(enumerate(TRAIN, start=9)) | dict(enumerate(TEST, start=139))


@pytest.mark.parametrize("test", ["test", "valid", "val"])
def test_roboflows_layout_is_read_without_its_project_as_a_class(tmp_path: Path, test: str) -> None:
    data = open_data(write_roboflow_coco(tmp_path, test))
    assert (data.kind, data.class_names) == ("COCO", ("hawk", "owl"))
    assert labelled(data, data.train) == TRAIN_LABELS
    assert labelled(data, data.test) == TEST_LABELS
    assert all(sample.path.is_file() for sample in (*data.train, *data.test))
    assert boxes_of(data.read_ground_truth()) == TRAIN_BOXES | TEST_BOXES
    # Both files count from 0; the test split is the one that is judged.
    assert image_ids_of(tmp_path) == {0: "000000000139.jpg", 1: "000000000285.jpg", 2: "000000000030.jpg"}


def test_a_category_above_others_stays_a_class_where_it_is_used(tmp_path: Path) -> None:
    write_roboflow_coco(tmp_path)
    changed(tmp_path / "train/_annotations.coco.json", lambda d: d["annotations"][0].update(category_id=0))
    assert read(tmp_path).class_names == ("birds", "hawk", "owl")


def test_images_of_one_name_are_distinguished_by_the_folder_of_their_split(tmp_path: Path) -> None:
    write_roboflow_coco(tmp_path, "test", {"000000000009.jpg": [OWL], "5.jpg": [HAWK]})
    data = open_data(tmp_path)
    assert labelled(data, data.train) == {f"train/{name}": label for name, label in TRAIN_LABELS.items()}
    assert labelled(data, data.test) == {"test/000000000009.jpg": "owl", "test/5.jpg": "hawk"}
    assert all(sample.path == tmp_path / sample.image_id for sample in (*data.train, *data.test))
    assert boxes_of(data.read_ground_truth())["test/5.jpg"] == [(2, 2, 12.5, 10)]
    assert image_ids_of(tmp_path)[0] == "test/000000000009.jpg"


@pytest.mark.parametrize("images", ["", "images", "data"])
@pytest.mark.parametrize("name", ["instances.json", "annotations/instances_default.json", "labels.json"])
@pytest.mark.parametrize("is_named", [False, True])
def test_one_file_is_training_and_test_set(tmp_path: Path, images: str, name: str, is_named: bool) -> None:
    write_single_coco(tmp_path, images, name)
    root = tmp_path / name if is_named else tmp_path
    data = open_data(root)
    assert data.train == data.test
    assert not data.has_split
    assert labelled(data, data.train) == TRAIN_LABELS
    assert all(sample.path.is_file() for sample in data.train)
    assert boxes_of(data.read_ground_truth()) == TRAIN_BOXES
    assert image_ids_of(root) == dict(enumerate(TRAIN, start=1))


@pytest.mark.parametrize(
    "written",
    ["../../label-studio/data/media/upload/1/a1b2c3d4-{}", "images\\\\a1b2c3d4-{}", "/data/upload/1/a1b2c3d4-{}"],
)
def test_names_that_label_studio_wrote_are_found_below_the_images(tmp_path: Path, written: str) -> None:
    write_single_coco(tmp_path / "data")
    (tmp_path / "data/images").rename(tmp_path / "photos")
    file = tmp_path / "data/result.json"
    (tmp_path / "data/instances.json").rename(file)
    changed(file, lambda d: [one.update(file_name=written.format(one["file_name"])) for one in d["images"]])
    data = open_data(tmp_path / "data", tmp_path / "photos")
    assert [sample.path for sample in data.train] == [tmp_path / "photos" / name for name in TRAIN]


def test_a_file_with_the_name_of_coco_is_recognised_whatever_is_in_it(tmp_path: Path) -> None:
    write_json(tmp_path / "train/_annotations.coco.json", [])
    assert recognise(tmp_path)


def test_a_name_above_the_images_leads_nowhere(tmp_path: Path) -> None:
    write_single_coco(tmp_path / "data")
    (tmp_path / "secret.jpg").write_bytes(b"")
    changed(tmp_path / "data/instances.json", lambda d: d["images"][0].update(file_name="../../secret.jpg"))
    assert read(tmp_path / "data").train[0].path == tmp_path / "data/images/secret.jpg"


def test_training_annotations_alone_are_training_and_test_set(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    (tmp_path / "annotations/instances_val2017.json").unlink()
    data = open_data(tmp_path)
    assert data.train == data.test
    assert not data.has_split


def test_validation_annotations_alone_are_a_list_of_ground_truth(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    (tmp_path / "annotations/instances_train2017.json").unlink()
    data = open_ground_truth(tmp_path)
    assert data.train == ()
    assert labelled(data, data.test) == TEST_LABELS
    assert boxes_of(data.read_ground_truth()) == TEST_BOXES
    with pytest.raises(WsolError, match="no training images"):
        open_data(tmp_path)


@pytest.mark.parametrize("places", [("train2017", "val2017"), ("all", "all")])
def test_images_may_be_in_another_folder(tmp_path: Path, places: tuple[str, str]) -> None:
    root, photos = tmp_path / "root", tmp_path / "photos"
    write_published_coco(root)
    for split, place in zip(("train2017", "val2017"), places, strict=True):
        (photos / place).mkdir(parents=True, exist_ok=True)
        for path in (root / split).iterdir():
            path.rename(photos / place / path.name)
    data = read(root, photos if places[0] != "all" else photos / "all")
    assert all(sample.path.is_file() for sample in (*data.train, *data.test))


def test_the_folder_of_a_split_goes_before_the_folder_of_all(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    for name in TRAIN:
        (tmp_path / name).write_bytes(b"a thumbnail")
    assert read(tmp_path, tmp_path).train[0].path == tmp_path / "train2017/000000000009.jpg"


def test_ground_truth_is_read_without_the_images(tmp_path: Path) -> None:
    file = write_json(tmp_path / "instances_val2017.json", coco_of(TEST))
    data = open_ground_truth(file)
    assert data.test[0].path == tmp_path / "000000000139.jpg"
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == TEST_BOXES
    assert {one.image_hw for one in ground_truth.by_id.values()} == {HW}


def test_slashes_are_slashes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", coco_of({r"owls\night\1.jpg": [OWL], "./hawks/1.jpg": [HAWK]}))
    data = open_ground_truth(tmp_path)
    assert labelled(data, data.train) == {"owls/night/1.jpg": "owl", "hawks/1.jpg": "hawk"}
    assert data.train[0].path == tmp_path / "owls/night/1.jpg"


@pytest.mark.parametrize(
    ("files", "is_coco"),
    [
        pytest.param({}, False, id="an empty folder"),
        pytest.param({"a.json": {"images": []}}, True, id="a list of images"),
        pytest.param({"._a.json": {"images": []}}, False, id="a hidden file"),
        pytest.param({"a.json": [{"image_id": 1}]}, False, id="results"),
        pytest.param({"a.json": {"shapes": [], "imagePath": "a.jpg"}}, False, id="LabelMe"),
        pytest.param({"a.json": {"classes": ["images", "annotations"]}}, False, id="settings of another tool"),
        pytest.param({"a.json": {"images": 6, "kind": "annotations", "categories": {"a": []}}}, False, id="counts"),
        pytest.param({"a.json": {"info": {"images": "]{"}, "images": []}}, True, id="brackets in words"),
        pytest.param({f"{n}.json": {"images": [], "annotations": []} for n in range(21)}, False, id="a file an image"),
        pytest.param({"owl/a.json": {"images": [], "annotations": []}}, False, id="in a class folder"),
    ],
)
def test_a_folder_is_recognised_by_its_json(tmp_path: Path, files: dict[str, Any], is_coco: bool) -> None:
    for name, document in files.items():
        write_json(tmp_path / name, document)
    assert recognise(tmp_path) == is_coco


def test_a_json_file_is_recognised_whatever_is_in_it(tmp_path: Path) -> None:
    assert recognise(tmp_path / "a.json")
    assert not recognise(tmp_path / "a.csv")


# Labels


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        pytest.param(
            lambda d: d["annotations"][1].update(category_id=HAWK), "several classes", "hawk, owl", id="two classes"
        ),
        pytest.param(
            lambda d: [a.update(category_id=5) for a in d["annotations"][1:3]],
            "unknown class",
            "[5]",
            id="a class that is not listed",
        ),
        pytest.param(lambda d: d["annotations"].__delitem__(slice(1, 3)), "no label", "got none", id="no annotation"),
        pytest.param(
            lambda d: [a.update(iscrowd=1) for a in d["annotations"][1:3]],
            "no true box",
            "got only crowds",
            id="crowds alone",
        ),
    ],
)
def test_an_image_without_one_class_is_left_out_and_noted(
    tmp_path: Path, change: Change, kind: str, words: str
) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, change)
    data = open_ground_truth(file)
    assert labelled(data, data.train) == {n: c for n, c in TRAIN_LABELS.items() if n != "000000000025.jpg"}
    assert [mistake.kind for mistake in data.mistakes] == [kind]
    assert "000000000025.jpg" in data.mistakes[0].where
    assert words in data.mistakes[0].what
    assert ", 1 image left out" in data.describe()
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {n: b for n, b in TRAIN_BOXES.items() if n != "000000000025.jpg"}
    assert ground_truth.mistakes == ()  # reported once


def test_a_crowd_gives_no_class(tmp_path: Path) -> None:
    document = coco_of(TRAIN | {"x.jpg": [HAWK, OWL]})
    document["annotations"][-1]["iscrowd"] = 1
    data = read(write_json(tmp_path / "a.json", document))
    assert labelled(data, data.train) == TRAIN_LABELS | {"x.jpg": "hawk"}
    assert boxes_of(data.read_ground_truth())["x.jpg"] == [(5, 2, 15.5, 10)]


def test_without_usable_images_the_error_names_the_first_mistake(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a.json", coco_of({"1.jpg": [HAWK, OWL], "2.jpg": [HAWK, OWL]}))
    with pytest.raises(WsolError, match=r"none of the 2 images.*several classes: .*1\.jpg.*Fix"):
        open_ground_truth(file)
    write_json(file, coco_of({}))
    with pytest.raises(WsolError, match=r"no images in .*a\.json"):
        open_ground_truth(file)


# Ground truth


def test_malformed_boxes_matter_only_when_ground_truth_is_read(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    whole = open_data(tmp_path)
    file = tmp_path / "annotations/instances_val2017.json"
    changed(file, lambda d: d["annotations"][1].update(bbox=["poison", 1, 2, 3], segmentation="poison"))
    poisoned = open_data(tmp_path)
    assert (poisoned.train, poisoned.test) == (whole.train, whole.test)
    assert poisoned.training_hash() == whole.training_hash()
    ground_truth = poisoned.read_ground_truth()
    (mistake,) = ground_truth.mistakes
    assert mistake.kind == "not a number" and mistake.where == f"{file}, annotation 2"
    assert "expected bbox [x, y, width, height] of four numbers, got ['poison'" in mistake.what
    assert set(ground_truth.by_id) == set(whole.read_ground_truth().by_id) - {"000000000285.jpg"}


@pytest.mark.parametrize(
    ("new", "kind"),
    [
        pytest.param({"bbox": [5, 2, -3, 8]}, "swapped corners", id="a negative width"),
        pytest.param({"bbox": [5, 2, 0, 8]}, "no area", id="no width"),
        pytest.param({"bbox": [5, 2, float("nan"), 8]}, "not a number", id="nan"),
        pytest.param({"bbox": [40, 2, 3, 8]}, "outside the image", id="outside"),
        pytest.param({"bbox": ["5", "2", "3", "8"]}, "not a number", id="letters"),
        pytest.param({"bbox": [5, 2, 3]}, "not a number", id="three numbers"),
        pytest.param({"bbox": [5, 2, 10**400, 8]}, "not a number", id="a number that no float holds"),
        pytest.param({"bbox": {"x": 5}}, "not a number", id="names for numbers"),
        pytest.param({"bbox": [0.2, 0.3, 0.5, 0.4]}, "fractions", id="fractions of the image"),
        pytest.param({"bbox": [], "segmentation": []}, "no true box", id="no numbers"),
        pytest.param({"bbox": None, "segmentation": None}, "no true box", id="no box"),
        pytest.param({"bbox": None, "segmentation": [[1, 2, 3, 4]]}, "no true box", id="no polygon"),
        pytest.param({"bbox": None, "segmentation": None, "keypoints": [1, 2, 2]}, "no true box", id="keypoints alone"),
        pytest.param({"image_id": 99}, "unknown image", id="an image that is not listed"),
        pytest.param({"category_id": 99}, "unknown class", id="a class that is not listed"),
    ],
)
def test_a_senseless_annotation_is_noted_and_not_used(tmp_path: Path, new: dict[str, Any], kind: str) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, lambda d: d["annotations"][2].update(new))
    data = read(file)
    assert labelled(data, data.train) == TRAIN_LABELS
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == TRAIN_BOXES | {"000000000025.jpg": [(2, 2, 12.5, 10)]}
    assert [(mistake.kind, mistake.where) for mistake in ground_truth.mistakes] == [(kind, f"{file}, annotation 3")]


def test_boxes_end_with_the_image(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a.json", coco_of({"1.jpg": [OWL], "2.jpg": [OWL]}))
    changed(file, lambda d: d["annotations"][0].update(bbox=[-0.5, 20, 41, 10.5]))
    changed(file, lambda d: d["annotations"][1].update(bbox=[-5, 20, 41, 10.5]))
    ground_truth = read(file).read_ground_truth()
    assert boxes_of(ground_truth) == {"1.jpg": [(0, 20, 40, 30)], "2.jpg": [(0, 20, 36, 30)]}
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["reaches outside, clipped"]


@pytest.mark.parametrize("hw", [{}, {"height": 0, "width": 0}, {"height": None, "width": 40}])
def test_where_the_file_gives_no_size_the_image_does(tmp_path: Path, hw: dict[str, Any]) -> None:
    write_single_coco(tmp_path, "")

    def without_size(document: dict[str, Any]) -> None:
        for image in document["images"]:
            del image["height"], image["width"]
            image.update(hw)

    changed(tmp_path / "instances.json", without_size)
    (tmp_path / "000000000009.jpg").unlink()
    (tmp_path / "000000000025.jpg").write_bytes(b"")
    ground_truth = read(tmp_path).read_ground_truth()
    assert boxes_of(ground_truth) == {"000000000030.jpg": [(4, 2, 14.5, 10)]}
    assert ground_truth["000000000030.jpg"].image_hw == HW
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["missing image", "broken image"]


# Masks


def uncompressed(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Runs of zeros and ones down the columns, the first of zeros."""
    runs, value = [0], False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs}


def compressed(mask: NDArray[np.bool_]) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)), st.integers(1, 3))
def test_run_lengths_are_the_mask_they_were_made_of(mask: NDArray[np.bool_], scale: int) -> None:
    mask = np.kron(mask, np.ones((scale, scale), dtype=bool))
    hw = (mask.shape[0], mask.shape[1])
    for written in (uncompressed(mask), compressed(mask)):
        found = read_coco_mask([written], [], hw, "here", hw)
        np.testing.assert_array_equal(found.is_object, mask)
        assert not found.is_ignored.any()


@given(arrays(bool, (3, 5, 7)), arrays(bool, (2, 5, 7)))
def test_objects_are_united_and_crowds_are_ignored_where_no_object_is(
    objects: NDArray[np.bool_], crowds: NDArray[np.bool_]
) -> None:
    found = read_coco_mask([compressed(m) for m in objects], [uncompressed(m) for m in crowds], (5, 7), "here", (5, 7))
    np.testing.assert_array_equal(found.is_object, objects.any(axis=0))
    np.testing.assert_array_equal(found.is_ignored, crowds.any(axis=0) & ~objects.any(axis=0))


@pytest.mark.parametrize(
    "way", [lambda m: rectangle(2, 2, 10, 8), uncompressed, compressed], ids=["polygons", "runs", "compressed runs"]
)
def test_an_image_has_the_mask_of_all_its_objects(tmp_path: Path, way: Callable[[NDArray[np.bool_]], Any]) -> None:
    document = coco_of(TRAIN)
    first, second = document["annotations"][1:3]
    first["segmentation"] = way(ones(2, 2, 12, 10))
    second["segmentation"] = [*rectangle(20, 2, 5, 5), *rectangle(30, 10, 4, 4)]
    document["annotations"].append(
        {
            "id": 9,
            "image_id": first["image_id"],
            "category_id": HAWK,
            "iscrowd": 1,
            "bbox": [10, 2, 6, 8],
            "segmentation": uncompressed(ones(10, 2, 16, 10)),
        }
    )
    ground_truth = read(write_json(tmp_path / "a.json", document)).read_ground_truth()
    assert boxes_of(ground_truth) == TRAIN_BOXES
    mask = mask_of(ground_truth, "000000000025.jpg")
    is_object = ones(2, 2, 12, 10) | ones(20, 2, 25, 7) | ones(30, 10, 34, 14)
    np.testing.assert_array_equal(mask.is_object, is_object)
    np.testing.assert_array_equal(mask.is_ignored, ones(12, 2, 16, 10))
    larger = mask_of(ground_truth, "000000000025.jpg", (60, 80))
    np.testing.assert_array_equal(larger.is_object, np.kron(is_object, np.ones((2, 2), dtype=bool)))
    np.testing.assert_array_equal(larger.is_ignored, np.kron(ones(12, 2, 16, 10), np.ones((2, 2), dtype=bool)))
    assert not mask_of(ground_truth, "000000000009.jpg").is_ignored.any()


@pytest.mark.parametrize("absent", [{"segmentation": []}, {"segmentation": None}])
@pytest.mark.parametrize("iscrowd", [0, 1])
def test_a_mask_that_would_lack_an_object_is_none(tmp_path: Path, absent: dict[str, Any], iscrowd: int) -> None:
    document = coco_of(TRAIN)
    document["annotations"][2].update(absent, iscrowd=iscrowd)
    ground_truth = read(write_json(tmp_path / "a.json", document)).read_ground_truth()
    assert ground_truth["000000000025.jpg"].read_mask is None
    assert ground_truth["000000000009.jpg"].read_mask is not None


def test_a_mask_without_a_usable_box_is_not_used(tmp_path: Path) -> None:
    document = coco_of(TRAIN)
    document["annotations"][0]["bbox"] = [90, 90, 5, 5]
    ground_truth = read(write_json(tmp_path / "a.json", document)).read_ground_truth()
    assert "000000000009.jpg" not in ground_truth


def test_an_object_without_a_box_is_in_the_mask_all_the_same(tmp_path: Path) -> None:
    document = coco_of(TRAIN)
    del document["annotations"][2]["bbox"]
    ground_truth = read(write_json(tmp_path / "a.json", document)).read_ground_truth()
    np.testing.assert_array_equal(mask_of(ground_truth, "000000000025.jpg").is_object, ones(2, 2, 13, 10))


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        pytest.param("poison", "polygons", id="a word"),
        pytest.param([1, 2, 3, 4, 5, 6], "polygons", id="a polygon that is not in a list"),
        pytest.param([[1, 2, 9, 8]], "polygons", id="a polygon of two points, which would be read as a box"),
        pytest.param([[1, 2, 9, 8, 3, 4, 5]], "polygons", id="an odd number"),
        pytest.param([[1, 2, 9, 8, 3, float("nan")]], "polygons", id="nan"),
        pytest.param([[1, 2, 9, 8, 3, "4"]], "polygons", id="a word in a polygon"),
        pytest.param([[0, 0, 1e12, 0, 1e12, 2e12]], "polygons", id="far corners, which would end the process"),
        pytest.param(
            {"size": [30, 40], "counts": [5, 1]}, "1200 pixels", id="short runs, which would show memory of others"
        ),
        pytest.param({"size": [30, 40], "counts": "1"}, "1200 pixels", id="short compressed runs"),
        pytest.param({"size": [30, 40], "counts": ""}, "1200 pixels", id="no runs"),
        pytest.param({"size": [30, 40], "counts": [1199, 2]}, "1200 pixels", id="long runs"),
        pytest.param({"size": [30, 40], "counts": [1201, -1]}, "1200 pixels", id="a negative run"),
        pytest.param({"size": [30, 40], "counts": "zzz"}, "1200 pixels", id="senseless letters"),
        pytest.param({"size": [30, 40], "counts": "é"}, "1200 pixels", id="letters that are not ASCII"),
        pytest.param({"size": [30, 40]}, "1200 pixels", id="no counts"),
        pytest.param({"size": [40, 30], "counts": [1200]}, "(height, width)", id="another size"),
        pytest.param({"counts": [1200]}, "(height, width)", id="no size"),
    ],
)
def test_a_senseless_segmentation_breaks_its_own_mask_only(tmp_path: Path, segmentation: Any, words: str) -> None:
    document = coco_of(TRAIN)
    document["annotations"][2]["segmentation"] = segmentation
    ground_truth = read(write_json(tmp_path / "a.json", document)).read_ground_truth()
    assert boxes_of(ground_truth) == TRAIN_BOXES
    with pytest.raises(BrokenImage, match=r"a\.json, 000000000025\.jpg: expected.*got.*Fix") as raised:
        mask_of(ground_truth, "000000000025.jpg")
    assert words in str(raised.value)
    assert mask_of(ground_truth, "000000000009.jpg").is_object.any()


# What is no COCO


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", "is not JSON", id="an empty file"),
        pytest.param("path,label", "is not JSON", id="a table"),
        pytest.param(b"\xff\xfe\x00", "is not JSON", id="bytes"),
        pytest.param("[]", "got a list", id="an empty list"),
        pytest.param("3", "got a int", id="a number"),
        pytest.param("{}", "one without images, categories, annotations", id="an empty object"),
        pytest.param('{"images": [], "categories": []}', "one without annotations", id="images without annotations"),
        pytest.param(
            '{"images": [], "categories": [], "annotations": {}}', "one without annotations", id="annotations by id"
        ),
        pytest.param(
            '[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
            "a list of COCO results. Give the file of the annotated boxes",
            id="results",
        ),
        pytest.param('[{"id": 1, "data": {"image": "a"}}]', "Label Studio. Export", id="Label Studio, not annotated"),
        pytest.param('{"version": "5", "shapes": [], "imagePath": "a.jpg"}', "LabelMe", id="LabelMe"),
        pytest.param('{"_via_settings": {}, "_via_img_metadata": {}}', "VGG Image Annotator", id="VIA"),
    ],
)
def test_what_is_no_coco_is_reported_by_what_it_looks_like(tmp_path: Path, content: str | bytes, words: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(WsolError, match=r"a\.json is not.*expected.*(Give|Export|Convert)") as raised:
        open_ground_truth(file)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda d: d["images"][1].pop("id"), "images[1]: expected an integer id", id="an image without id"),
        pytest.param(
            lambda d: d["images"][1].update(id="9"), "images[1]: expected an integer id", id="an id of letters"
        ),
        pytest.param(lambda d: d["images"][1].pop("file_name"), "file_name", id="an image without name"),
        pytest.param(lambda d: d["images"].append(3), "images[3]", id="an image that is a number"),
        pytest.param(lambda d: d["images"][1].update(id=1), "got 1 twice", id="an id twice"),
        pytest.param(
            lambda d: d["images"][1].update(file_name="000000000009.jpg"), "'000000000009.jpg' twice", id="a name twice"
        ),
        pytest.param(lambda d: d["categories"][1].pop("name"), "categories[1]", id="a category without name"),
        pytest.param(lambda d: d["categories"][1].update(name="owl"), "'owl' twice", id="two categories of one name"),
    ],
)
def test_a_senseless_entry_is_named(tmp_path: Path, change: Change, words: str) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, change)
    with pytest.raises(WsolError, match=r"a\.json.*expected.*got.*(Fix|Renumber|Merge)") as raised:
        read(file)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda d: d["annotations"][0].pop("category_id"), "annotations[0]: expected integers", id="no category"
        ),
        pytest.param(lambda d: d["annotations"][0].update(image_id="1"), "annotations[0]", id="an image by letters"),
        pytest.param(lambda d: d["annotations"][0].update(image_id=True), "annotations[0]", id="an image by truth"),
        pytest.param(lambda d: d["annotations"].append(None), "annotations[4]", id="an annotation that is null"),
        pytest.param(
            lambda d: d["annotations"].append({"image_id": 1, "caption": "an owl"}), "got a caption", id="a caption"
        ),
    ],
)
def test_one_annotation_of_nothing_is_one_mistake(tmp_path: Path, change: Change, words: str) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, change)
    ground_truth = read(file).read_ground_truth()
    assert len(ground_truth.by_id) >= 2
    (mistake,) = ground_truth.mistakes
    assert words in f"{mistake.where}: {mistake.what}"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        pytest.param({"image_id": 1, "caption": "an owl"}, "a caption", id="captions"),
        pytest.param(
            {"image_id": 1, "segments_info": [{"id": 1, "category_id": 7}]}, "a panoptic segmentation", id="panoptic"
        ),
        pytest.param({"image_id": "1", "category_id": 7}, "'image_id': '1'", id="letters"),
    ],
)
def test_a_file_of_another_kind_of_annotations_is_refused_by_its_kind(
    tmp_path: Path, annotation: dict[str, Any], words: str
) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN) | {"annotations": [annotation, annotation]})
    with pytest.raises(
        WsolError, match=r"a\.json, annotations\[0\]: expected.*Give the file of the instances"
    ) as raised:
        read(file)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("segmentation", "box"),
    [
        pytest.param([[3, 4, 13, 4, 13, 9, 3, 9]], (3, 4, 13, 9), id="a polygon"),
        pytest.param([[3, 4, 8, 4, 8, 9, 3, 9], [20, 1, 25, 1, 25, 5, 20, 5]], (3, 1, 25, 9), id="two polygons"),
        pytest.param(
            {"size": [30, 40], "counts": [30 * 3 + 4, 5, 25, 5, 30 * 35 + 21]}, (3, 4, 5, 9), id="run lengths"
        ),
    ],
)
@pytest.mark.parametrize("bbox", [None, []])
def test_an_annotation_without_a_box_takes_that_of_its_segmentation(
    tmp_path: Path, segmentation: object, box: Xyxy, bbox: object
) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, lambda d: d["annotations"][0].update(bbox=bbox, segmentation=segmentation))
    ground_truth = read(file).read_ground_truth()
    assert boxes_of(ground_truth)["000000000009.jpg"] == [box] and not ground_truth.mistakes


def test_an_annotation_of_keypoints_with_a_box_is_a_box(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a.json", coco_of(TRAIN))
    changed(file, lambda d: d["annotations"][0].update(keypoints=[1, 2, 2], num_keypoints=1, segmentation=[]))
    assert boxes_of(read(file).read_ground_truth()) == TRAIN_BOXES


def test_a_category_must_have_one_name_in_both_splits(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    changed(tmp_path / "annotations/instances_val2017.json", lambda d: d["categories"][0].update(name="eagle"))
    with pytest.raises(WsolError, match=r"val2017\.json: expected category 7 to be 'owl'.*'eagle'"):
        read(tmp_path)


def test_a_category_of_one_split_alone_is_a_class_of_both(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    file = tmp_path / "annotations/instances_val2017.json"
    changed(file, lambda d: d.update(categories=[{"id": 5, "name": "eagle"}, *CATEGORIES]))
    changed(file, lambda d: d["annotations"][0].update(category_id=5))
    assert read(tmp_path).class_names == ("hawk", "eagle", "owl")


@pytest.mark.parametrize(
    "categories",
    [
        pytest.param([{"id": 0, "name": "background"}, *CATEGORIES], id="a background"),
        pytest.param(
            [*CATEGORIES, *({"id": 10 + n, "name": f"c{n}"} for n in range(78))], id="all of a subset's whole"
        ),
        pytest.param([{"id": 0, "name": "birds", "supercategory": "none"}, *CATEGORIES], id="Roboflow's project"),
    ],
)
def test_categories_of_no_image_are_left_out_and_reported(tmp_path: Path, categories: list[dict[str, Any]]) -> None:
    file = write_json(write_single_coco(tmp_path) / "instances.json", coco_of(TRAIN) | {"categories": categories})
    data = open_data(file)
    assert data.class_names == ("hawk", "owl")
    assert data.unused == tuple(one["name"] for one in categories if one not in CATEGORIES)
    assert f"{len(data.unused)} unused class" in data.describe()
    assert data.unused[0] in data.notes()[0]
    assert boxes_of(data.read_ground_truth()) == TRAIN_BOXES


def test_a_category_of_images_with_several_classes_alone_is_left_out(tmp_path: Path) -> None:
    document = coco_of(TRAIN | {"both.jpg": [HAWK, 5]}) | {"categories": [*CATEGORIES, {"id": 5, "name": "eagle"}]}
    every = read(write_json(tmp_path / "a.json", document))
    assert every.class_names == ("hawk", "eagle", "owl") and every.mistakes == ()
    (both,) = (one for one in every.train if one.image_id == "both.jpg")
    assert [every.class_names[label] for label in both.labels] == ["eagle", "hawk"]
    data = with_one_label(every)
    assert data.class_names == ("hawk", "owl") and data.unused == ("eagle",)
    assert [mistake.kind for mistake in data.mistakes] == ["several classes"]


def test_several_files_for_one_split_are_named(tmp_path: Path) -> None:
    write_published_coco(tmp_path)
    write_json(tmp_path / "annotations/instances_train2014.json", coco_of(TRAIN))
    with pytest.raises(WsolError, match=r"expected one file.*instances_train2014\.json, annotations/"):
        read(tmp_path)
    assert read(tmp_path / "annotations/instances_train2014.json").train
