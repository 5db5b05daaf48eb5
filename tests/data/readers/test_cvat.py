"""CVAT for images: boxes, polygons, masks and tags, subsets, where images lie, and shapes that are no boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_data.cvat import HW, SHAPES, box, mask, polygon, tag, write_cvat, write_cvat_xml
from fake_data.images import write_image

from wsol.data.ground_truth import GroundTruth
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.cvat import read, recognise
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

BOX_PX = [4, 9, 16, 21]
OWL, HAWK = box("owl", *BOX_PX), box("hawk", *BOX_PX)


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.tolist() for image_id, one in ground_truth.by_id.items()}


def mask_of(ground_truth: GroundTruth, image_id: str) -> np.ndarray:
    read_mask = ground_truth[image_id].read_mask
    assert read_mask is not None
    return read_mask(HW).is_object


def test_the_export_of_a_task_is_read(tmp_path: Path) -> None:
    data = open_data(write_cvat(tmp_path))
    assert (data.kind, data.class_names, data.has_split) == ("CVAT for images", ("hawk", "owl"), False)
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl", "night/3.jpg": "owl"}
    assert all(sample.path == tmp_path / "images" / sample.image_id for sample in data.train)
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == data.mistakes == ()
    assert boxes_of(ground_truth) == {
        "1.jpg": [BOX_PX],
        "2.jpg": [BOX_PX, [4, 6, 20, 18]],
        "night/3.jpg": [[6, 6, 9, 8]],
    }
    assert ground_truth["2.jpg"].read_mask is None, "one of the two objects has only a box"
    expected = np.zeros(HW, dtype=bool)
    expected[6, 6:9] = expected[7, 7:9] = True
    assert np.array_equal(mask_of(ground_truth, "night/3.jpg"), expected)


def test_the_file_alone_is_ground_truth_without_images(tmp_path: Path) -> None:
    file = write_cvat_xml(tmp_path / "birds.xml", SHAPES)
    assert recognise(file)
    data = open_ground_truth(file)
    assert len(data.test) == 3
    assert set(data.read_ground_truth().by_id) == set(SHAPES)


def test_the_subsets_of_a_project_are_its_split(tmp_path: Path) -> None:
    subsets = {"1.jpg": "Train", "2.jpg": "train", "night/3.jpg": "Validation"}
    data = read(write_cvat(tmp_path, SHAPES, subsets))
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl"}
    assert labelled(data, data.test) == {"night/3.jpg": "owl"}


def test_a_subset_that_is_no_split_says_nothing(tmp_path: Path) -> None:
    assert not read(write_cvat(tmp_path, SHAPES, dict.fromkeys(SHAPES, "default"))).has_split


def test_other_tools_write_other_names_and_a_file_for_each_subset(tmp_path: Path) -> None:
    write_cvat_xml(tmp_path / "one/labels.xml", {"1.jpg": OWL})
    write_image(tmp_path / "one/data/1.jpg", HW)
    assert [sample.path for sample in read(tmp_path / "one").train] == [tmp_path / "one/data/1.jpg"]
    write_cvat_xml(tmp_path / "two/train.xml", {"1.jpg": OWL, "2.jpg": HAWK})
    write_cvat_xml(tmp_path / "two/val.xml", {"3.jpg": OWL})
    data = open_ground_truth(tmp_path / "two")
    assert (labelled(data, data.train), labelled(data, data.test)) == (
        {"1.jpg": "owl", "2.jpg": "hawk"},
        {"3.jpg": "owl"},
    )
    assert len(data.read_ground_truth().by_id) == 3


def test_images_are_found_in_the_folder_of_their_subset(tmp_path: Path) -> None:
    write_cvat_xml(tmp_path / "annotations.xml", {"1.jpg": OWL, "2.jpg": HAWK})
    for name in ("1.jpg", "2.jpg"):
        write_image(tmp_path / "images/Train" / name, HW)
    assert [sample.image_id for sample in read(tmp_path).train] == ["Train/1.jpg", "Train/2.jpg"]


# Labels


def test_tags_are_labels_of_the_image(tmp_path: Path) -> None:
    shapes = {"1.jpg": tag("owl"), "2.jpg": tag("hawk"), "3.jpg": tag("owl") + tag("hawk"), "4.jpg": tag("owl") + OWL}
    data = with_one_label(read(write_cvat(tmp_path, shapes)))
    assert labelled(data, data.train) == {"1.jpg": "owl", "2.jpg": "hawk", "4.jpg": "owl"}
    assert [mistake.kind for mistake in data.mistakes] == ["several classes"]
    assert boxes_of(data.read_ground_truth()) == {"4.jpg": [BOX_PX]}


def test_objects_of_one_name_are_of_the_class_of_the_tag(tmp_path: Path) -> None:
    thing = box("object", *BOX_PX)
    data = read(write_cvat(tmp_path, {"1.jpg": tag("owl") + thing, "2.jpg": tag("hawk") + thing}))
    assert labelled(data, data.train) == {"1.jpg": "owl", "2.jpg": "hawk"}
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [BOX_PX], "2.jpg": [BOX_PX]}


def test_objects_of_one_name_that_is_a_tag_are_of_that_class(tmp_path: Path) -> None:
    data = with_one_label(read(write_cvat(tmp_path, {"1.jpg": tag("owl") + OWL, "2.jpg": tag("hawk") + OWL})))
    assert labelled(data, data.train) == {"1.jpg": "owl"}
    assert [mistake.kind for mistake in data.mistakes] == ["several classes"]


def test_a_tag_that_is_no_class_of_the_objects_is_a_second_class(tmp_path: Path) -> None:
    data = with_one_label(read(write_cvat(tmp_path, {"1.jpg": tag("blurred") + OWL, "2.jpg": HAWK})))
    assert labelled(data, data.train) == {"2.jpg": "hawk"}
    assert "blurred, owl" in data.mistakes[0].what


def test_data_sets_of_tags_have_no_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="no boxes in"):
        read(write_cvat(tmp_path, {"1.jpg": tag("owl"), "2.jpg": tag("hawk")})).read_ground_truth()


def test_an_image_without_shapes_has_no_label(tmp_path: Path) -> None:
    data = read(write_cvat(tmp_path, {"1.jpg": OWL, "2.jpg": ""}))
    assert [sample.image_id for sample in data.unlabelled.train] == ["2.jpg"]
    assert [mistake.kind for mistake in data.mistakes] == ["no label"]


# Shapes

ROTATED = box("owl", *BOX_PX, 'rotation="31.5"')


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        pytest.param(ROTATED, "no true box", "rotated by 31.5; draw a polygon", id="a rotated box"),
        pytest.param('<ellipse label="owl" cx="9" cy="9" rx="3" ry="2"/>', "no true box", "<ellipse>", id="an ellipse"),
        pytest.param('<points label="owl" points="1,2"/>', "no true box", "<points>", id="a point"),
        pytest.param('<skeleton label="owl"/>', "no true box", "<skeleton>", id="a skeleton"),
        pytest.param(polygon("owl", (1, 2), (3, 4)), "not a number", "x,y;x,y;x,y", id="two corners"),
        pytest.param('<polygon label="owl" points="1,2;3;4,5"/>', "not a number", "'1,2;3;4,5'", id="half a corner"),
        pytest.param('<box label="owl" xtl="1" ytl="x" xbr="3" ybr="4"/>', "not a number", "nan", id="letters"),
        pytest.param('<box label="owl" xtl="1"/>', "not a number", "nan", id="no corners"),
        pytest.param(box("owl", 9, 9, 3, 3), "swapped corners", "", id="swapped"),
        pytest.param(box("owl", 50, 3, 60, 20), "outside the image", "", id="outside"),
        pytest.param(mask("owl", "1, 3, 2", 5, 6, 4, 2), "broken mask", "8 pixels", id="runs too short"),
        pytest.param(mask("owl", "1, x, 2", 5, 6, 4, 2), "broken mask", "8 pixels", id="runs of letters"),
        pytest.param(mask("owl", "8", 5, 6, 4, 2), "no area", "empty mask", id="an empty mask"),
        pytest.param(mask("owl", "0, 8", 38, 6, 4, 2), "broken mask", "inside 40 x 30", id="a mask beyond the image"),
        pytest.param('<mask label="owl" rle="8"/>', "broken mask", "whole pixels", id="a mask without a crop"),
    ],
)
def test_a_bad_shape_costs_its_own_box_only(tmp_path: Path, shape: str, kind: str, words: str) -> None:
    data = read(write_cvat(tmp_path, {"1.jpg": shape + OWL, "2.jpg": HAWK}))
    assert labelled(data, data.train) == {"1.jpg": "owl", "2.jpg": "hawk"}
    ground_truth = data.read_ground_truth()
    (mistake,) = ground_truth.mistakes
    assert (mistake.kind, words in mistake.what) == (kind, True), mistake
    assert "image 1 ('1.jpg')" in mistake.where
    assert boxes_of(ground_truth) == {"1.jpg": [BOX_PX], "2.jpg": [BOX_PX]}


def test_a_full_turn_is_no_rotation(tmp_path: Path) -> None:
    assert (
        read(write_cvat(tmp_path, {"1.jpg": box("owl", *BOX_PX, 'rotation="360.0"')})).read_ground_truth().mistakes
        == ()
    )


@pytest.mark.parametrize(
    ("second", "count"),
    [
        pytest.param(mask("owl", "0, 4", 5, 6, 2, 2), 1, id="of the same object"),
        pytest.param(mask("owl", "0, 4", 9, 6, 2, 2), 2, id="elsewhere"),
        pytest.param(polygon("owl", (5, 6), (7, 6), (7, 8), (5, 8)), 1, id="as a polygon"),
        pytest.param(box("owl", 5, 6, 7, 8), 2, id="another box"),
    ],
)
def test_a_box_and_a_mask_of_one_object_are_one_object(tmp_path: Path, second: str, count: int) -> None:
    ground_truth = read(write_cvat(tmp_path, {"1.jpg": box("owl", 5, 6, 7, 8.4) + second})).read_ground_truth()
    assert len(ground_truth["1.jpg"].boxes) == count
    assert (ground_truth["1.jpg"].read_mask is not None) == (count == 1)


def test_poisoned_corners_change_no_label(tmp_path: Path) -> None:
    whole = read(write_cvat(tmp_path))
    poisoned = read(write_cvat(tmp_path, SHAPES | {"1.jpg": '<box label="hawk" xtl="no"/>'}))
    assert (poisoned.train, poisoned.class_names, poisoned.mistakes) == (whole.train, whole.class_names, ())


# Files


def test_an_image_twice_is_annotated_once(tmp_path: Path) -> None:
    write_cvat_xml(tmp_path / "annotations.xml", {"1.jpg": OWL, "2.jpg": HAWK})
    text = (tmp_path / "annotations.xml").read_text().replace("2.jpg", "./1.jpg")
    (tmp_path / "annotations.xml").write_text(text)
    data = read(tmp_path)
    assert labelled(data, data.train) == {"1.jpg": "owl"}
    assert [mistake.kind for mistake in data.mistakes] == ["unknown image"]
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [BOX_PX]}


def test_no_name_leads_out_of_the_folder_of_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "secret.jpg", HW)
    write_cvat(tmp_path / "data", {"1.jpg": OWL})
    write_cvat_xml(tmp_path / "data/annotations.xml", {"1.jpg": OWL, "../../secret.jpg": HAWK, "..": HAWK})
    data = read(tmp_path / "data")
    assert [sample.path for sample in data.train] == [
        tmp_path / "data/images" / name for name in ("1.jpg", "secret.jpg")
    ]
    assert [mistake.kind for mistake in data.mistakes] == ["unknown image"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('<annotations><track id="0" label="owl"></track></annotations>', "tracks of a video", id="video"),
        pytest.param("<annotations><image", "is not XML", id="half a file"),
        pytest.param('<?xml version="1.0" encoding="x-none"?><annotations/>', "is not XML", id="an encoding"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(WsolError, match=words):
        open_ground_truth(tmp_path)


def test_a_file_of_another_kind_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text("<annotation><filename>1.jpg</filename></annotation>")
    assert not recognise(tmp_path) and not recognise(tmp_path / "absent.xml")
