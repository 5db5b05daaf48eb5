"""Any folder becomes a data set or an error with a remedy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.coco import write_published_coco
from fake_data.csv_table import write_csv_set
from fake_data.cub import write_cub
from fake_data.cvat import write_cvat
from fake_data.fiftyone import write_fiftyone
from fake_data.imagenet import write_train, write_val, write_xmls
from fake_data.images import write_image
from fake_data.labelstudio import write_labelstudio
from fake_data.published import write_caltech, write_pets, write_stanford_dogs, write_tiny_imagenet
from fake_data.voc import write_voc
from fake_data.wsolevaluation import write_boxes
from fake_data.yolo import write_yolo

from wsol.data.ground_truth import GroundTruth, Mistake
from wsol.data.open import LAYOUTS, READERS, open_data, open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.storage.folders import write_json

NewImage = Callable[..., Path]


def write_wsolevaluation(root: Path) -> None:
    write_boxes(root, {"owl/1.jpg": 1, "hawk/1.jpg": 0}, {"owl/1.jpg": [(1, 2, 3, 4)]})


def write_imagenet(root: Path) -> None:
    write_train(root)
    write_val(root / "val", ["n01440764"])
    write_xmls(root / "Annotations/CLS-LOC/val", {1: [("n01440764", 1, 2, 3, 4)]})


def write_pascal(root: Path) -> None:
    write_voc(root, {"1": [("owl", 1, 2, 3, 4)], "2": [("hawk", 1, 2, 3, 4)]})


WRITE: dict[str, Callable[[Path], object]] = {
    "CUB-200-2011": write_cub,
    "Oxford-IIIT Pet": write_pets,
    "Stanford Dogs": write_stanford_dogs,
    "Tiny ImageNet": write_tiny_imagenet,
    "Caltech": write_caltech,
    "wsolevaluation": write_wsolevaluation,
    "ImageNet-1K": write_imagenet,
    "YOLO": write_yolo,
    "CVAT for images": write_cvat,
    "Label Studio": write_labelstudio,
    "FiftyOne": write_fiftyone,
    "COCO": write_published_coco,
    "PASCAL VOC": write_pascal,
    "CSV table": write_csv_set,
    "class folders": lambda root: [write_image(root / name) for name in ("owl/1.jpg", "hawk/1.jpg")],
}


def test_every_reader_has_a_layout_here_and_one_in_the_errors() -> None:
    assert list(WRITE) == list(READERS)
    assert [kind for kind in READERS if kind not in LAYOUTS] == []
    assert LAYOUTS.count("\n") <= 1


def test_a_report_of_check_beside_class_folders_is_not_taken_for_coco(tmp_path: Path) -> None:
    WRITE["class folders"](tmp_path)
    rows = [{"what": "owl/1.jpg", "images": ["owl/1.jpg"]}, {"what": "a { in a name", "images": []}]
    write_json(tmp_path / "check.json", {"data": "x", "findings": [{"kind": "grey", "items": rows}]})
    assert open_data(tmp_path).kind == "class folders"


def test_a_table_with_labels_beside_class_folders_is_their_ground_truth(tmp_path: Path) -> None:
    WRITE["class folders"](tmp_path)
    (tmp_path / "boxes.csv").write_text("path,label,x0,y0,x1,y1\nowl/1.jpg,owl,1,2,3,4\n")
    assert open_data(tmp_path).kind == "class folders"


@pytest.mark.parametrize("kind", WRITE)
def test_each_layout_is_read_by_its_reader_and_recognised_by_no_other(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path / "data")
    data = open_ground_truth(tmp_path / "data")
    assert data.kind == kind
    assert data.root == tmp_path / "data"
    assert data.test
    assert len(data.class_names) >= 2
    # Any folder may be class folders.
    assert {name for name, reader in READERS.items() if reader.recognise(tmp_path / "data")} == {kind, "class folders"}


@pytest.mark.parametrize("kind", sorted(set(WRITE) - {"CSV table", "wsolevaluation"}))
def test_the_folder_above_names_the_data_set_below(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path / "unpacked" / "data")
    with pytest.raises(WsolError, match=r"holds one folder, data, .* Give .*data\."):
        open_data(tmp_path / "unpacked")


def test_one_class_stays_one_class(new_image: NewImage, tmp_path: Path) -> None:
    new_image(tmp_path / "birds/owl/1.jpg")
    new_image(tmp_path / "birds/owl/night/2.jpg")
    with pytest.raises(WsolError, match="has one class"):
        open_data(tmp_path / "birds")


@pytest.mark.parametrize("kind", WRITE)
def test_no_reader_takes_a_file_of_another_kind_or_an_empty_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "birds.zip").write_bytes(b"PK")
    assert not READERS[kind].recognise(tmp_path / "birds.zip")
    (tmp_path / "empty").mkdir()
    assert READERS[kind].recognise(tmp_path / "empty") == (kind == "class folders")


@pytest.mark.parametrize(
    ("kind", "images"),
    [
        pytest.param("CUB-200-2011", "images", id="CUB-200-2011"),
        pytest.param("Oxford-IIIT Pet", "images", id="Oxford-IIIT Pet"),
        pytest.param("CSV table", "images", id="CSV table"),
        pytest.param("CVAT for images", "images", id="CVAT"),
        pytest.param("Label Studio", "images", id="Label Studio"),
        pytest.param("FiftyOne", "data", id="FiftyOne"),
        pytest.param("COCO", "val2017", id="COCO"),
        pytest.param("PASCAL VOC", "JPEGImages", id="PASCAL VOC"),
    ],
)
def test_the_images_may_be_in_another_folder(tmp_path: Path, kind: str, images: str) -> None:
    WRITE[kind](tmp_path / "data")
    (tmp_path / "data" / images).rename(tmp_path / "photos")
    assert not any(sample.path.exists() for sample in open_ground_truth(tmp_path / "data").test)
    data = open_ground_truth(tmp_path / "data", tmp_path / "photos")
    assert all(sample.path.exists() for sample in data.test)


def test_a_folder_of_images_that_is_none_is_refused(class_folders: Path) -> None:
    for name in ("absent", "owl/1.jpg"):
        with pytest.raises(WsolError, match=f"{name} is not a folder: expected"):
            open_data(class_folders, class_folders / name)


def test_the_kind_is_recognised(fake_cub: Path, class_folders: Path, split_folders: Path) -> None:
    assert open_data(fake_cub).kind == "CUB-200-2011"
    assert open_data(class_folders).kind == open_data(split_folders).kind == "class folders"
    assert "2 classes, 5 images, no split, 2 to 3 a class" in open_data(class_folders).describe()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        pytest.param([], "no images", id="an empty folder"),
        pytest.param(["1.jpg", "2.jpg"], "holds images (2) and no class folders", id="images without classes"),
        pytest.param(["owl/1.jpg", "owl/2.jpg"], "one class (owl)", id="one class"),
        pytest.param(["owl/1.jpg", "hawk/"], "no training images (hawk)", id="an empty class"),
        pytest.param(["owl/", "hawk/"], "no images", id="two empty classes"),
        pytest.param(
            ["train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/c/1.jpg"],
            "c: expected the same class folders",
            id="a class in test alone",
        ),
        pytest.param(
            ["train/a/1.jpg", "train/b/", "test/a/1.jpg", "test/b/1.jpg"],
            "no training images (b)",
            id="a class without training images",
        ),
        pytest.param(["train/", "test/a/1.jpg"], "classes that", id="an empty train"),
    ],
)
def test_nothing_can_be_learned_from(tmp_path: Path, new_image: NewImage, images: list[str], words: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in images:
        (root / name).mkdir(parents=True) if name.endswith("/") else new_image(root / name)
    with pytest.raises(WsolError) as raised:
        open_data(root)
    assert words in str(raised.value)
    assert str(root) in str(raised.value)


@pytest.mark.parametrize(
    ("images", "are_listed"),
    [
        pytest.param([], False, id="an empty folder"),
        pytest.param(["owl/"], False, id="an empty class"),
        pytest.param(["1.jpg"], True, id="images without classes"),
        pytest.param(["owl/1.jpg"], True, id="one class"),
        pytest.param(["owl/1.jpg", "hawk/"], True, id="a class without images"),
    ],
)
def test_a_list_of_ground_truth_needs_no_more_than_an_image(
    tmp_path: Path, new_image: NewImage, images: list[str], are_listed: bool
) -> None:
    for name in images:
        (tmp_path / name).mkdir(parents=True) if name.endswith("/") else new_image(tmp_path / name)
    if are_listed:
        assert len(open_ground_truth(tmp_path).test) == 1
    else:
        with pytest.raises(
            WsolError,
            match="(?s)no images in.*expected.*COCO.*Give the folder",
        ):
            open_ground_truth(tmp_path)


def described(train: int, test: int, has_split: bool, mistakes: int = 0) -> str:
    owls = tuple(Sample(f"{number}.jpg", Path(f"{number}.jpg"), 0) for number in range(train + test))
    split = owls[:train], owls[train:]
    noted = (Mistake("several classes", "x.jpg", "expected one label, got two"),) * mistakes
    return DataSet("CSV table", Path("owls"), ("owl",), *split, has_split, lambda: GroundTruth({}), noted).describe()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(described(3, 2, True), "1 class, 3 training and 2 test images, 3 to 3 a class", id="split"),
        pytest.param(described(3, 0, False), "1 class, 3 images, no split, 3 to 3 a class", id="no split"),
        pytest.param(described(0, 2, True), "1 class, 2 test images, none to train on, 2 to 2 a class", id="truth"),
        pytest.param(described(0, 0, True), "0 test images, none to train on, 0 to 0 a class", id="nothing"),
        pytest.param(described(1, 0, False, 2), "1 to 1 a class, 2 images left out", id="mistakes"),
    ],
)
def test_a_data_set_is_described_in_a_line(line: str, words: str) -> None:
    assert line == f"CSV table owls: {words}" or line.endswith(words)


def test_a_table_of_one_class_is_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n1.jpg,owl\n")
    with pytest.raises(WsolError, match=r"one class \(owl\)"):
        open_data(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label,split\n1.jpg,owl,test\n")
    with pytest.raises(WsolError, match=r"no training images in.*1 test image,.*Add a training split"):
        open_data(tmp_path)


def test_training_folders_without_test_folders_are_a_data_set(tmp_path: Path, new_image: NewImage) -> None:
    for name in ("train/owl/1.jpg", "train/hawk/1.jpg"):
        new_image(tmp_path / name)
    assert open_data(tmp_path).class_names == ("hawk", "owl")


def test_one_image_a_class_will_do(tmp_path: Path, new_image: NewImage) -> None:
    for name in ("owl/1.jpg", "hawk/1.jpg"):
        new_image(tmp_path / name)
    assert len(open_data(tmp_path).train) == 2


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="(?s)does not exist.*CSV.*Check the path"):
        open_data(tmp_path / "absent")
    (tmp_path / "birds.zip").write_bytes(b"PK")
    with pytest.raises(WsolError, match=r"(?s)is a file.*expected a folder, or a \.json.* file.*COCO"):
        open_data(tmp_path / "birds.zip")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", [".", "owl"])
def test_a_folder_that_may_not_be_read_is_reported(class_folders: Path, closed: str) -> None:
    (class_folders / closed).chmod(0)
    try:
        with pytest.raises(WsolError, match="Change its permissions"):
            open_data(class_folders)
    finally:
        (class_folders / closed).chmod(0o700)


def test_the_training_hash_changes_with_what_training_reads_and_only_then(
    split_folders: Path, new_image: NewImage
) -> None:
    before = open_data(split_folders).training_hash()
    assert open_data(split_folders).training_hash() == before
    new_image(split_folders / "test/owl/7.jpg")
    (split_folders / "boxes.csv").write_text("poison")
    assert open_data(split_folders).training_hash() == before
    seen = {before}
    new_image(split_folders / "train/owl/3.jpg")
    seen.add(open_data(split_folders).training_hash())
    (split_folders / "train/owl/3.jpg").rename(split_folders / "train/hawk/3.jpg")
    seen.add(open_data(split_folders).training_hash())
    (split_folders / "train/hawk/3.jpg").write_bytes(b"shorter")
    seen.add(open_data(split_folders).training_hash())
    assert len(seen) == 4
