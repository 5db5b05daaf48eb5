"""PASCAL VOC: the split, the one class of an image, and corners that are counted from one."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data.images import write_image
from fake_data.voc import Object, write_voc, write_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.data.ground_truth import GroundTruth, count_kinds
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.voc import read, recognise
from wsol.data.samples import DataSet
from wsol.errors import WsolError

BIRD: Object = ("bird", 2, 3, 30, 20)
OBJECTS: dict[str, list[Object]] = {
    "2007_000027": [BIRD],
    "2007_000032": [("cow", 1, 1, 40, 30), ("cow", 5, 6, 5, 6)],
    "2007_000033": [("bird", 10, 10, 20, 20)],
    "2007_000039": [("cow", 1, 1, 2, 2)],
}
STEMS = list(OBJECTS)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Four images of two classes, no lists."""
    write_voc(tmp_path / "VOC2012", OBJECTS)
    return tmp_path / "VOC2012"


def stems(data: DataSet) -> tuple[list[str], list[str]]:
    train, test = ([Path(s.image_id).stem for s in split] for split in (data.train, data.test))
    return train, test


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.tolist() for image_id, one in ground_truth.by_id.items()}


# Recognition


@pytest.mark.parametrize(
    ("files", "is_voc"),
    [
        pytest.param({}, False, id="an empty folder"),
        pytest.param({"Annotations/1.xml": ""}, True, id="Annotations"),
        pytest.param({"1.xml": "<annotation>", "1.jpg": ""}, True, id="beside the images"),
        pytest.param(
            {"pom.xml": "<project/>", "1.xml": '<?xml version="1.0"?>\n<annotation/>'}, True, id="among others"
        ),
        pytest.param({"pom.xml": "<project/>"}, False, id="XML of another kind"),
        pytest.param({"1.xml": "", "2.jpg": ""}, False, id="an empty file"),
        pytest.param({"Annotations/CLS-LOC/val/1.xml": "<annotation>"}, False, id="ImageNet's"),
        pytest.param({"Annotations/owls/1.xml": "<annotation>"}, True, id="in a subfolder"),
        pytest.param({"train/1.xml": "<annotation>", "train/1.jpg": ""}, True, id="Roboflow's"),
        pytest.param({"annotations/1.xml": "<annotation>"}, True, id="in small letters"),
        pytest.param({"annotations/xmls/1.xml": "<annotation>"}, False, id="Oxford Pets'"),
        pytest.param({"labels/1.xml": "<annotation>"}, True, id="FiftyOne's"),
        pytest.param({"labels/1.xml": "<project/>"}, False, id="labels of another kind"),
        pytest.param({"owls/1.xml": "<annotation>", "owls/1.jpg": ""}, False, id="beside the images of a class"),
        pytest.param({"VOC2012/Annotations/1.xml": "<annotation>"}, True, id="the development kit"),
        pytest.param({"annotations.xml": "<annotations><version>1.1</version>"}, False, id="CVAT's"),
        pytest.param({"owl/1.jpg": "", "hawk/1.jpg": ""}, False, id="class folders"),
    ],
)
def test_the_layout_is_recognised(tmp_path: Path, files: dict[str, str], is_voc: bool) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert recognise(tmp_path) is is_voc


def test_a_file_is_not_recognised(voc: Path) -> None:
    assert not recognise(voc / "Annotations" / f"{STEMS[0]}.xml")
    assert not recognise(voc / "absent")


def test_a_folder_without_annotations_names_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"no annotations in .*Annotations/\*\.xml.*Give the folder"):
        read(tmp_path)


# Images and labels


def test_an_image_is_labelled_by_the_class_of_its_objects(voc: Path) -> None:
    data = read(voc)
    assert data.kind == "PASCAL VOC"
    assert data.class_names == ("bird", "cow")
    assert [(s.image_id, s.label) for s in data.train] == [(f"{s}.jpg", n % 2) for n, s in enumerate(STEMS)]
    assert all(s.path == voc / "JPEGImages" / s.image_id and s.path.is_file() for s in data.train)
    assert data.test is data.train
    assert not data.has_split
    assert data.mistakes == ()


A, B, C, D = STEMS
LISTS = {"train": [A], "trainval": [A, B], "val": [B], "test": [C, D]}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param(LISTS, ([A], [C, D]), id="all four"),
        pytest.param({"train": [A], "val": [B, C]}, ([A], [B, C]), id="train and val"),
        pytest.param({"trainval": [A, B], "test": [C]}, ([A, B], [C]), id="trainval and test"),
        pytest.param({"trainval": [A, B, C], "val": [B]}, ([A, C], [B]), id="val is part of trainval"),
        pytest.param({"trainval": [A, B]}, ([A, B], [A, B]), id="trainval alone"),
        pytest.param({"test": [D, A]}, ([], [D, A]), id="test alone, in its own order"),
        pytest.param({"train": [], "test": [C]}, ([], [C]), id="an empty list"),
        pytest.param({"bird_train": [f"{A}  1"]}, (STEMS, STEMS), id="lists of one class"),
        pytest.param({"train": [A], "test": ["2012_1"], "val": [B]}, ([A], [B]), id="test images without annotations"),
        pytest.param({"train": [f" {A} ", "", A], "test": [C]}, ([A], [C]), id="blanks, and an image twice"),
    ],
)
def test_the_split_is_that_of_the_lists(
    voc: Path, lists: dict[str, list[str]], expected: tuple[list[str], list[str]]
) -> None:
    write_voc(voc, {}, lists)
    data = read(voc)
    assert stems(data) == expected
    assert data.has_split == (expected[0] != expected[1])
    assert data.mistakes == ()


@given(
    st.fixed_dictionaries(
        {},
        optional={name: st.lists(st.sampled_from(STEMS), unique=True) for name in ("train", "trainval", "val", "test")},
    )
)
def test_no_image_is_in_both_splits(tmp_path_factory: pytest.TempPathFactory, lists: dict[str, list[str]]) -> None:
    root = tmp_path_factory.mktemp("voc")
    for stem in STEMS:
        write_xml(root / "Annotations" / f"{stem}.xml", OBJECTS[stem])
    write_voc(root, {}, lists)
    data = read(root)
    assert not data.has_split or not {s.image_id for s in data.train} & {s.image_id for s in data.test}
    assert {s.image_id for s in (*data.train, *data.test)} == set(read(root).read_ground_truth().by_id)


def test_a_listed_image_without_annotation_is_left_out(voc: Path) -> None:
    write_voc(voc, {}, {"train": [A, "2007_9"], "test": [C]})
    data = read(voc)
    assert stems(data) == ([A], [C])
    assert [str(m) for m in data.mistakes] == [
        f"no true box: {voc / 'ImageSets/Main/train.txt'}, 2007_9: expected an annotation of every listed image, got"
        " none"
    ]


def test_a_list_of_bytes_is_named(voc: Path) -> None:
    write_voc(voc, {}, {"train": []})
    (voc / "ImageSets/Main/train.txt").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(WsolError, match=r"train\.txt is not text.*Restore"):
        read(voc)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        pytest.param(
            [BIRD, ("cow", 1, 1, 2, 2)],
            "several classes",
            "expected one label, got bird, cow",
            id="two classes",
        ),
        pytest.param([], "no label", "expected an object, whose name is the label", id="no object"),
        pytest.param([BIRD, (" ", 1, 1, 2, 2)], "unknown class", "expected a name of every object", id="no name"),
        pytest.param("", "no true box", "no element found", id="an empty file"),
        pytest.param("no XML", "no true box", "is not XML", id="a text"),
        pytest.param("<project/>", "no true box", "holds <project>: expected <annotation>", id="XML of another kind"),
    ],
)
def test_an_image_without_a_usable_label_is_left_out(
    voc: Path, content: list[Object] | str, kind: str, words: str
) -> None:
    bad = voc / "Annotations" / f"{A}.xml"
    bad.write_text(content) if isinstance(content, str) else write_xml(bad, content)
    data = with_one_label(read(voc))
    assert stems(data) == ([B, C, D], [B, C, D])
    assert count_kinds(data.mistakes) == {kind: 1}
    assert words in data.mistakes[0].what
    assert bad.stem in data.mistakes[0].where
    assert set(data.read_ground_truth().by_id) == {f"{s}.jpg" for s in (B, C, D)}


def test_a_class_of_no_usable_image_is_no_class(tmp_path: Path) -> None:
    write_voc(tmp_path, {"1": [BIRD], "2": [BIRD, ("dog", 1, 1, 2, 2)]})
    assert with_one_label(read(tmp_path)).class_names == ("bird",)


def test_nothing_usable_is_an_empty_data_set(tmp_path: Path) -> None:
    write_voc(tmp_path, {"1": []})
    data = read(tmp_path)
    assert (data.train, data.test, data.class_names) == ((), (), ())
    assert data.read_ground_truth() == GroundTruth({})


@pytest.mark.parametrize(
    ("xml", "image", "file_name", "folder", "image_id"),
    [
        pytest.param("Annotations/1.xml", "JPEGImages/1.jpg", "1.jpg", "VOC2012", "1.jpg", id="as published"),
        pytest.param("Annotations/1.xml", "images/1.png", "1.png", "VOC2012", "1.png", id="in images"),
        pytest.param("Annotations/1.xml", "JPEGImages/1.png", "1", "VOC2012", "1.png", id="no suffix"),
        pytest.param("Annotations/1.xml", "JPEGImages/1.jpg", "old name.jpg", "x", "1.jpg", id="renamed"),
        pytest.param("Annotations/a.xml", "JPEGImages/1.jpg", "1.jpg", "x", "1.jpg", id="XML of another name"),
        pytest.param("Annotations/a.xml", "JPEGImages/1.png", "1", "x", "1.png", id="XML of another name, no suffix"),
        pytest.param(
            "Annotations/1.xml",
            "birds/1.jpg",
            "1.jpg",
            "C:\\me\\birds",
            "birds/1.jpg",
            id="in the folder that it names, on another machine",
        ),
        pytest.param(
            "Annotations/1.xml", "birds/1.jpg", "1.jpg", "birds", "birds/1.jpg", id="in the folder that it names"
        ),
        pytest.param("1.xml", "1.jpg", "1.jpg", "birds", "1.jpg", id="beside the image"),
        pytest.param("1.xml", "1.jpg", "C:\\birds\\1.jpg", "C:\\birds", "1.jpg", id="a path of another machine"),
        pytest.param("1.xml", "1.jpg", "/home/me/1.jpg", "../..", "1.jpg", id="a path upwards"),
        pytest.param("Annotations/1.xml", None, "1.png", "", "1.png", id="nowhere"),
        pytest.param("Annotations/1.xml", None, "C:\\birds\\1.png", "", "1.png", id="nowhere on this machine"),
        pytest.param("Annotations/1.xml", None, "", "", "1.jpg", id="nowhere, and no name"),
    ],
)
def test_images_are_found(
    tmp_path: Path, xml: str, image: str | None, file_name: str, folder: str, image_id: str
) -> None:
    write_xml(tmp_path / xml, [BIRD], file_name=file_name, folder=folder)
    if image:
        write_image(tmp_path / image)
    (sample,) = read(tmp_path).train
    assert sample.image_id == image_id
    assert sample.path == tmp_path / image if image else not sample.path.exists()


def test_a_folder_name_leads_nowhere_above_the_images(tmp_path: Path) -> None:
    write_xml(tmp_path / "voc/Annotations/1.xml", [BIRD], file_name="1.png", folder="..")
    write_image(tmp_path / "1.png")
    assert read(tmp_path / "voc").train[0].image_id == "1.png"


def test_images_may_be_in_another_folder(tmp_path: Path, voc: Path) -> None:
    (voc / "JPEGImages").rename(tmp_path / "elsewhere")
    data = read(voc, tmp_path / "elsewhere")
    assert [s.path for s in data.train] == [tmp_path / "elsewhere" / f"{s}.jpg" for s in STEMS]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_of_two_images_with_one_stem_the_named_one_is_used(tmp_path: Path, suffix: str) -> None:
    write_xml(tmp_path / "1.xml", [BIRD], file_name=f"1{suffix}")
    for name in ("1.jpg", "1.png"):
        write_image(tmp_path / name)
    assert read(tmp_path).train[0].image_id == f"1{suffix}"


def test_a_second_annotation_of_an_image_is_left_out(tmp_path: Path) -> None:
    write_image(tmp_path / "1.jpg")
    write_xml(tmp_path / "1 (copy).xml", [("cow", 1, 1, 2, 2)], file_name="1.jpg")
    write_xml(tmp_path / "1.xml", [BIRD])
    data = read(tmp_path)
    assert [s.image_id for s in data.train] == ["1.jpg"]
    assert [str(m) for m in data.mistakes] == [
        f"unknown image: {tmp_path / '1.xml'}: expected one annotation an image, but 1.jpg is annotated in"
        f" {tmp_path / '1 (copy).xml'} too"
    ]


# Ground truth


def test_corners_count_from_one_and_the_last_is_inside(voc: Path) -> None:
    ground_truth = read(voc).read_ground_truth()
    assert boxes_of(ground_truth) == {
        f"{A}.jpg": [[1, 2, 30, 20]],
        f"{B}.jpg": [[0, 0, 40, 30], [4, 5, 5, 6]],
        f"{C}.jpg": [[9, 9, 20, 20]],
        f"{D}.jpg": [[0, 0, 2, 2]],
    }
    assert {one.image_hw for one in ground_truth.by_id.values()} == {(30, 40)}
    assert ground_truth.mistakes == ()


def test_parts_of_an_object_are_no_objects(tmp_path: Path) -> None:
    head = "<name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    body = "<name>bird</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    size = "<size><width>40</width><height>30</height></size>"
    whole = f"<annotation>{size}<object><part>{head}<object>{head}</object></part>{body}</object></annotation>"
    (tmp_path / "1.xml").write_text(whole)
    data = read(tmp_path)
    assert data.class_names == ("bird",)
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [[1, 2, 30, 20]]}


def test_a_link_to_nowhere_is_left_out(voc: Path) -> None:
    (voc / "Annotations" / f"{A}.xml").unlink()
    (voc / "Annotations" / f"{A}.xml").symlink_to(voc / "absent.xml")
    data = read(voc)
    assert stems(data)[0] == [B, C, D]
    assert count_kinds(data.mistakes) == {"no true box": 1}
    assert "No such file" in data.mistakes[0].what


def test_ground_truth_is_of_both_splits(voc: Path) -> None:
    write_voc(voc, {}, {"train": [A], "test": [C]})
    assert list(boxes_of(read(voc).read_ground_truth())) == [f"{A}.jpg", f"{C}.jpg"]


edges = st.tuples(st.integers(0, 39), st.integers(0, 29), st.integers(1, 40), st.integers(1, 30)).filter(
    lambda e: e[0] < e[2] and e[1] < e[3]
)


@settings(max_examples=30)  # each writes files
@given(st.lists(edges, min_size=1, max_size=4))
def test_half_open_boxes_survive_being_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("voc")
    write_xml(root / "Annotations/1.xml", [("bird", x0 + 1, y0 + 1, x1, y1) for x0, y0, x1, y1 in rows])
    ground_truth = read(root).read_ground_truth()
    assert boxes_of(ground_truth) == {"1.jpg": [list(row) for row in rows]}
    assert ground_truth.mistakes == ()


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        pytest.param(("bird", 30, 20, 2, 3), "swapped corners", id="swapped corners"),
        pytest.param(("bird", 50, 3, 60, 20), "outside the image", id="outside"),
        pytest.param(("bird", 10, 3, 60, 20), "reaches outside, clipped", id="beyond the image"),
        pytest.param(("bird", 10, 3, 9, 20), "no area", id="no width"),
        pytest.param(("bird", "nan", 3, 9, 20), "not a number", id="not a number"),
        pytest.param(("bird", "-inf", 3, 9, 20), "not a number", id="infinite"),
        pytest.param(("bird", "", 3, 9, 20), "not a number", id="nothing"),
    ],
)
def test_a_bad_object_costs_its_own_box_only(voc: Path, one: Object, kind: str) -> None:
    write_xml(voc / f"Annotations/{A}.xml", [one, BIRD])
    ground_truth = read(voc).read_ground_truth()
    assert boxes_of(ground_truth)[f"{A}.jpg"][-1] == [1, 2, 30, 20]
    assert count_kinds(ground_truth.mistakes) == {kind: 1}
    assert f"{A}.xml, object 1" in ground_truth.mistakes[0].where


@pytest.mark.parametrize("shape", ["polygon", "robndbox", "point"])
def test_another_shape_than_a_box_is_named(tmp_path: Path, shape: str) -> None:
    write_voc(tmp_path, {"1": [("owl", 1, 2, 3, 4)], "2": [("hawk", 1, 2, 3, 4)]})
    file = tmp_path / "Annotations/1.xml"
    file.write_text(file.read_text().replace("<bndbox>", f"<{shape}>", 1).replace("</bndbox>", f"</{shape}>", 1))
    ground_truth = read(tmp_path).read_ground_truth()
    (mistake,) = ground_truth.mistakes
    assert mistake.kind == "no true box" and f"expected <bndbox>, got only <{shape}>" in mistake.what


def test_a_writer_that_counts_from_zero_loses_nothing(tmp_path: Path) -> None:
    write_xml(tmp_path / "Annotations/1.xml", [("bird", 0.0, 0.0, 40, 30)])
    ground_truth = read(tmp_path).read_ground_truth()
    assert boxes_of(ground_truth) == {"1.jpg": [[0, 0, 40, 30]]}
    assert ground_truth.mistakes == ()


def test_poisoned_corners_change_no_label(voc: Path) -> None:
    whole = read(voc)
    write_xml(voc / f"Annotations/{A}.xml", [("bird", "no", "boxes", "", "here")])
    poisoned = read(voc)
    assert (poisoned.train, poisoned.class_names, poisoned.mistakes) == (whole.train, whole.class_names, ())
    ground_truth = poisoned.read_ground_truth()
    assert set(boxes_of(ground_truth)) == {f"{s}.jpg" for s in (B, C, D)}


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_the_size_is_the_images_where_the_file_has_none(voc: Path, size: tuple[int, int] | None) -> None:
    for stem in (A, B, C):
        write_xml(voc / f"Annotations/{stem}.xml", [BIRD], image_hw=size)
    write_image(voc / f"JPEGImages/{A}.jpg", (50, 60))
    (voc / f"JPEGImages/{B}.jpg").write_bytes(b"")
    (voc / f"JPEGImages/{C}.jpg").unlink()
    ground_truth = read(voc).read_ground_truth()
    assert {i: one.image_hw for i, one in ground_truth.by_id.items()} == {f"{A}.jpg": (50, 60), f"{D}.jpg": (30, 40)}
    assert [m.kind for m in ground_truth.mistakes] == ["broken image", "missing image"]


# Subfolders, splits as folders, the development kit


def test_annotations_in_subfolders_belong_to_the_images_there(tmp_path: Path) -> None:
    for name, one in (("day/1", BIRD), ("night/1", ("cow", 1, 1, 40, 30)), ("night/deep/2", BIRD)):
        write_xml(tmp_path / f"Annotations/{name}.xml", [one])
        write_image(tmp_path / f"JPEGImages/{name}.jpg")
    data = open_data(tmp_path)
    assert {sample.image_id: data.class_names[sample.label] for sample in data.train} == {
        "day/1.jpg": "bird",
        "night/1.jpg": "cow",
        "night/deep/2.jpg": "bird",
    }
    assert all(sample.path.is_file() for sample in data.train)
    assert boxes_of(data.read_ground_truth())["night/1.jpg"] == [[0, 0, 40, 30]]


@pytest.mark.parametrize(("annotations", "images"), [("annotations", "images"), ("labels", "data")])
def test_folders_may_have_other_names(tmp_path: Path, annotations: str, images: str) -> None:
    write_xml(tmp_path / annotations / "1.xml", [BIRD])
    write_image(tmp_path / images / "1.jpg")
    assert [sample.path for sample in open_ground_truth(tmp_path).train] == [tmp_path / images / "1.jpg"]


def test_subfolders_of_annotations_may_belong_to_images_of_one_folder(tmp_path: Path) -> None:
    write_xml(tmp_path / "Annotations/owls/1.xml", [BIRD])
    write_image(tmp_path / "JPEGImages/1.jpg")
    assert [sample.image_id for sample in read(tmp_path).train] == ["1.jpg"]


def test_annotations_of_uploads_belong_to_the_images_before_the_upload(tmp_path: Path) -> None:
    write_xml(tmp_path / "Annotations/a1b2c3d4-1.xml", [BIRD])
    write_image(tmp_path / "images/1.jpg")
    assert [sample.image_id for sample in read(tmp_path).train] == ["1.jpg"]


@pytest.mark.parametrize("test", ["valid", "test"])
def test_roboflows_splits_are_folders_of_images_and_annotations(tmp_path: Path, test: str) -> None:
    for name, one in (("train/1", BIRD), ("train/2", ("cow", 1, 1, 40, 30)), (f"{test}/1", BIRD)):
        write_xml(tmp_path / f"{name}.xml", [one], folder="")
        write_image(tmp_path / f"{name}.jpg")
    data = open_data(tmp_path)
    assert (data.kind, data.has_split) == ("PASCAL VOC", True)
    assert [sample.image_id for sample in data.train] == ["train/1.jpg", "train/2.jpg"]
    assert [sample.path for sample in data.test] == [tmp_path / f"{test}/1.jpg"]
    assert set(boxes_of(data.read_ground_truth())) == {"train/1.jpg", "train/2.jpg", f"{test}/1.jpg"}


def test_one_split_alone_is_no_split(tmp_path: Path) -> None:
    write_xml(tmp_path / "train/1.xml", [BIRD])
    write_image(tmp_path / "train/1.jpg")
    assert not read(tmp_path).has_split and len(read(tmp_path).train) == 1


def test_the_only_year_of_the_development_kit_is_read(voc: Path) -> None:
    data = open_data(voc.parent)
    assert (data.kind, len(data.train)) == ("PASCAL VOC", len(STEMS))
    assert all(sample.path == voc / "JPEGImages" / sample.image_id for sample in data.train)


def test_of_several_years_one_is_asked_for(voc: Path) -> None:
    write_voc(voc.parent / "VOC2007", {"1": [BIRD]})
    with pytest.raises(WsolError, match=r"VOC2007, VOC2012.*expected one.*Give one, such as .*VOC2012"):
        open_data(voc.parent)
