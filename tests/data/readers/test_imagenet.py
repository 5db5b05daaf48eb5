"""ImageNet-1K in the shapes that people have it: by class, flat, and as Kaggle packs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data.imagenet import TRAIN, val_name, write_solution, write_train, write_val, write_xmls
from fake_data.images import write_image
from fake_data.voc import Object, write_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.data.ground_truth import GroundTruth, count_kinds
from wsol.data.readers.imagenet import read, recognise
from wsol.data.samples import DataSet
from wsol.errors import WsolError

GOLDFISH, TENCH, SHARK = "n01443537", "n01440764", "n01484850"
OBJECTS: dict[int, list[Object]] = {1: [(TENCH, 1, 2, 30, 20)], 2: [(GOLDFISH, 0, 0, 39, 29), (GOLDFISH, 5, 6, 5, 8)]}
BOXES = [[[1, 2, 30, 20]], [[0, 0, 39, 29], [5, 6, 5, 8]]]
XML_FOLDERS = [
    "Annotations/CLS-LOC/val",
    "Annotations/val",
    "annotations/val",
    "val_annotations",
    "bbox/val",
    "Annotations/CLS-LOC",
    "Annotations",
    "annotations",
    "bbox",
    "val",
    f"Annotations/val/{TENCH}",
    "ILSVRC/Annotations/CLS-LOC/val",
]


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Two training classes, two validation images beside one another, annotations in Kaggle's folder."""
    root = tmp_path / "imagenet"
    write_train(root)
    write_val(root / "val", [None, None])
    write_xmls(root / "Annotations/CLS-LOC/val", OBJECTS)
    return root


@pytest.fixture
def by_wnid(tmp_path: Path) -> Path:
    """The same, with validation images in folders and no annotations."""
    root = tmp_path / "imagenet"
    write_train(root)
    write_val(root / "val", [TENCH, GOLDFISH])
    return root


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """Kaggle's tree, its table instead of XML."""
    root = tmp_path / "kaggle"
    write_train(root / "ILSVRC/Data/CLS-LOC")
    write_val(root / "ILSVRC/Data/CLS-LOC/val", [None, None])
    write_image(root / "ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG")
    write_solution(root / "LOC_val_solution.csv", OBJECTS)
    return root


def labelled(data: DataSet) -> list[tuple[str, str]]:
    return [(s.image_id, data.class_names[s.label]) for s in data.test]


def boxes_of(ground_truth: GroundTruth) -> list[list[list[float]]]:
    return [one.boxes.xyxy.tolist() for one in ground_truth.by_id.values()]


FLAT = [(f"val/{val_name(1)}.JPEG", TENCH), (f"val/{val_name(2)}.JPEG", GOLDFISH)]
BY_WNID = [(f"val/{TENCH}/{val_name(1)}.JPEG", TENCH), (f"val/{GOLDFISH}/{val_name(2)}.JPEG", GOLDFISH)]

# Recognition


@pytest.mark.parametrize(
    ("files", "is_imagenet"),
    [
        pytest.param([], False, id="an empty folder"),
        pytest.param([f"train/{TENCH}/1.JPEG"], True, id="one training image"),
        pytest.param([f"val/{TENCH}/1.JPEG"], True, id="one validation image by wnid"),
        pytest.param([f"val/{val_name(7)}.JPEG"], True, id="one validation image"),
        pytest.param([f"val/{val_name(7)}.jpg"], True, id="converted"),
        pytest.param([f"ILSVRC/Data/CLS-LOC/train/{TENCH}/1.JPEG"], True, id="Kaggle"),
        pytest.param([f"Data/CLS-LOC/val/{val_name(7)}.JPEG"], True, id="Kaggle's ILSVRC"),
        pytest.param([f"Annotations/CLS-LOC/val/{val_name(7)}.xml"], True, id="Kaggle's annotations alone"),
        pytest.param([f"train/{TENCH}/1.JPEG", "train/.cache/1.JPEG"], True, id="a hidden folder"),
        pytest.param([f"train/{TENCH}/1.JPEG", "train/owl/1.JPEG"], False, id="a class of another name"),
        pytest.param(["train/owl/1.JPEG", f"val/{TENCH}/1.JPEG"], False, id="training classes of other names"),
        pytest.param(["train/n0144076/1.JPEG"], False, id="seven digits"),
        pytest.param(["train/n014407645/1.JPEG"], False, id="nine digits"),
        pytest.param([f"val/{val_name(7)}.JPEG.partial"], False, id="an unfinished download"),
        pytest.param([f"{TENCH}/1.JPEG"], False, id="class folders"),
        pytest.param([f"val/{val_name(7)}.xml"], False, id="no image"),
        pytest.param(["test/ILSVRC2012_test_00000001.JPEG"], False, id="unlabelled images"),
        pytest.param([f"train/{TENCH}/1.JPEG", "boxes.csv"], False, id="class folders with a table of boxes"),
        pytest.param([f"train/{TENCH}/1.JPEG", f"masks/train/{TENCH}/1.png"], False, id="class folders with masks"),
    ],
)
def test_the_layout_is_recognised(tmp_path: Path, files: list[str], is_imagenet: bool) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert recognise(tmp_path) is is_imagenet


def test_a_file_is_not_recognised(by_wnid: Path) -> None:
    assert not recognise(by_wnid / "val" / BY_WNID[0][0])
    assert not recognise(by_wnid / "absent")


def test_a_folder_without_images_names_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "Annotations/CLS-LOC/val").mkdir(parents=True)
    with pytest.raises(WsolError, match=r"no ImageNet images in .*train/<wnid>.*Give the folder"):
        read(tmp_path)
    with pytest.raises(WsolError, match="absent"):
        read(tmp_path, tmp_path / "absent")


# Images and labels


def test_training_labels_are_folders(by_wnid: Path) -> None:
    data = read(by_wnid)
    assert data.kind == "ImageNet-1K"
    assert data.class_names == (TENCH, GOLDFISH)
    assert [(s.image_id, s.label) for s in data.train] == [
        (f"train/{TENCH}/{TENCH}_0.JPEG", 0),
        (f"train/{TENCH}/{TENCH}_1.JPEG", 0),
        (f"train/{GOLDFISH}/{GOLDFISH}_0.JPEG", 1),
    ]
    assert labelled(data) == BY_WNID
    assert all(s.path == by_wnid / s.image_id and s.path.is_file() for s in (*data.train, *data.test))
    assert data.has_split
    assert data.mistakes == ()


def test_labels_of_flat_images_are_their_objects(flat: Path) -> None:
    data = read(flat)
    assert data.class_names == (TENCH, GOLDFISH)
    assert labelled(data) == FLAT
    assert data.mistakes == ()


def test_folders_below_here_are_named_the_same(by_wnid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(by_wnid)
    assert labelled(read(Path("."))) == BY_WNID


@pytest.mark.parametrize("named", ["", "ILSVRC", "ILSVRC/Data/CLS-LOC"])
@pytest.mark.parametrize("has_table", [True, False])
def test_kaggles_tree_may_be_named_anywhere(kaggle: Path, named: str, has_table: bool) -> None:
    if not has_table:
        (kaggle / "LOC_val_solution.csv").unlink()
        write_xmls(kaggle / "ILSVRC/Annotations/CLS-LOC/val", OBJECTS)
    assert recognise(kaggle / named)
    data = read(kaggle / named)
    assert len(data.train) == sum(TRAIN.values())
    assert labelled(data) == FLAT
    assert data.test[0].path == kaggle / "ILSVRC/Data/CLS-LOC" / data.test[0].image_id
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == BOXES
    assert ground_truth.mistakes == ()


def test_kaggles_images_may_be_named_alone_whatever_the_folder_above_is_called(kaggle: Path) -> None:
    (kaggle / "ILSVRC").rename(kaggle / "imagenet")
    (kaggle / "LOC_val_solution.csv").unlink()
    write_xmls(kaggle / "imagenet/Annotations/CLS-LOC/val", OBJECTS)
    assert labelled(read(kaggle / "imagenet/Data/CLS-LOC")) == FLAT


def test_images_may_be_in_another_folder(tmp_path: Path, flat: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (flat / name).rename(tmp_path / "elsewhere" / name)
    assert recognise(flat)
    data = read(flat, tmp_path / "elsewhere")
    assert labelled(data) == FLAT
    assert data.test[0].path == tmp_path / "elsewhere" / FLAT[0][0]
    assert boxes_of(data.read_ground_truth()) == BOXES


def test_without_training_images_it_is_a_test_list(tmp_path: Path) -> None:
    write_val(tmp_path / "val", [None, None])
    write_xmls(tmp_path / "val_annotations", OBJECTS)
    data = read(tmp_path)
    assert data.train == ()
    assert data.has_split
    assert (data.class_names, labelled(data)) == ((TENCH, GOLDFISH), FLAT)
    assert boxes_of(data.read_ground_truth()) == BOXES


def test_without_held_out_images_there_is_no_split(tmp_path: Path) -> None:
    write_train(tmp_path)
    write_xml(tmp_path / f"Annotations/CLS-LOC/train/{TENCH}/{TENCH}_0.xml", [(TENCH, 1, 2, 3, 4)])
    data = read(tmp_path)
    assert not data.has_split
    assert data.test is data.train
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == [[[1, 2, 3, 4]]]
    assert count_kinds(ground_truth.mistakes) == {"no true box": 2}


def test_subsets_may_call_it_test(by_wnid: Path) -> None:
    (by_wnid / "val").rename(by_wnid / "test")
    data = read(by_wnid)
    assert [image_id for image_id, _ in labelled(data)] == [i.replace("val/", "test/", 1) for i, _ in BY_WNID]
    assert data.has_split


def test_a_folder_that_is_no_training_class_is_left_out(by_wnid: Path) -> None:
    write_image(by_wnid / "val" / SHARK / f"{val_name(3)}.JPEG")
    data = read(by_wnid)
    assert labelled(data) == BY_WNID
    assert count_kinds(data.mistakes) == {"unknown class": 1}
    assert f"expected one of the 2 classes of {by_wnid / 'train'}, got {SHARK!r}" in data.mistakes[0].what


@pytest.mark.parametrize(
    ("objects", "kind", "words"),
    [
        pytest.param(
            [(TENCH, 1, 2, 3, 4), (SHARK, 1, 2, 3, 4)],
            "several classes",
            f"of one class, got {TENCH}, {SHARK}",
            id="two classes",
        ),
        pytest.param([(SHARK, 1, 2, 3, 4)], "unknown class", f"got '{SHARK}'", id="a class that train has not"),
        pytest.param([("", 1, 2, 3, 4)], "unknown class", "got ''", id="no name"),
        pytest.param([], "no true box", "expected an object", id="no object"),
        pytest.param(None, "no true box", f"{val_name(3)}.xml beside the others", id="no XML"),
    ],
)
def test_a_flat_image_without_a_usable_label_is_left_out(
    flat: Path, objects: list[Object] | None, kind: str, words: str
) -> None:
    write_image(flat / f"val/{val_name(3)}.JPEG")
    if objects is not None:
        write_xmls(flat / "Annotations/CLS-LOC/val", {3: objects})
    data = read(flat)
    assert labelled(data) == FLAT
    assert count_kinds(data.mistakes) == {kind: 1}
    assert words in data.mistakes[0].what
    assert boxes_of(data.read_ground_truth()) == BOXES


def test_no_name_is_no_class_without_training_images_either(tmp_path: Path) -> None:
    write_val(tmp_path / "val", [None, None])
    write_xmls(tmp_path / "val_annotations", {1: OBJECTS[1], 2: [("", 1, 2, 3, 4)]})
    data = read(tmp_path)
    assert data.class_names == (TENCH,)
    assert count_kinds(data.mistakes) == {"unknown class": 1}


@pytest.mark.parametrize("folder", XML_FOLDERS)
def test_annotations_are_found(by_wnid: Path, folder: str) -> None:
    write_xmls(by_wnid / folder, OBJECTS)
    assert boxes_of(read(by_wnid).read_ground_truth()) == BOXES


def test_an_annotation_of_training_images_is_none_of_validation_images(by_wnid: Path) -> None:
    write_xmls(by_wnid / f"Annotations/train/{TENCH}", OBJECTS)
    with pytest.raises(WsolError, match="no boxes for"):
        read(by_wnid).read_ground_truth()


@pytest.mark.parametrize("is_flat", [True, False])
def test_without_annotations_the_error_names_the_searched_folders(tmp_path: Path, is_flat: bool) -> None:
    write_train(tmp_path)
    write_val(tmp_path / "val", [None if is_flat else TENCH])
    with pytest.raises(WsolError, match=r"no boxes for .*val: expected .*wsol predict") as raised:
        read(tmp_path).read_ground_truth()
    for folder in XML_FOLDERS[:-2]:
        assert f"{tmp_path / folder}," in str(raised.value) or f"{tmp_path / folder}." in str(raised.value)
    assert str(tmp_path / "LOC_val_solution.csv") in str(raised.value)


def test_flat_images_without_annotations_cannot_even_be_read(tmp_path: Path) -> None:
    write_val(tmp_path / "val", [None])
    with pytest.raises(WsolError, match="no boxes for"):
        read(tmp_path)


# Ground truth


def test_corners_are_those_of_the_file(by_wnid: Path) -> None:
    write_xmls(by_wnid / "Annotations/CLS-LOC/val", OBJECTS)
    ground_truth = read(by_wnid).read_ground_truth()
    assert list(ground_truth.by_id) == [image_id for image_id, _ in BY_WNID]
    assert boxes_of(ground_truth) == BOXES
    assert {one.image_hw for one in ground_truth.by_id.values()} == {(30, 40)}
    assert ground_truth.mistakes == ()


def test_annotations_are_unread_until_asked_for(by_wnid: Path) -> None:
    folder = by_wnid / "Annotations/CLS-LOC/val"
    folder.mkdir(parents=True)
    (folder / f"{val_name(1)}.xml").write_bytes(b"\xff\xfe poison")
    (by_wnid / "LOC_val_solution.csv").write_bytes(b"\xff\xfe poison")
    data = read(by_wnid)
    assert labelled(data) == BY_WNID
    with pytest.raises(WsolError, match=r"LOC_val_solution\.csv, line 1"):
        data.read_ground_truth()


def test_poisoned_corners_change_no_label(flat: Path) -> None:
    whole = read(flat)
    write_xmls(flat / "Annotations/CLS-LOC/val", {1: [(TENCH, "nan", "left", "", 1e400)]})
    poisoned = read(flat)
    assert (poisoned.test, poisoned.train, poisoned.mistakes) == (whole.test, whole.train, ())
    ground_truth = poisoned.read_ground_truth()
    assert boxes_of(ground_truth) == BOXES[1:]
    assert count_kinds(ground_truth.mistakes) == {"not a number": 1}


@pytest.mark.parametrize("size", [None, (0, 0), (30, 0), (0, 40)])
def test_the_size_is_the_images_where_the_file_has_none(by_wnid: Path, size: tuple[int, int] | None) -> None:
    write_xml(by_wnid / f"bbox/val/{val_name(1)}.xml", OBJECTS[1], image_hw=size)
    write_xml(by_wnid / f"bbox/val/{val_name(2)}.xml", OBJECTS[2], image_hw=(300, 400))
    ground_truth = read(by_wnid).read_ground_truth()
    assert [one.image_hw for one in ground_truth.by_id.values()] == [(30, 40), (300, 400)]


def test_an_image_without_size_is_inspected(by_wnid: Path) -> None:
    for number in OBJECTS:
        write_xml(by_wnid / f"bbox/val/{val_name(number)}.xml", OBJECTS[number], image_hw=None)
    data = read(by_wnid)
    data.test[0].path.write_bytes(b"")
    data.test[1].path.unlink()
    ground_truth = data.read_ground_truth()
    assert ground_truth.by_id == {}
    assert [m.kind for m in ground_truth.mistakes] == ["broken image", "missing image"]


EVIL = f"""<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<annotation><object><name>{TENCH}&x;</name></object></annotation>""".encode()


@pytest.mark.parametrize(
    ("content", "kinds", "words"),
    [
        pytest.param(b"", {"no true box": 1}, "no element found", id="an empty file"),
        pytest.param(b"no XML", {"no true box": 1}, "is not XML", id="a text"),
        pytest.param(b"<annotation><object>", {"no true box": 1}, "is not XML", id="half a file"),
        pytest.param(b"\x00\xff\xd8", {"no true box": 1}, "is not XML", id="an image"),
        pytest.param(
            b"<?xml version='1.0' encoding='nonsense'?><annotation/>",
            {"no true box": 1},
            "is not XML",
            id="an unknown encoding",
        ),
        pytest.param(
            b"<?xml version='1.0' encoding='gbk'?><annotation/>",
            {"no true box": 1},
            "is not XML",
            id="an encoding that the parser has not",
        ),
        pytest.param(EVIL, {"no true box": 1}, "is not XML", id="an external entity"),
        pytest.param(
            b"<html><object/></html>",
            {"no true box": 1},
            "holds <html>: expected <annotation>",
            id="XML of another kind",
        ),
        pytest.param(b"<annotation/>", {"no true box": 1}, f"expected an object {TENCH}, got none", id="no object"),
        pytest.param(
            b"<annotation><object/></annotation>",
            {"unknown class": 1},
            f"expected {TENCH}, the image's class, got ''",
            id="no name",
        ),
        pytest.param(
            f"<annotation><object><name>{TENCH}</name></object></annotation>".encode(),
            {"not a number": 1},
            "object 1",
            id="no box",
        ),
        pytest.param(
            f"<annotation><object><name> {TENCH}\n</name></object></annotation>".encode(),
            {"not a number": 1},
            "object 1",
            id="blanks around the name",
        ),
    ],
)
def test_a_bad_file_costs_its_own_boxes_only(by_wnid: Path, content: bytes, kinds: dict[str, int], words: str) -> None:
    write_xmls(by_wnid / "Annotations/val", OBJECTS)
    bad = by_wnid / "Annotations/val" / f"{val_name(1)}.xml"
    bad.write_bytes(content)
    ground_truth = read(by_wnid).read_ground_truth()
    assert boxes_of(ground_truth) == BOXES[1:]
    assert count_kinds(ground_truth.mistakes) == kinds
    assert words in str(ground_truth.mistakes[0])
    assert str(bad) in str(ground_truth.mistakes[0])


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        pytest.param((SHARK, 1, 2, 3, 4), "unknown class", id="an object of another class"),
        pytest.param((TENCH, 30, 20, 1, 2), "swapped corners", id="swapped corners"),
        pytest.param((TENCH, 50, 2, 60, 20), "outside the image", id="outside"),
        pytest.param((TENCH, "wide", 2, 60, 20), "not a number", id="a word"),
    ],
)
def test_a_bad_object_costs_its_own_box_only(by_wnid: Path, one: Object, kind: str) -> None:
    write_xmls(by_wnid / "Annotations/val", OBJECTS | {1: [one, *OBJECTS[1]]})
    ground_truth = read(by_wnid).read_ground_truth()
    assert boxes_of(ground_truth) == BOXES
    assert count_kinds(ground_truth.mistakes) == {kind: 1}
    assert f"{val_name(1)}.xml, object 1" in ground_truth.mistakes[0].where


def test_an_image_without_annotation_names_the_missing_file(by_wnid: Path) -> None:
    write_xmls(by_wnid / "Annotations/val", {2: OBJECTS[2]})
    ground_truth = read(by_wnid).read_ground_truth()
    assert boxes_of(ground_truth) == BOXES[1:]
    assert count_kinds(ground_truth.mistakes) == {"no true box": 1}
    assert f"expected {val_name(1)}.xml" in ground_truth.mistakes[0].what


corners = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(20, 29)] * 2)


@settings(max_examples=30)  # each writes files
@given(st.lists(corners, min_size=1, max_size=4))
def test_kaggles_table_equals_the_files(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("imagenet")
    write_val(root / "val", [TENCH])
    objects: dict[int, list[Object]] = {1: [(TENCH, *row) for row in rows]}
    write_solution(root / "LOC_val_solution.csv", objects)
    from_table = read(root).read_ground_truth()
    (root / "LOC_val_solution.csv").unlink()
    write_xmls(root / "bbox/val", objects)
    assert boxes_of(from_table) == boxes_of(read(root).read_ground_truth()) == [[list(row) for row in rows]]
    assert from_table[f"val/{TENCH}/{val_name(1)}.JPEG"].image_hw == (30, 40)


def test_files_fill_the_gaps_of_kaggles_table(flat: Path) -> None:
    write_solution(flat / "LOC_val_solution.csv", {1: OBJECTS[1]})
    data = read(flat)
    assert labelled(data) == FLAT
    assert boxes_of(data.read_ground_truth()) == BOXES


@pytest.mark.parametrize(
    "prediction", [f"{TENCH} 1 2 3", f"{TENCH} 1 2 x 4", f"{TENCH} 1 2 3 4 5", f"{TENCH} 1 2 3 4,5"]
)
def test_a_malformed_line_of_kaggles_table_is_named(by_wnid: Path, prediction: str) -> None:
    (by_wnid / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{val_name(1)},{prediction}\n")
    with pytest.raises(WsolError, match=r"LOC_val_solution\.csv, line 2: expected `ImageId,PredictionString`.*Restore"):
        read(by_wnid).read_ground_truth()
