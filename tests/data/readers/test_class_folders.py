"""Class folders: which images, which classes, which ground truth."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from wsol.data.ground_truth import GroundTruth
from wsol.data.images import images_under
from wsol.data.open import open_data
from wsol.data.readers.class_folders import GivenClasses, read
from wsol.data.samples import DataSet
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Xyxy

NewImage = Callable[..., Path]


def labelled(data: DataSet) -> dict[str, list[tuple[str, str]]]:
    """Image ids and class names of both splits."""
    return {
        split: [(s.image_id, data.class_names[s.label]) for s in getattr(data, split)] for split in ("train", "test")
    }


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[Xyxy]]:
    return {image_id: [tuple(box) for box in one.boxes.xyxy.tolist()] for image_id, one in ground_truth.by_id.items()}


def mistakes_of(ground_truth: GroundTruth) -> list[tuple[str, str]]:
    return [(mistake.kind, Path(mistake.where).name) for mistake in ground_truth.mistakes]


FLAT = [
    ("hawk/1.jpg", "hawk"),
    ("hawk/2.png", "hawk"),
    ("owl/1.jpg", "owl"),
    ("owl/2.jpg", "owl"),
    ("owl/night/3.jpg", "owl"),
]


def test_classes_are_the_folders_however_deep_their_images(class_folders: Path) -> None:
    data = read(class_folders)
    assert data.class_names == ("hawk", "owl")
    assert labelled(data) == {"train": FLAT, "test": FLAT}
    assert not data.has_split
    assert all(sample.path == class_folders / sample.image_id for sample in data.train)


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_a_split_is_taken_where_there_is_one(split_folders: Path, name: str) -> None:
    (split_folders / "test").rename(split_folders / name)
    data = read(split_folders)
    assert data.class_names == ("hawk", "owl")
    assert labelled(data) == {
        "train": [("train/hawk/1.jpg", "hawk"), ("train/owl/1.jpg", "owl"), ("train/owl/2.jpg", "owl")],
        "test": [(f"{name}/hawk/8.jpg", "hawk"), (f"{name}/owl/9.jpg", "owl")],
    }
    assert data.has_split
    assert "3 training and 2 test images, 1 to 2 a class" in data.describe()


def test_hidden_files_and_folders_are_no_data(class_folders: Path, new_image: NewImage) -> None:
    for name in (".git/1.jpg", ".1.jpg", "owl/.trash/1.jpg", "owl/._1.jpg"):
        new_image(class_folders / name)
    (class_folders / "owl" / "notes.txt").write_text("no image")
    assert labelled(read(class_folders))["train"] == FLAT


def test_a_hidden_folder_is_no_unknown_class(split_folders: Path) -> None:
    (split_folders / "test" / ".ipynb_checkpoints").mkdir()
    assert len(read(split_folders).test) == 2


def test_a_folder_beside_train_and_test_is_no_class(split_folders: Path, new_image: NewImage) -> None:
    whole = read(split_folders)
    new_image(split_folders / "unlabelled/1.jpg")
    data = read(split_folders)
    assert data.class_names == ("hawk", "owl")
    assert (data.train, data.test) == (whole.train, whole.test)


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_class_of_trains_stays_a_class(class_folders: Path, new_image: NewImage, name: str) -> None:
    new_image(class_folders / name / "1.jpg")
    assert read(class_folders).class_names == ("hawk", "owl", name)


def test_a_class_may_have_no_test_image(split_folders: Path) -> None:
    (split_folders / "test/owl/9.jpg").unlink()
    (split_folders / "test/owl").rmdir()
    assert labelled(open_data(split_folders))["test"] == [("test/hawk/8.jpg", "hawk")]


def test_names_need_not_be_ascii(tmp_path: Path, new_image: NewImage) -> None:
    names = ["Käuzchen/梟 1.png", os.fsdecode(b"b\xff/1.png")]
    for name in names:
        new_image(tmp_path / name)
    data = open_data(tmp_path)
    assert sorted(sample.image_id for sample in data.train) == sorted(names)
    assert len(data.training_hash()) == 64


# The class that a name alone gives


def assert_given_as_read(data: DataSet) -> None:
    samples = (*data.train, *data.test)
    predicted = [path.relative_to(data.root).as_posix() for path in images_under(data.root)]
    given = GivenClasses(predicted, data.class_names, data.root.name)
    assert [given.of(one.image_id) for one in samples] == [data.class_names[one.label] for one in samples]


FOLDERS = st.lists(st.sampled_from(["train", "test", "val", "hawk", "owl", "masks"]), min_size=1, max_size=3)


@settings(max_examples=50)
@hypothesis.given(st.lists(FOLDERS, min_size=1, max_size=7))
@hypothesis.example([["hawk"], ["train", "hawk"]])  # a class of trains, whatever its folders are called
@hypothesis.example([["train", "train", "hawk"], ["train", "hawk"], ["test", "train"]])  # the same below a split
@hypothesis.example([["hawk"], ["owl"], ["test", "hawk"]])  # a class of tests
def test_folders_give_the_classes_that_are_read(tree: list[list[str]]) -> None:
    with TemporaryDirectory() as root:
        for number, folders in enumerate(tree):
            folder = Path(root, *folders)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").touch()
        try:
            data = read(Path(root))
        except WsolError:  # the test folder has classes of its own
            return
        assert_given_as_read(data)


@pytest.mark.parametrize("layout", ["class_folders", "split_folders"])
@pytest.mark.parametrize("more", [(), ("train",), ("test",)], ids=["plain", "trains among them", "tests among them"])
def test_the_given_class_is_the_one_that_is_read(
    layout: str, more: tuple[str, ...], request: pytest.FixtureRequest, new_image: NewImage
) -> None:
    root = request.getfixturevalue(layout)
    for name in more:
        for split in ("train", "test") if layout == "split_folders" else ("",):
            new_image(root / split / name / "1.jpg")
    assert_given_as_read(read(root))


@pytest.mark.parametrize(
    ("image_id", "expected"),
    [
        pytest.param("owl/1.jpg", "owl", id="first folder"),
        pytest.param("2024/may/owl/1.jpg", "owl", id="parent folder"),
        pytest.param("owl/hawk/1.jpg", "owl", id="the outer of two"),
        pytest.param("train/owl/1.jpg", "owl", id="below a split"),
        pytest.param("1.jpg", None, id="no folder"),
        pytest.param("owl.jpg", None, id="a file is no folder"),
        pytest.param("owl", None, id="nor is one without a suffix"),
        pytest.param("Owl/1.jpg", None, id="another case"),
        pytest.param("owls/1.jpg", None, id="a longer name"),
        pytest.param("snow owl/1.jpg", None, id="a name that holds it"),
    ],
)
def test_a_folder_gives_the_class_that_it_is_named_exactly_like(image_id: str, expected: str | None) -> None:
    assert GivenClasses([image_id], ("hawk", "owl"), "images").of(image_id) == expected
    assert GivenClasses([image_id], (), "owl").of(image_id) is None


@pytest.mark.parametrize(
    ("image_id", "root_name", "expected"),
    [
        pytest.param("1.jpg", "owl", "owl", id="a class folder by itself"),
        pytest.param("2024/may/1.jpg", "owl", "owl", id="images deeper in it"),
        pytest.param("hawk/1.jpg", "owl", "hawk", id="a class folder below"),
        pytest.param("1.jpg", "Owl", None, id="another case"),
        pytest.param("1.jpg", "owls", None, id="a longer name"),
        pytest.param("1.jpg", "", None, id="the root of the disk"),
    ],
)
def test_the_tree_itself_may_be_called_like_a_class(image_id: str, root_name: str, expected: str | None) -> None:
    assert GivenClasses([image_id], ("hawk", "owl"), root_name).of(image_id) == expected


@pytest.mark.parametrize("above", ["", "birds/", "2024/may/"])
@pytest.mark.parametrize(
    ("others", "image_id", "expected"),
    [
        pytest.param(["test/bus/2.jpg"], "train/bus/1.jpg", "bus", id="a split"),
        pytest.param(["test/bus/2.jpg"], "train/train/bus/1.jpg", "train", id="a class of trains below it"),
        pytest.param(["bus/2.jpg"], "train/bus/1.jpg", "train", id="a class of trains beside another"),
        pytest.param(["bus/2.jpg"], "train/1.jpg", "train", id="the same without folders"),
    ],
)
def test_a_folder_called_like_a_split_is_one_where_its_neighbours_are_reported(
    above: str, others: list[str], image_id: str, expected: str
) -> None:
    tree = [f"{above}{name}" for name in (*others, image_id)]
    assert GivenClasses(tree, ("bus", "train"), "data").of(tree[-1]) == expected


# Ground truth


def table(root: Path, *rows: str, header: str = "path,x0,y0,x1,y1") -> None:
    (root / "boxes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_ground_truth_is_read_only_on_request(class_folders: Path) -> None:
    (class_folders / "boxes.csv").write_bytes(b"\xff\xfe poison")
    (class_folders / "masks" / "hawk").mkdir(parents=True)
    (class_folders / "masks" / "hawk" / "1.png").write_bytes(b"poison")
    assert labelled(open_data(class_folders))["train"] == FLAT


@pytest.mark.parametrize("header", ["path,x0,y0,x1,y1", "\ufeffpath,x0,y0,x1,y1"])
def test_boxes_come_from_the_table_clipped_to_their_images(class_folders: Path, header: str) -> None:
    table(
        class_folders,
        "owl/1.jpg,1,2,3,4",
        "hawk/2.png,-5,-5,400,400",
        "owl/1.jpg,0.5,0,1e1,7.25",
        "no/such.jpg,senseless",
        header=header,
    )
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {
        "owl/1.jpg": [(1, 2, 3, 4), (0.5, 0, 10, 7.25)],
        "hawk/2.png": [(0, 0, 40, 30)],
    }
    assert {one.image_hw for one in ground_truth.by_id.values()} == {(30, 40)}
    assert mistakes_of(ground_truth) == [
        ("reaches outside, clipped", "boxes.csv, line 3"),
        ("unknown image", "boxes.csv, line 5"),
    ]
    assert "'no/such.jpg'" in ground_truth.mistakes[1].what


def test_other_columns_and_another_order_do_not_matter(class_folders: Path) -> None:
    table(class_folders, "big,5,6,3,2,owl/2.jpg", header="note,x1,y1,x0,y0,path")
    assert boxes_of(read(class_folders).read_ground_truth()) == {"owl/2.jpg": [(3, 2, 5, 6)]}


def test_a_path_with_a_comma_is_quoted(tmp_path: Path, new_image: NewImage) -> None:
    new_image(tmp_path / 'a,"b"' / "1.jpg")
    new_image(tmp_path / "c" / "1.jpg")
    table(tmp_path, '"a,""b""/1.jpg",1,2,3,4')
    assert boxes_of(read(tmp_path).read_ground_truth()) == {'a,"b"/1.jpg': [(1, 2, 3, 4)]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param("owl/1.jpg,1,2,x,4", "four numbers", id="a word"),
        pytest.param("owl/1.jpg,1,2,3", "four numbers", id="three numbers"),
        pytest.param("owl/1.jpg,,,,", "four numbers", id="nothing"),
    ],
)
def test_a_bad_row_is_one_mistake_with_its_line(class_folders: Path, row: str, words: str) -> None:
    table(class_folders, "hawk/1.jpg,1,2,3,4", row)
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"hawk/1.jpg": [(1, 2, 3, 4)]}
    assert mistakes_of(ground_truth) == [("not a number", "boxes.csv, line 3")]
    assert words in ground_truth.mistakes[0].what


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        pytest.param("owl/1.jpg,5,2,1,4", "swapped corners", "x0 < x1", id="swapped corners"),
        pytest.param("owl/1.jpg,5,2,5,4", "no area", "a width", id="no width"),
        pytest.param("owl/1.jpg,20,20,10,10", "swapped corners", "xywh", id="xywh"),
        pytest.param("owl/1.jpg,nan,2,3,4", "not a number", "nan", id="not a number"),
        pytest.param("owl/1.jpg,0,0,inf,4", "not a number", "inf", id="infinite"),
        pytest.param("owl/1.jpg,100,0,200,4", "outside the image", "40 x 30", id="outside of the image"),
        pytest.param("owl/11.jpg,1,2,3,4", "unknown image", "owl/11.jpg", id="an unknown image"),
    ],
)
def test_a_senseless_row_is_noted_and_not_used(class_folders: Path, row: str, kind: str, words: str) -> None:
    table(class_folders, "hawk/1.jpg,1,2,3,4", row)
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"hawk/1.jpg": [(1, 2, 3, 4)]}
    assert mistakes_of(ground_truth) == [(kind, "boxes.csv, line 3")]
    assert words in ground_truth.mistakes[0].what


def test_rows_of_training_and_of_validation_images_are_no_mistakes(split_folders: Path, new_image: NewImage) -> None:
    new_image(split_folders / "val/owl/5.jpg")
    rows = [f"{name},1,2,3,4" for name in ("train/owl/1.jpg", "test/owl/9.jpg", "val/owl/5.jpg", "val/owl/6.jpg")]
    table(split_folders, *rows)
    ground_truth = read(split_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"test/owl/9.jpg": [(1, 2, 3, 4)]}
    assert mistakes_of(ground_truth) == [("unknown image", "boxes.csv, line 5")]


def test_ground_truth_may_be_in_another_folder_than_the_images(class_folders: Path, tmp_path: Path) -> None:
    apart = tmp_path / "truth"
    apart.mkdir()
    table(apart, "owl/1.jpg,1,2,3,4", "owl/7.jpg,1,2,3,4")
    save_mask(apart / "masks/owl/1.png", MASK)
    data = open_data(apart, class_folders)
    assert labelled(data)["test"] == FLAT
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/1.jpg": [(1, 2, 3, 4)]}
    assert mistakes_of(ground_truth) == [("unknown image", "boxes.csv, line 3")]
    np.testing.assert_array_equal(mask_of(ground_truth, "owl/1.jpg"), MASK)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"file,x,y,w,h\n", id="other columns"),
        pytest.param("path,x0,y0,x1,y1\nKäuzchen/1.jpg,1,2,3,4\n".encode("latin-1"), id="not UTF-8"),
    ],
)
def test_a_table_of_another_kind_names_what_is_expected(class_folders: Path, content: bytes) -> None:
    (class_folders / "boxes.csv").write_bytes(content)
    with pytest.raises(WsolError, match=r"boxes\.csv"):
        read(class_folders).read_ground_truth()


def test_a_path_may_begin_with_the_folder_it_is_relative_to(class_folders: Path) -> None:
    """As `wsol export` writes it where a spreadsheet would take the path for a formula."""
    table(class_folders, "./owl/1.jpg,1,2,3,4")
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/1.jpg": [(1, 2, 3, 4)]} and not mistakes_of(ground_truth)


def test_a_broken_image_costs_its_own_boxes_only(class_folders: Path) -> None:
    table(class_folders, "owl/1.jpg,1,2,3,4", "owl/2.jpg,1,2,3,4", "owl/1.jpg,5,6,7,8")
    (class_folders / "owl/1.jpg").write_bytes(b"")
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/2.jpg": [(1, 2, 3, 4)]}
    assert mistakes_of(ground_truth) == [("broken image", "1.jpg")]


def save_mask(path: Path, mask: NDArray[np.bool_], mode: str = "L", value: object = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, mask.shape[::-1])
    if mode == "P":
        image.putpalette([0, 0, 0, 0, 128, 0])
    image.paste(value, (0, 0), Image.fromarray(mask))  # type: ignore[arg-type]
    image.save(path)


MASK = np.zeros((30, 40), dtype=bool)
MASK[5:9, 10:20] = True


def mask_of(ground_truth: GroundTruth, image_id: str, image_hw: tuple[int, int] = (30, 40)) -> NDArray[np.bool_]:
    read_mask = ground_truth[image_id].read_mask
    assert read_mask is not None
    mask = pickle.loads(pickle.dumps(read_mask))(image_hw)
    assert mask.is_ignored.shape == mask.is_object.shape == image_hw
    assert not mask.is_ignored.any()
    return np.asarray(mask.is_object)


@pytest.mark.parametrize(
    ("mode", "value"),
    [
        pytest.param("L", 255, id="white"),
        pytest.param("L", 1, id="1"),
        pytest.param("1", 1, id="1 bit"),
        pytest.param("RGB", (200, 0, 0), id="red"),
        pytest.param("RGB", (0, 128, 0), id="green"),
        pytest.param("P", 1, id="the palette of Pascal VOC"),
        pytest.param("I;16", 1, id="16-bit 1"),
    ],
)
def test_boxes_come_from_masks_where_there_is_no_table(class_folders: Path, mode: str, value: object) -> None:
    if mode == "I;16":
        (class_folders / "masks/owl").mkdir(parents=True)
        Image.fromarray(MASK.astype(np.uint16)).save(class_folders / "masks/owl/1.png")
    else:
        save_mask(class_folders / "masks/owl/1.png", MASK, mode, value)
    data = read(class_folders)
    assert data.class_names == ("hawk", "owl")
    assert labelled(data)["train"] == FLAT
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/1.jpg": [(10, 5, 20, 9)]}
    np.testing.assert_array_equal(mask_of(ground_truth, "owl/1.jpg"), MASK)


def test_boxes_of_the_table_come_with_the_masks_beside_it(split_folders: Path) -> None:
    save_mask(split_folders / "masks/test/owl/9.png", MASK)
    table(split_folders, "test/owl/9.jpg,1,2,3,4", "test/hawk/8.jpg,5,6,7,8", "train/owl/1.jpg,1,2,3,4")
    ground_truth = read(split_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"test/owl/9.jpg": [(1, 2, 3, 4)], "test/hawk/8.jpg": [(5, 6, 7, 8)]}
    np.testing.assert_array_equal(mask_of(ground_truth, "test/owl/9.jpg"), MASK)
    assert ground_truth["test/hawk/8.jpg"].read_mask is None


def test_a_mask_is_resized_to_the_nearest_pixel(class_folders: Path) -> None:
    save_mask(class_folders / "masks/owl/1.png", MASK)
    ground_truth = read(class_folders).read_ground_truth()
    # Twice and a half of each side: pixel (y, x) is the mask's (y // 2.5, x // 2.5).
    enlarged = MASK[(np.arange(75) // 2.5).astype(int)][:, (np.arange(100) // 2.5).astype(int)]
    np.testing.assert_array_equal(mask_of(ground_truth, "owl/1.jpg", (75, 100)), enlarged)
    np.testing.assert_array_equal(mask_of(ground_truth, "owl/1.jpg", (15, 20)), MASK[::2, ::2])


def test_an_empty_mask_is_noted_and_not_used(class_folders: Path) -> None:
    save_mask(class_folders / "masks/owl/1.png", np.zeros((30, 40), dtype=bool))
    save_mask(class_folders / "masks/owl/2.png", MASK)
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/2.jpg": [(10, 5, 20, 9)]}
    assert mistakes_of(ground_truth) == [("no area", "1.png")]


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param("masks/owl/1.png", "broken mask", id="the mask"),
        pytest.param("owl/1.jpg", "broken image", id="its image"),
    ],
)
def test_a_broken_mask_or_image_costs_its_own_box_only(class_folders: Path, broken: str, kind: str) -> None:
    for name in ("owl/1", "owl/2"):
        save_mask(class_folders / f"masks/{name}.png", MASK)
    data = read(class_folders)
    (class_folders / broken).write_bytes(b"")
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/2.jpg": [(10, 5, 20, 9)]}
    assert mistakes_of(ground_truth) == [(kind, Path(broken).name)]


def test_a_mask_of_another_size_than_its_image_is_an_error_with_both(class_folders: Path) -> None:
    save_mask(class_folders / "masks/owl/1.png", MASK[:20])
    words = (
        r"1\.png has \(height, width\) \(20, 40\): expected \(30, 40\), the upright size of .*1\.jpg\. Resize the mask"
    )
    (mistake,) = read(class_folders).read_ground_truth().mistakes
    assert mistake.kind == "broken mask" and re.search(words, mistake.what)
    table(class_folders, "owl/1.jpg,1,2,3,4")
    read_mask = read(class_folders).read_ground_truth()["owl/1.jpg"].read_mask
    assert read_mask is not None
    with pytest.raises(BrokenImage, match=words):
        read_mask((30, 40))
    (class_folders / "masks/owl/1.png").write_bytes(b"")
    with pytest.raises(BrokenImage, match=r"1\.png.*empty"):
        read_mask((30, 40))


def test_a_mask_without_a_usable_box_is_not_used(class_folders: Path) -> None:
    save_mask(class_folders / "masks/owl/1.png", MASK)
    table(class_folders, "owl/1.jpg,5,6,1,2", "owl/2.jpg,1,2,3,4")
    ground_truth = read(class_folders).read_ground_truth()
    assert boxes_of(ground_truth) == {"owl/2.jpg": [(1, 2, 3, 4)]}


def test_without_ground_truth_the_error_names_the_files_to_add(class_folders: Path) -> None:
    with pytest.raises(WsolError, match=r"boxes\.csv.*masks.*wsol predict"):
        read(class_folders).read_ground_truth()


@pytest.mark.parametrize("images", [["masks/1.jpg"], ["masks/left/1.jpg", "masks/right/1.jpg"]])
def test_a_class_called_masks_stays_a_class(class_folders: Path, new_image: NewImage, images: list[str]) -> None:
    for name in images:
        new_image(class_folders / name)
    data = read(class_folders)
    assert data.class_names == ("hawk", "masks", "owl")
    assert [s.image_id for s in data.train if data.class_names[s.label] == "masks"] == images


def test_masks_without_classes_are_classes(tmp_path: Path, new_image: NewImage) -> None:
    new_image(tmp_path / "masks" / "1.jpg")
    new_image(tmp_path / "hats" / "1.jpg")
    assert read(tmp_path).class_names == ("hats", "masks")
