"""CUB-200-2011: the published tables, their damage, and the ground truth that training must not use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from wsol.data.images import image_hw
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.cub import read, recognise
from wsol.errors import WsolError

TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def test_the_official_split_and_labels_are_taken(fake_cub: Path) -> None:
    data = open_data(fake_cub)
    assert data.kind == "CUB-200-2011"
    assert data.class_names == ("001.Black_footed_Albatross", "002.Laysan_Albatross", "004.Groove_billed_Ani")
    assert [sample.label for sample in data.train] == [0, 0, 1, 1, 2, 2]
    assert [sample.label for sample in data.test] == [0, 1, 2]
    assert data.test[2].image_id == "004.Groove_billed_Ani/Groove_billed_Ani_0003_9.jpg"
    assert all(
        sample.path.is_file() and data.class_names[sample.label] in sample.image_id
        for sample in (*data.train, *data.test)
    )
    assert data.has_split


def test_boxes_are_corners_clipped_to_the_image(fake_cub: Path) -> None:
    data = open_data(fake_cub)
    ground_truth = data.read_ground_truth()
    assert set(ground_truth.by_id) == {sample.image_id for sample in (*data.train, *data.test)}
    assert ground_truth.mistakes == ()
    # Its row is `9 3.0 2.0 30.0 49.0`.
    assert ground_truth[data.test[2].image_id].boxes.xyxy.tolist() == [[3, 2, 33, 51]]
    (fake_cub / "bounding_boxes.txt").write_text("".join(f"{number} 70.0 50.0 30.0 40.0\n" for number in range(1, 10)))
    assert open_data(fake_cub).read_ground_truth()[data.test[2].image_id].boxes.xyxy.tolist() == [[70, 50, 80, 60]]


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(b"no boxes here\n", id="no table"),
        pytest.param(b"1 one two three four\n", id="words"),
        pytest.param(b"\xff\x00\x9d" * 50, id="bytes"),
        pytest.param(None, id="no file"),
    ],
)
def test_malformed_boxes_matter_only_when_ground_truth_is_read(fake_cub: Path, poison: bytes | None) -> None:
    whole = open_data(fake_cub)
    if poison is None:
        (fake_cub / "bounding_boxes.txt").unlink()
    else:
        (fake_cub / "bounding_boxes.txt").write_bytes(poison)
    poisoned = open_data(fake_cub)
    assert (poisoned.train, poisoned.test, poisoned.class_names) == (whole.train, whole.test, whole.class_names)
    assert poisoned.training_hash() == whole.training_hash()
    with pytest.raises(WsolError, match=r"bounding_boxes\.txt.*[Rr]estore"):
        poisoned.read_ground_truth()


def test_a_broken_image_costs_its_own_boxes_only(fake_cub: Path) -> None:
    data = open_data(fake_cub)
    data.test[0].path.write_bytes(b"")
    data.test[1].path.unlink()
    ground_truth = data.read_ground_truth()
    assert set(ground_truth.by_id) == {sample.image_id for sample in (*data.train, data.test[2])}
    assert [(mistake.kind, mistake.where) for mistake in ground_truth.mistakes] == [
        ("broken image", str(data.test[0].path)),
        ("missing image", str(data.test[1].path)),
    ]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        pytest.param("5 2.0 2.0 30.0 45.0\n", "", "no true box", id="a row lost"),
        pytest.param("\n5 2.0 2.0 30.0 45.0", "\n5 2.0 2.0 -30.0 45.0", "swapped corners", id="a negative width"),
        pytest.param("5 2.0 2.0 30.0 45.0", "5 2.0 2.0 0.0 45.0", "no area", id="no width"),
        pytest.param("5 2.0 2.0 30.0 45.0", "5 2.0 2.0 inf 45.0", "not a number", id="an infinite width"),
        pytest.param("5 2.0 2.0 30.0 45.0", "5 nan 2.0 30.0 45.0", "not a number", id="nan"),
        pytest.param("5 2.0 2.0 30.0 45.0", "5 80.0 2.0 30.0 45.0", "outside the image", id="outside"),
        pytest.param(
            "5 2.0 2.0 30.0 45.0\n", "55 2.0 2.0 30.0 45.0\n5 2.0 2.0 9.0 9.0\n", "unknown image", id="a row more"
        ),
        pytest.param("5 2.0 2.0 30.0 45.0", "5 2.0 2.0 90.0 45.0", "reaches outside, clipped", id="too wide"),
    ],
)
def test_a_senseless_row_is_noted_and_costs_its_own_box_only(fake_cub: Path, old: str, new: str, kind: str) -> None:
    table = fake_cub / "bounding_boxes.txt"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new, 1))
    data = open_data(fake_cub)
    ground_truth = data.read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == [kind]
    assert "bounding_boxes.txt" in ground_truth.mistakes[0].where
    name = "002.Laysan_Albatross/Laysan_Albatross_0002_5.jpg"
    usable = {"unknown image", "reaches outside, clipped"}
    assert {s.image_id for s in (*data.train, *data.test)} - ground_truth.by_id.keys() == (
        {name} - ({name} if kind in usable else set())
    )


def test_the_images_may_be_in_another_folder(fake_cub: Path, tmp_path: Path) -> None:
    whole = open_data(fake_cub).read_ground_truth()
    (fake_cub / "images").rename(tmp_path / "photos")
    data = open_data(fake_cub, tmp_path / "photos")
    assert data.train[0].path == tmp_path / "photos" / data.train[0].image_id
    assert data.read_ground_truth().by_id.keys() == whole.by_id.keys()
    assert [mistake.kind for mistake in open_ground_truth(fake_cub).read_ground_truth().mistakes] == [
        "missing image"
    ] * 9


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        pytest.param("images.txt", "1 001", "1001", "line 1: expected 2 columns", id="a column lost"),
        pytest.param("image_class_labels.txt", "3 1\n", "", "image 3", id="an image without class"),
        pytest.param("train_test_split.txt", "3 0\n", "", "image 3", id="an image without split"),
        pytest.param(
            "image_class_labels.txt", "3 1\n", "3 77\n", "missing '77'", id="a class that classes.txt has not"
        ),
        pytest.param("bounding_boxes.txt", "\n5 2.0 2.0", "\n5 2.0 x", "5 x y width height", id="a word for a number"),
        pytest.param("bounding_boxes.txt", "30.0 45.0", "30.0", "line 5: expected 5 columns", id="four columns"),
    ],
)
def test_a_damaged_table_is_reported_with_the_position(
    fake_cub: Path, table: str, old: str, new: str, words: str
) -> None:
    text = (fake_cub / table).read_text()
    assert old in text
    (fake_cub / table).write_text(text.replace(old, new, 1))
    with pytest.raises(WsolError, match="[Rr]estore") as raised:
        open_data(fake_cub).read_ground_truth()
    assert words in str(raised.value)
    assert str(fake_cub) in str(raised.value)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_bytes_is_named(fake_cub: Path, table: str) -> None:
    (fake_cub / table).write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(WsolError, match=table):
        open_data(fake_cub)


def test_no_training_image_is_reported(fake_cub: Path) -> None:
    (fake_cub / "train_test_split.txt").write_text("".join(f"{number} 0\n" for number in range(1, 10)))
    with pytest.raises(WsolError, match="no training images"):
        open_data(fake_cub)
    ground_truth = open_ground_truth(fake_cub)
    assert (len(ground_truth.train), len(ground_truth.test)) == (0, 9)
    assert "9 test images, none to train on" in ground_truth.describe()


def test_blank_lines_do_not_matter(fake_cub: Path) -> None:
    whole = read(fake_cub)
    for table in TABLES:
        text = (fake_cub / table).read_text()
        (fake_cub / table).write_text("\n" + text.replace("\n", "\n  \n") + "\n\n")
    assert read(fake_cub).train == whole.train


@pytest.mark.parametrize("table", TABLES)
def test_without_one_of_its_tables_it_is_not_cub(fake_cub: Path, table: str) -> None:
    assert recognise(fake_cub)
    (fake_cub / table).unlink()
    assert not recognise(fake_cub)


def test_the_real_data_are_as_published(cub30: Path) -> None:
    data = open_data(cub30)
    assert (len(data.train), len(data.test), len(data.class_names)) == (900, 801, 30)
    assert data.class_names[0] == "001.Black_footed_Albatross"
    assert set(Counter(sample.label for sample in data.train).values()) == {30}
    assert not {sample.image_id for sample in data.train} & {sample.image_id for sample in data.test}
    ground_truth = data.read_ground_truth()
    assert len(ground_truth.by_id) == 1701
    # Three published boxes end more than a pixel beyond their images.
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["reaches outside, clipped"] * 3
    assert [mistake.where.split()[-1] for mistake in ground_truth.mistakes] == ["960", "999", "1218"]
    for sample in data.test[::100]:
        height, width = image_hw(sample.path)
        boxes = ground_truth[sample.image_id].boxes
        assert len(boxes) == 1
        assert (boxes.xyxy >= 0).all()
        assert (boxes.xyxy <= np.array([width, height, width, height])).all()
        assert (boxes.areas() > 100).all()
