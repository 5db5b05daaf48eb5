"""YOLO: where images and labels lie, the split, rows of label files, settings that are not ours to trust."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.images import write_image
from fake_data.yolo import BOX, POLYGON, write_darknet, write_labelimg, write_pairs, write_roboflow_yolo, write_yolo
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.data.ground_truth import GroundTruth
from wsol.data.multi_label import with_one_label
from wsol.data.no_object import with_no_object
from wsol.data.open import open_data
from wsol.data.readers.yolo import label_path, read, recognise
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

BOX_PX, POLYGON_PX = [4, 9, 16, 21], [4, 6, 20, 18]


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.round(3).tolist() for image_id, one in ground_truth.by_id.items()}


def one_image(root: Path, rows: str | None) -> Path:
    """A hawk with a box, and an image with these rows."""
    write_pairs(root / "images", root / "labels", {"good.jpg": f"0 {BOX}\n", "1.jpg": rows})
    (root / "data.yaml").write_text("train: images\nnames: [hawk, owl]\n")
    return root


# Where things lie


@pytest.mark.parametrize(
    ("write", "ids"),
    [
        pytest.param(write_yolo, ["train/1.jpg", "train/2.jpg", "train/night/3.jpg", "val/4.jpg"], id="Ultralytics"),
        pytest.param(
            write_roboflow_yolo,
            ["train/images/1.jpg", "train/images/2.jpg", "train/images/night/3.jpg", "valid/images/4.jpg"],
            id="Roboflow",
        ),
        pytest.param(write_labelimg, ["1.jpg", "2.jpg", "night/3.jpg"], id="LabelImg"),
        pytest.param(
            lambda root: write_labelimg(root, is_flat=True),
            ["1.jpg", "2.jpg", "night/3.jpg"],
            id="LabelImg, one folder",
        ),
        pytest.param(
            write_darknet, [f"obj_train_data/{name}" for name in ("1.jpg", "2.jpg", "night/3.jpg")], id="Darknet"
        ),
    ],
)
def test_every_writer_of_yolo_is_read(tmp_path: Path, write: Callable[[Path], Path], ids: list[str]) -> None:
    data = open_data(write(tmp_path / "data"))
    assert data.kind == "YOLO"
    assert data.class_names == ("hawk", "owl")
    assert labelled(data, data.train) == dict(zip(ids[:3], ("hawk", "owl", "owl"), strict=True))
    assert all(sample.path.is_file() for sample in (*data.train, *data.test))
    assert data.has_split == (len(ids) == 4)
    assert labelled(data, data.test) == ({ids[3]: "owl"} if data.has_split else labelled(data, data.train))
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == data.mistakes == ()
    expected = [[BOX_PX], [BOX_PX, POLYGON_PX], [POLYGON_PX], [BOX_PX]]
    assert boxes_of(ground_truth) == dict(zip(ids, expected, strict=False))


SPLITS = "train: images/train\nval: images/val\n"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        pytest.param("names:\n  0: hawk\n  1: owl\n", SPLITS, id="names by number"),
        pytest.param("names: ['hawk', 'owl']\nnc: 2\n", SPLITS, id="a list of names"),
        pytest.param(None, "train: [images/train]\nval: [images/val]\ntest:\n", id="lists of folders"),
        pytest.param(None, "train: ./images/train/\nval: ../images/val\n", id="dots"),
        pytest.param(None, "train: /data/birds/images/train\nval: C:\\birds\\images\\val\n", id="of another machine"),
        pytest.param(None, "train: train.txt\nval: val.txt\n", id="list files"),
        pytest.param(None, "train: images/train\nvalid: images/val\n", id="valid"),
    ],
)
def test_settings_are_read_as_trainers_read_them(tmp_path: Path, names: str | None, splits: str) -> None:
    write_yolo(tmp_path, names or "names: [hawk, owl]\n", splits)
    (tmp_path / "train.txt").write_text("./images/train/1.jpg\nimages/train/2.jpg\n\n/x/y/images/train/night/3.jpg\n")
    (tmp_path / "val.txt").write_text("images/val/4.jpg\nimages/val/notes.md\n")
    data = read(tmp_path)
    assert labelled(data, data.train) == {"train/1.jpg": "hawk", "train/2.jpg": "owl", "train/night/3.jpg": "owl"}
    assert labelled(data, data.test) == {"val/4.jpg": "owl"}
    assert data.doubts == data.mistakes == ()


def test_the_yaml_file_itself_can_be_given(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    assert recognise(tmp_path / "data.yaml")
    assert labelled(read(tmp_path / "data.yaml"), read(tmp_path / "data.yaml").train) == labelled(
        read(tmp_path), read(tmp_path).train
    )


def test_path_may_be_a_folder_below(tmp_path: Path) -> None:
    write_yolo(tmp_path / "birds")
    (tmp_path / "birds/data.yaml").rename(tmp_path / "birds.yaml")
    assert len(read(tmp_path / "birds.yaml").train) == 3


def test_nothing_outside_the_data_set_is_read(tmp_path: Path) -> None:
    write_pairs(tmp_path / "private/images", tmp_path / "private/labels", {"1.jpg": f"0 {BOX}\n"})
    (tmp_path / "data").mkdir()
    for path, train in ((f"{tmp_path}/private", "images"), ("../private", "images"), ("", "../private/images")):
        (tmp_path / "data/data.yaml").write_text(f"path: {path}\ntrain: {train}\nnames: [hawk]\n")
        with pytest.raises(WsolError, match="no images in .*--images FOLDER"):
            read(tmp_path / "data")


@pytest.mark.parametrize("images", ["images", "images/images", "elsewhere"])
def test_the_images_may_be_in_another_folder(tmp_path: Path, images: str) -> None:
    write_yolo(tmp_path / "data")
    (tmp_path / images).parent.mkdir(exist_ok=True)
    (tmp_path / "data/images").rename(tmp_path / images)
    data = read(tmp_path / "data", tmp_path / images.split("/")[0])
    assert labelled(data, data.train) == {"train/1.jpg": "hawk", "train/2.jpg": "owl", "train/night/3.jpg": "owl"}
    assert all(sample.path.is_file() for sample in data.train)


def test_one_folder_may_hold_the_images_of_all_splits(tmp_path: Path) -> None:
    write_yolo(tmp_path / "data")
    for file in (tmp_path / "data/images").rglob("*.jpg"):
        write_image(tmp_path / "photos" / file.relative_to(tmp_path / "data/images").as_posix().partition("/")[2])
    write_image(tmp_path / "photos/9.jpg")
    data = read(tmp_path / "data", tmp_path / "photos")
    assert labelled(data, data.train) == {"train/1.jpg": "hawk", "train/2.jpg": "owl", "train/night/3.jpg": "owl"}
    assert labelled(data, data.test) == {"val/4.jpg": "owl"}
    assert data.mistakes == () and not any(data.unlabelled)


def test_images_in_both_splits_are_test_images(tmp_path: Path) -> None:
    write_yolo(tmp_path, splits="train: [images/train, images/val]\nval: images/val\n")
    data = read(tmp_path)
    assert [sample.image_id for sample in data.test] == ["val/4.jpg"]
    assert "val/4.jpg" not in [sample.image_id for sample in data.train]


def test_the_same_folder_for_training_and_validation_is_no_split(tmp_path: Path) -> None:
    write_yolo(tmp_path, splits="train: images/train\nval: images/train\n")
    data = read(tmp_path)
    assert not data.has_split and data.train == data.test and len(data.train) == 3


def test_splits_are_found_without_settings(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("hawk\nowl\n")
    data = read(tmp_path)
    assert (len(data.train), len(data.test), data.has_split) == (3, 1, True)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/1.jpg", "labels/1.txt"),
        ("train/images/a/1.tar.png", "train/labels/a/1.tar.txt"),
        ("images/images/1.jpg", "images/labels/1.txt"),
        ("obj_train_data/1.jpg", "obj_train_data/1.txt"),
    ],
)
def test_the_label_file_of_an_image(image: str, labels: str) -> None:
    assert label_path(image) == labels


# Recognition


@pytest.mark.parametrize(
    ("files", "is_yolo"),
    [
        pytest.param({"data.yaml": "names: [a]\ntrain: images"}, True, id="data.yaml"),
        pytest.param({"birds.yml": "val: x\n'names' : [a]"}, True, id="another name"),
        pytest.param({"config.yaml": "method: spol\ntrain: 3"}, False, id="a configuration"),
        pytest.param({"data.yaml": "names: [a]"}, False, id="names alone"),
        pytest.param({"classes.txt": "a", "labels/1.txt": ""}, True, id="classes.txt"),
        pytest.param({"classes.txt": "a", "train/labels/1.txt": ""}, True, id="classes.txt and splits"),
        pytest.param({"labels/classes.txt": "a", "labels/1.txt": ""}, True, id="classes.txt in labels"),
        pytest.param({"labels/classes.txt": "a"}, False, id="classes.txt alone"),
        pytest.param({"labels/1.txt": "0 1 1 1 1"}, False, id="labels without names"),
        pytest.param({"classes.txt": "a", "owl/1.jpg": ""}, False, id="class folders with a list"),
        pytest.param({"classes.txt": "a", "1.txt": "", "1.jpg": ""}, True, id="one folder"),
        pytest.param({"classes.txt": "a", "1.txt": "", "2.jpg": ""}, False, id="a text beside another image"),
        pytest.param({"obj.names": "a", "images.txt": "", "data/1.txt": "", "data/1.jpg": ""}, True, id="FiftyOne's"),
    ],
)
def test_the_layout_is_recognised(tmp_path: Path, files: dict[str, str], is_yolo: bool) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert recognise(tmp_path) is is_yolo


@pytest.mark.parametrize(
    ("settings_text", "words"),
    [
        pytest.param("names: [a, a]\ntrain: images", "every class name once", id="a name twice"),
        pytest.param("names: {0: a, x: b}\ntrain: images", "a name for each number", id="a name for a name"),
        pytest.param("names: [no]\ntrain: images", "names such as no", id="no"),
        pytest.param("names: [[a]]\ntrain: images", "a name for each number", id="a list as a name"),
        pytest.param("names:\ntrain: images", "has no class names", id="no names"),
        pytest.param("names: [a\ntrain: images", "is not YAML", id="half a list"),
        pytest.param("names: [a]\ntrain: 3", "train.*a path, or a list of paths", id="a number for a path"),
        pytest.param("names: [a]\ntrain:", "names no images", id="no path"),
        pytest.param("names: [a]\ntrain: absent.txt", "cannot read the list", id="a list that is not there"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, settings_text: str, words: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "data.yaml").write_text(settings_text + "\n")
    with pytest.raises(WsolError, match=words):
        read(tmp_path)


def test_two_settings_are_ambiguous(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "old.yaml").write_text("names: [a]\ntrain: images\n")
    with pytest.raises(WsolError, match="ambiguous.*data.yaml, old.yaml.*Give one"):
        read(tmp_path)


# Labels


@pytest.mark.parametrize("rows", ["", " \n", None], ids=["empty", "blank", "absent"])
def test_an_image_with_an_empty_or_absent_label_file_has_no_label(tmp_path: Path, rows: str | None) -> None:
    data = read(one_image(tmp_path, rows))
    assert labelled(data, data.train) == {"good.jpg": "hawk"}
    assert [sample.image_id for sample in data.unlabelled.train] == ["1.jpg"]
    assert [mistake.kind for mistake in data.mistakes] == ["no label"]
    marked = with_no_object(data, "unlabelled")
    assert labelled(marked, marked.train) == {"good.jpg": "hawk", "1.jpg": "no object"}


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        pytest.param(f"0 {BOX}\n1 {BOX}\n", "several classes", id="two classes"),
        pytest.param(f"2 {BOX}\n", "unknown class", id="a number without a name"),
        pytest.param(f"-1 {BOX}\n", "unknown class", id="below zero"),
        pytest.param(f"owl {BOX}\n", "unknown class", id="a name for a number"),
        pytest.param(f"0.5 {BOX}\n", "unknown class", id="half a number"),
    ],
)
def test_an_image_without_one_known_class_is_left_out(tmp_path: Path, rows: str, kind: str) -> None:
    data = with_one_label(read(one_image(tmp_path, rows)))
    assert labelled(data, data.train) == {"good.jpg": "hawk"}
    assert [mistake.kind for mistake in data.mistakes] == [kind]
    assert "1." in data.mistakes[0].where
    assert data.unlabelled.train == ()


def test_labels_that_are_not_text_make_no_image_without_an_object(tmp_path: Path) -> None:
    one_image(tmp_path, "")
    (tmp_path / "labels/1.txt").write_bytes(b"\xff\xfe\x00")
    data = read(tmp_path)
    assert [mistake.kind for mistake in data.mistakes] == ["unknown class"]
    assert data.unlabelled.train == ()


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param("0 160 270 480 480", "outside the image", id="pixels"),
        pytest.param("0 -0.2 0.5 0.3 0.4", "outside the image", id="below zero"),
        pytest.param("0 1.1 0.5 0.3 0.4", "outside the image", id="above one"),
        pytest.param("0 0.5 0.5 0.3 0.4 0.9", "no true box", id="a score"),
        pytest.param("0 0.5 0.5 0.3", "no true box", id="three numbers"),
        pytest.param("0", "no true box", id="no number"),
        pytest.param("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "no true box", id="half a corner"),
        pytest.param("0 0.5 nan 0.3 0.4", "not a number", id="nan"),
        pytest.param("0 0.5 x 0.3 0.4", "not a number", id="letters"),
        pytest.param("0 0.5 0.5 0 0.4", "no area", id="no width"),
        pytest.param("0 0.1 0.5 0.8 0.4", "reaches outside, clipped", id="beyond the image"),
        pytest.param(f"2 {BOX}", "unknown class", id="a number without a name"),
    ],
)
def test_a_bad_row_costs_its_own_box_only(tmp_path: Path, row: str, kind: str) -> None:
    data = read(one_image(tmp_path, f"{row}\n0 {BOX}\n"))
    assert labelled(data, data.train) == {"1.jpg": "hawk", "good.jpg": "hawk"}
    ground_truth = data.read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == [kind]
    assert "1.txt, line 1" in ground_truth.mistakes[0].where
    assert boxes_of(ground_truth)["1.jpg"][-1] == BOX_PX


def test_a_number_barely_beyond_one_is_rounding(tmp_path: Path) -> None:
    ground_truth = read(one_image(tmp_path, "0 0.5 0.5 1.000001 1.000001\n")).read_ground_truth()
    assert ground_truth.mistakes == ()
    assert boxes_of(ground_truth)["1.jpg"] == [[0, 0, 40, 30]]


def test_polygons_are_a_mask_if_all_objects_have_one(tmp_path: Path) -> None:
    triangle = "0 0.5 0.5 0.9 0.5 0.9 0.9"
    ground_truth = read(one_image(tmp_path, f"0 {POLYGON}\n{triangle}\n")).read_ground_truth()
    read_mask = ground_truth["1.jpg"].read_mask
    assert read_mask is not None
    is_object = read_mask((30, 40)).is_object
    assert is_object[6:18, 4:20].all() and not is_object[:6].any() and not is_object[:, :4].any()
    assert ground_truth["good.jpg"].read_mask is None
    broken = read(one_image(tmp_path, f"0 {POLYGON}\n0 0.1 0.1\n")).read_ground_truth()
    assert broken["1.jpg"].read_mask is None, "an object without an outline would count as background"


def test_keypoints_after_the_box_are_no_polygon(tmp_path: Path) -> None:
    one_image(tmp_path, f"0 {BOX} 0.9 0.9 0.8 0.8\n0 {BOX} 0.9 0.9 2\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [hawk]\nkpt_shape: [2, 2]\n")
    assert boxes_of(read(tmp_path).read_ground_truth())["1.jpg"] == [BOX_PX, BOX_PX]


def test_labels_without_an_image_are_named(tmp_path: Path) -> None:
    one_image(tmp_path, f"0 {BOX}\n")
    (tmp_path / "labels/lost.txt").write_text(f"0 {BOX}\n")
    (tmp_path / "labels/classes.txt").write_text("hawk\n")
    (mistake,) = read(tmp_path).mistakes
    assert mistake.kind == "missing image" and mistake.where.endswith("lost.txt")


def test_labels_of_uploads_belong_to_the_images_before_the_upload(tmp_path: Path) -> None:
    write_labelimg(tmp_path / "data")
    for name in ("1.txt", "night/3.txt"):
        file = tmp_path / "data/labels" / name
        file.rename(file.with_name(f"a1b2c3d4-{file.name}"))
    data = read(tmp_path / "data")
    assert labelled(data, data.train) == {"1.jpg": "hawk", "2.jpg": "owl", "night/3.jpg": "owl"}
    assert data.mistakes == ()
    (tmp_path / "data/labels/1.txt").write_text(f"1 {BOX}\n")
    data = read(tmp_path / "data")
    assert labelled(data, data.train)["1.jpg"] == "owl", "its own labels count"
    assert [mistake.kind for mistake in data.mistakes] == ["missing image"]


def test_two_images_may_have_one_label_file(tmp_path: Path) -> None:
    one_image(tmp_path, f"1 {BOX}\n")
    write_image(tmp_path / "images/1.png")
    data = read(tmp_path)
    assert labelled(data, data.train) == {"1.jpg": "owl", "1.png": "owl", "good.jpg": "hawk"}
    assert set(data.read_ground_truth().by_id) == {"1.jpg", "1.png", "good.jpg"}


def test_classes_without_images_are_unused(tmp_path: Path) -> None:
    data = read(one_image(tmp_path, f"0 {BOX}\n"))
    assert (data.class_names, data.unused) == (("hawk",), ("owl",))


def test_a_missing_image_costs_only_its_own_boxes(tmp_path: Path) -> None:
    write_darknet(tmp_path)
    (tmp_path / "obj_train_data/1.jpg").unlink()
    ground_truth = read(tmp_path).read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["missing image"]
    assert len(ground_truth.by_id) == 2


edges = st.tuples(*[st.integers(0, 1000)] * 4).filter(lambda e: e[0] < e[2] and e[1] < e[3])


@settings(max_examples=30)  # each writes files
@given(st.lists(edges, min_size=1, max_size=4))
def test_boxes_survive_being_written_in_six_decimals(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("yolo")
    centres = [((x0 + x1) / 2000, (y0 + y1) / 2000, (x1 - x0) / 1000, (y1 - y0) / 1000) for x0, y0, x1, y1 in rows]
    one_image(root, "".join(f"0 {' '.join(f'{value:.6f}' for value in row)}\n" for row in centres))
    ground_truth = read(root).read_ground_truth()
    assert ground_truth.mistakes == ()
    expected = [[x0 * 0.04, y0 * 0.03, x1 * 0.04, y1 * 0.03] for x0, y0, x1, y1 in rows]
    assert ground_truth["1.jpg"].boxes.xyxy.tolist() == [pytest.approx(row, abs=1e-4) for row in expected]
