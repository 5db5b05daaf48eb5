"""Classes without an object, and images that are listed without a label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from wsol.data.no_object import NO_OBJECT, chosen_of, listed_names, with_no_object
from wsol.data.open import open_data, open_ground_truth
from wsol.data.samples import DataSet
from wsol.errors import WsolError


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), "grey").save(path)


def folders(root: Path) -> DataSet:
    for name in ("crack", "dust", "good"):
        write_image(root / name / "1.jpg")
    return open_data(root)


def csv_table(root: Path) -> DataSet:
    for name in "abcdef":
        write_image(root / f"{name}.jpg")
    lines = [
        "path,label,split",
        "a.jpg,crack,train",
        "b.jpg,dust,train",
        "c.jpg,,train",
        "d.jpg,,val",
        "e.jpg,dust,val",
    ]
    (root / "labels.csv").write_text("\n".join(lines))
    return open_data(root)


def coco(root: Path) -> DataSet:
    for name in "abcd":
        write_image(root / f"{name}.jpg")
    images = [{"id": i, "file_name": f"{name}.jpg", "width": 64, "height": 48} for i, name in enumerate("abcd", 1)]
    objects = [{"id": i, "image_id": i, "category_id": i, "bbox": [1, 1, 9, 9]} for i in (1, 2)]
    objects.append({"id": 3, "image_id": 3, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1})
    names = [{"id": 1, "name": "crack"}, {"id": 2, "name": "dust"}]
    (root / "a.json").write_text(json.dumps({"images": images, "annotations": objects, "categories": names}))
    return open_data(root / "a.json")


def voc(root: Path) -> DataSet:
    for name, kind in (("a", "crack"), ("b", "dust"), ("c", "")):
        write_image(root / "JPEGImages" / f"{name}.jpg")
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        found = f"<object><name>{kind}</name>{box}</object>" if kind else ""
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>"
            f"<size><width>64</width><height>48</height></size>{found}</annotation>"
        )
    return open_data(root)


def without_object(data: DataSet) -> tuple[list[str], list[str]]:
    """The image ids of both splits."""
    train, test = ([one.image_id for one in samples if not data.has_object(one)] for samples in (data.train, data.test))
    return train, test


def test_a_class_is_marked_and_nothing_else_changes(tmp_path: Path) -> None:
    data = folders(tmp_path)
    marked = with_no_object(data, "good")
    assert without_object(marked) == (["good/1.jpg"], ["good/1.jpg"])
    assert (marked.train, marked.class_names) == (data.train, data.class_names)
    assert without_object(with_no_object(data, None)) == without_object(data) == ([], [])


@pytest.mark.parametrize(
    ("make", "train", "test"),
    [
        pytest.param(csv_table, ["c.jpg"], ["d.jpg"], id="an empty cell"),
        pytest.param(coco, ["d.jpg"], ["d.jpg"], id="a COCO image without annotations, not one with a crowd"),
        pytest.param(voc, ["c.jpg"], ["c.jpg"], id="an XML file without objects"),
    ],
)
def test_images_without_a_label_are_left_out_unless_they_are_without_an_object(
    tmp_path: Path, make: object, train: list[str], test: list[str]
) -> None:
    assert callable(make)
    data = make(tmp_path)
    assert isinstance(data, DataSet)
    known = {one.image_id for one in (*data.train, *data.test)}
    assert not known & {*train, *test} and "no label" in {one.kind for one in data.mistakes}
    marked = with_no_object(data, "unlabelled")
    assert marked.class_names == ("crack", "dust", NO_OBJECT)
    assert without_object(marked) == (train, test)
    assert "no label" not in {one.kind for one in marked.mistakes}
    assert set(marked.train) > set(data.train)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        pytest.param("god", "Did you mean good", id="misspelt"),
        pytest.param("good,crack,dust", "anomaly detector", id="every class"),
        pytest.param("unlabelled", "no image without a label", id="no image without a label"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(tmp_path: Path, names: str, match: str) -> None:
    with pytest.raises(WsolError, match=match):
        with_no_object(folders(tmp_path), names)


def test_test_images_need_not_have_the_classes_of_the_run(tmp_path: Path) -> None:
    data = folders(tmp_path)
    assert without_object(with_no_object(data, "empty,unlabelled", must_exist=False)) == ([], [])


def test_names_are_separated_by_commas() -> None:
    assert listed_names(" good, empty frame ,", ()) == ("good", "empty frame")
    assert listed_names("good, fine", ("good", "good, fine")) == ("good, fine",)
    assert listed_names(None, ()) == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param("good", ("good",), id="a class"),
        pytest.param("empty,good", ("good",), id="one that the network does not have"),
        pytest.param("unlabelled", ("no object",), id="what images without a label became"),
        pytest.param("good, fine", ("good, fine",), id="a name with a comma"),
        pytest.param(None, (), id="none"),
    ],
)
def test_the_classes_of_a_network_that_contain_no_object(names: str | None, expected: tuple[str, ...]) -> None:
    assert chosen_of(("crack", "good", "good, fine", "no object"), names) == expected


def test_unlabelled_images_may_be_in_the_test_split_alone(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.jpg")
    (tmp_path / "labels.csv").write_text("path,label,split\na.jpg,crack,train\nb.jpg,dust,train\nc.jpg,,test\n")
    data = with_no_object(open_ground_truth(tmp_path), "unlabelled")
    assert without_object(data) == ([], ["c.jpg"])


def test_a_class_of_that_name_and_images_without_a_label_are_refused(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.jpg")
    (tmp_path / "labels.csv").write_text(f"path,label\na.jpg,crack\nb.jpg,{NO_OBJECT}\nc.jpg,\n")
    with pytest.raises(WsolError, match="has a class 'no object' and images without a label"):
        with_no_object(open_data(tmp_path), "unlabelled")
