"""Label Studio's JSON: regions and choices, names of images, several annotations, brushes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data.images import write_image
from fake_data.labelstudio import (
    HW,
    SQUARE,
    Region,
    brush,
    choice,
    minimal,
    polygon,
    rectangle,
    task,
    write_labelstudio,
    write_tasks,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsol.data.ground_truth import GroundTruth
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.labelstudio import read, recognise
from wsol.data.readers.labelstudio_brush import brush_mask
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.formats.labelstudio import brush_rle

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

BOX_PX, SQUARE_PX = [4, 9, 16, 21], [4, 6, 20, 18]


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.round(6).tolist() for image_id, one in ground_truth.by_id.items()}


def read_tasks(tmp_path: Path, *tasks: Any) -> DataSet:
    return read(write_tasks(tmp_path / "tasks.json", tasks))


def test_exported_tasks_are_read(tmp_path: Path) -> None:
    data = open_data(write_labelstudio(tmp_path))
    assert (data.kind, data.class_names, data.has_split) == ("Label Studio", ("hawk", "owl"), False)
    assert labelled(data, data.train) == {"images/1.jpg": "hawk", "images/2.jpg": "owl", "images/night/3.jpg": "owl"}
    assert all(sample.path.is_file() for sample in data.train)
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == data.mistakes == data.doubts == ()
    boxes = {"images/1.jpg": [BOX_PX], "images/2.jpg": [BOX_PX, SQUARE_PX], "images/night/3.jpg": [SQUARE_PX]}
    assert boxes_of(ground_truth) == boxes
    read_mask = ground_truth["images/night/3.jpg"].read_mask
    assert read_mask is not None and read_mask(HW).is_object.sum() == 16 * 12


def test_json_min_is_the_same(tmp_path: Path) -> None:
    tasks = [
        minimal("1.jpg", rectangle("hawk")),
        minimal("2.jpg", rectangle("owl"), polygon("owl", *SQUARE)),
        minimal("3.jpg", choice="owl"),
        minimal("4.jpg", which={"choices": ["owl", "hawk"]}),
        minimal("5.jpg", rating=3),
    ]
    data = with_one_label(read_tasks(tmp_path, *tasks))
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl", "3.jpg": "owl"}
    assert [mistake.kind for mistake in data.mistakes] == ["no label", "several classes"]
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [BOX_PX], "2.jpg": [BOX_PX, SQUARE_PX]}


@pytest.mark.parametrize(
    "written",
    [
        "/data/local-files/?d=birds%2Fnight%2Fmy%20owl.jpg",
        "/data/upload/3/a1b2c3d4-my%20owl.jpg",
        "upload/3/a1b2c3d4-my owl.jpg",
        "file:///home/me/my%20owl.jpg",
        "https://example.org/night/my%20owl.jpg?x=1",
        "s3://bucket/night/my owl.jpg",
        "../../night/my owl.jpg",
    ],
)
def test_images_are_found_by_the_end_of_their_address(tmp_path: Path, written: str) -> None:
    write_image(tmp_path / "images/night/my owl.jpg", HW)
    file = write_tasks(tmp_path / "tasks.json", [task(written, rectangle("owl"))])
    (sample,) = read(file, tmp_path / "images").train
    assert sample == Sample("night/my owl.jpg", tmp_path / "images/night/my owl.jpg", 0)


def test_no_address_leads_out_of_the_folder_of_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "secret.jpg", HW)
    write_image(tmp_path / "images/1.jpg", HW)
    addresses = ("../secret.jpg", "/data/local-files/?d=../secret.jpg", f"{tmp_path}/secret.jpg")
    for address in addresses:
        file = write_tasks(tmp_path / "tasks.json", [task(address, rectangle("owl"))])
        (sample,) = read(file, tmp_path / "images").train
        assert sample.path.is_relative_to(tmp_path / "images") and not sample.path.exists()


def test_boxes_need_no_images_since_the_size_is_in_the_file(tmp_path: Path) -> None:
    data = open_ground_truth(write_tasks(tmp_path / "tasks.json", [task("/data/upload/1/a.jpg", rectangle("owl"))]))
    assert boxes_of(data.read_ground_truth()) == {"data/upload/1/a.jpg": [BOX_PX]}


# Labels


def test_choices_are_the_class_of_the_image(tmp_path: Path) -> None:
    data = with_one_label(
        read_tasks(
            tmp_path,
            task("1.jpg", choice("owl")),
            task("2.jpg", choice("hawk"), rectangle("hawk")),
            task("3.jpg", choice("hawk"), rectangle("owl")),
        )
    )
    assert labelled(data, data.train) == {"1.jpg": "owl", "2.jpg": "hawk"}
    assert [mistake.kind for mistake in data.mistakes] == ["several classes"]


def without_label(region: Region) -> Region:
    return region | {"type": "rectangle", "value": {k: v for k, v in region["value"].items() if k != "rectanglelabels"}}


def test_rectangles_without_a_label_are_of_the_chosen_class(tmp_path: Path) -> None:
    tasks = [task(f"{name}.jpg", choice(name), without_label(rectangle(""))) for name in ("owl", "hawk")]
    data = read_tasks(tmp_path, *tasks)
    assert labelled(data, data.train) == {"owl.jpg": "owl", "hawk.jpg": "hawk"}
    assert boxes_of(data.read_ground_truth()) == {"owl.jpg": [BOX_PX], "hawk.jpg": [BOX_PX]}


def test_a_rectangle_without_any_label_is_named(tmp_path: Path) -> None:
    data = read_tasks(tmp_path, task("1.jpg", without_label(rectangle(""))), task("2.jpg", rectangle("owl")))
    assert [mistake.kind for mistake in data.mistakes] == ["unknown class"]


def test_the_label_of_a_region_may_be_an_entry_of_its_own(tmp_path: Path) -> None:
    region = without_label(rectangle(""))
    label = region | {"type": "labels", "value": {"labels": ["owl"]}}
    attribute = region | {"type": "choices", "value": region["value"] | {"choices": ["flying"]}}
    data = read_tasks(tmp_path, task("1.jpg", region, label, attribute))
    assert labelled(data, data.train) == {"1.jpg": "owl"}
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [BOX_PX]}


def test_an_empty_annotation_is_no_label_and_none_at_all_is_no_statement(tmp_path: Path) -> None:
    data = read_tasks(
        tmp_path,
        task("1.jpg", rectangle("owl")),
        task("2.jpg"),
        task("3.jpg") | {"annotations": []},
        task("4.jpg", rectangle("owl"), was_cancelled=True),
    )
    assert [mistake.kind for mistake in data.mistakes] == ["no label", "unknown class", "unknown class"]
    assert [sample.image_id for sample in data.unlabelled.train] == ["2.jpg"]


def test_of_several_annotations_the_ground_truth_counts_else_the_last(tmp_path: Path) -> None:
    first, second = (task("1.jpg", rectangle(name))["annotations"][0] for name in ("owl", "hawk"))
    for written, name in (
        ([first, second], "hawk"),
        ([first | {"ground_truth": True}, second], "owl"),
        ([first, second | {"was_cancelled": True}], "owl"),
    ):
        data = read_tasks(tmp_path, task("1.jpg") | {"annotations": written})
        assert labelled(data, data.train) == {"1.jpg": name}
        assert bool(data.doubts) == (sum(not one["was_cancelled"] for one in written) > 1)


def test_predictions_are_read_where_nobody_annotated(tmp_path: Path) -> None:
    predicted = {"data": {"image": "1.jpg"}, "predictions": [{"result": [rectangle("owl")]}]}
    data = read_tasks(tmp_path, predicted, task("2.jpg", rectangle("hawk")) | {"predictions": predicted["predictions"]})
    assert labelled(data, data.train) == {"1.jpg": "owl", "2.jpg": "hawk"}
    assert "1 of 2 tasks" in data.doubts[0] and "prediction of a model" in data.doubts[0]


# Regions


def changed(region: Region, **more: Any) -> Region:
    return region | more


@pytest.mark.parametrize(
    ("region", "kind"),
    [
        pytest.param(rectangle("owl", rotation=12), "no true box", id="rotated"),
        pytest.param(changed(rectangle("owl"), image_rotation=90), "no true box", id="in a rotated image"),
        pytest.param(rectangle("owl", x="a"), "not a number", id="letters"),
        pytest.param(rectangle("owl", width=-20), "swapped corners", id="a negative width"),
        pytest.param(rectangle("owl", width=80, x=50), "reaches outside, clipped", id="beyond the image"),
        pytest.param(polygon("owl", (1, 2), (3, 4)), "not a number", id="two corners"),
        pytest.param(brush("owl", [1, 2, 3]), "broken mask", id="a brush of three bytes"),
        pytest.param(brush("owl", brush_rle(np.zeros(HW, dtype=bool))), "no area", id="an empty brush"),
        pytest.param(brush("owl", brush_rle(np.ones((3, 3), dtype=bool))), "broken mask", id="a brush of another size"),
        pytest.param(
            changed(rectangle("owl"), value={"x": 1, "y": 2, "radiusX": 3, "radiusY": 4, "ellipselabels": ["owl"]}),
            "no true box",
            id="an ellipse",
        ),
        pytest.param(
            changed(rectangle("owl"), value={"x": 1, "y": 2, "width": 1, "keypointlabels": ["owl"]}),
            "no true box",
            id="a point",
        ),
    ],
)
def test_a_bad_region_costs_its_own_box_only(tmp_path: Path, region: Region, kind: str) -> None:
    data = read_tasks(tmp_path, task("1.jpg", changed(region, id="bad"), rectangle("owl")))
    assert labelled(data, data.train) == {"1.jpg": "owl"}
    ground_truth = data.read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == [kind]
    assert BOX_PX in boxes_of(ground_truth)["1.jpg"]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30)))
def test_a_brush_is_decoded_as_it_was_written(mask: np.ndarray) -> None:
    assert np.array_equal(brush_mask(brush_rle(mask), mask.shape), mask)


def test_single_values_of_a_brush_are_decoded_too() -> None:
    # Two blocks: a run of four zeros, then four values by themselves; sizes of 3, 4, 8 and 16 bits.
    bits = (
        f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
        + f"100{3:03b}{0:08b}"
        + f"000{3:03b}"
        + "".join(f"{value:08b}" for value in (0, 0, 0, 255))
    )
    packed = bits + "0" * (-len(bits) % 8)
    values = [int(packed[start : start + 8], 2) for start in range(0, len(packed), 8)]
    assert brush_mask(values, (1, 2)).tolist() == [[False, True]]


def test_a_brush_that_ends_too_early_is_a_mistake() -> None:
    whole = brush_rle(np.eye(9, dtype=bool))
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="too few"):
            brush_mask(whole[:length], (9, 9))


@given(st.lists(st.integers(0, 255), max_size=40))
def test_any_bytes_are_a_brush_or_a_mistake(values: list[int]) -> None:
    head = brush_rle(np.ones((2, 2), dtype=bool))[:6]
    for one in (values, head + values):
        try:
            assert brush_mask(one, (2, 2)).shape == (2, 2)
        except ValueError as error:
            assert "expected" in str(error)


# Files


@pytest.mark.parametrize(
    ("text", "is_tasks"),
    [
        pytest.param('[{"id": 1, "annotations": [], "data": {"image": "1.jpg"}}]', True, id="JSON"),
        pytest.param('[{"image": "1.jpg", "choice": "owl", "annotation_id": 3}]', True, id="JSON-MIN"),
        pytest.param('{"images": [], "annotations": []}', False, id="COCO"),
        pytest.param('[{"image_id": 1, "annotations": []}]', False, id="results"),
        pytest.param('[{"image": "1.jpg", "annotations": [{"label": "a", "coordinates": {}}]}]', False, id="CreateML"),
        pytest.param("[]", False, id="an empty list"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_the_layout_is_recognised(tmp_path: Path, text: str, is_tasks: bool) -> None:
    (tmp_path / "a.json").write_text(text)
    assert recognise(tmp_path / "a.json") is recognise(tmp_path) is is_tasks


def test_two_files_are_ambiguous(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_tasks(tmp_path / name, [task("1.jpg", rectangle("owl"))])
    with pytest.raises(WsolError, match=r"ambiguous.*a\.json, b\.json.*Give one"):
        read(tmp_path)


def test_a_task_without_an_image_is_left_out(tmp_path: Path) -> None:
    data = read_tasks(tmp_path, task("1.jpg", rectangle("owl")), task("some text", choice("owl")), 3)
    assert [mistake.kind for mistake in data.mistakes] == ["unknown image", "unknown image"]
    assert labelled(data, data.train) == {"1.jpg": "owl"}
