"""wsolevaluation's tables: what is listed, what is true of it, and every way in which a table can be wrong."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_data.images import write_image
from fake_data.wsolevaluation import write_boxes, write_large_list, write_mask, write_masks
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from wsol.data.ground_truth import GroundTruth, count_kinds
from wsol.data.readers.wsolevaluation import read, recognise
from wsol.errors import BrokenImage, WsolError

LABELS = {"owl/1.jpg": 0, "owl/2.jpg": 0, "hawk/1.jpg": 1}
BOXES = {
    "owl/1.jpg": [(1.0, 2.0, 30.0, 20.0)],
    "owl/2.jpg": [(0, 0, 40, 30), (5, 6, 7, 8)],
    "hawk/1.jpg": [(3, 3, 4, 4)],
}
TABLES = ("image_ids.txt", "class_labels.txt", "localization.txt", "image_sizes.txt")


@pytest.fixture(scope="session")
def wsol_metadata() -> Path:
    """wsolevaluation's lists of CUB's test images, as published."""
    root = Path(__file__).parents[3].parent / "shared/data/wsol_metadata/CUB/test"
    if not root.is_dir():
        pytest.skip(f"{root} absent")
    return root


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A list of three images, which are not there."""
    write_boxes(tmp_path / "list", LABELS, BOXES)
    return tmp_path / "list"


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[list[float]]]:
    return {image_id: one.boxes.xyxy.tolist() for image_id, one in ground_truth.by_id.items()}


def change(table: Path, old: str, new: str) -> None:
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


# Which images, which labels


def test_a_folder_of_tables_is_a_test_list(listed: Path) -> None:
    assert recognise(listed)
    data = read(listed)
    assert data.kind == "wsolevaluation"
    assert data.train == ()
    assert data.has_split
    assert [(s.image_id, s.label) for s in data.test] == list(LABELS.items())
    assert data.class_names == ("owl", "hawk")
    assert data.mistakes == ()


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        pytest.param(["train", "val", "test"], "train", "test", id="all three"),
        pytest.param(["train", "val"], "train", "val", id="no test"),
        pytest.param(["val", "test"], None, "test", id="no train"),
        pytest.param(["train"], "train", None, id="train alone"),
        pytest.param(["train-weaksup", "train-fullsup", "test"], "train-weaksup", "test", id="the paper's names"),
        pytest.param(["train-weaksup", "train", "test"], "train", "test", id="train twice"),
        pytest.param(["train-fullsup", "other"], None, "train-fullsup", id="a folder of another name is none"),
    ],
)
def test_splits_are_folders(tmp_path: Path, names: list[str], train: str | None, test: str | None) -> None:
    for name in names:
        write_boxes(tmp_path / name, {f"{name}/1.jpg": 0}, {})
    assert recognise(tmp_path)
    data = read(tmp_path)
    assert [s.image_id for s in data.train] == ([f"{train}/1.jpg"] if train else [])
    assert [s.image_id for s in data.test] == ([f"{test}/1.jpg"] if test else [])
    assert data.has_split


def test_a_training_list_has_no_positions(tmp_path: Path) -> None:
    write_boxes(tmp_path / "test", LABELS, BOXES)
    write_boxes(tmp_path / "train", {"owl/9.jpg": 0}, {})
    for name in ("localization.txt", "image_sizes.txt"):
        (tmp_path / "train" / name).unlink()
    data = read(tmp_path)
    assert [s.image_id for s in data.train] == ["owl/9.jpg"]
    ground_truth = data.read_ground_truth()
    assert set(ground_truth.by_id) == set(LABELS)
    assert ground_truth.mistakes == ()


def test_positions_of_training_images_are_true_too(tmp_path: Path) -> None:
    write_boxes(tmp_path / "test", LABELS, BOXES)
    write_boxes(tmp_path / "train", {"owl/9.jpg": 0}, {"owl/9.jpg": [(1, 2, 3, 4)]})
    assert boxes_of(read(tmp_path).read_ground_truth())["owl/9.jpg"] == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="an empty folder"),
        pytest.param(["image_ids.txt"], id="ids alone"),
        pytest.param(["class_labels.txt", "localization.txt", "image_sizes.txt"], id="no ids"),
        pytest.param(["images.txt", "image_class_labels.txt"], id="CUB's tables"),
    ],
)
def test_other_folders_are_not_recognised(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    assert not recognise(tmp_path)
    with pytest.raises(WsolError, match=r"no image_ids\.txt.*Give the folder"):
        read(tmp_path)


def test_a_file_is_not_recognised(listed: Path) -> None:
    assert not recognise(listed / "image_ids.txt")
    assert not recognise(listed / "absent")


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    write_boxes(tmp_path, {}, {})
    data = read(tmp_path)
    assert (data.train, data.test, data.class_names) == ((), (), ())
    assert data.read_ground_truth() == GroundTruth({})


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        pytest.param({"owl/1.jpg": 1, "hawk/1.jpg": 0, "owl/x/2.jpg": 1}, ("hawk", "owl"), id="a folder a label"),
        pytest.param({"val/1.jpg": 0, "val/2.jpg": 1}, ("0", "1"), id="one folder for all"),
        pytest.param({"owl/1.jpg": 0, "hawk/1.jpg": 0}, ("0",), id="two folders of one label"),
        pytest.param({"1.jpg": 0, "2.jpg": 1}, ("0", "1"), id="no folders"),
        pytest.param({"1.jpg": 0, "owl/1.jpg": 1}, ("0", "1"), id="a folder for some"),
        pytest.param({"owl/1.jpg": 0, "hawk/1.jpg": 2}, ("owl", "1", "hawk"), id="a label that no image has"),
        pytest.param({"1/1.jpg": 0, "hawk/1.jpg": 2}, ("0", "1", "2"), id="a folder called like a label"),
        pytest.param({"val/1.jpg": 3}, ("0", "1", "2", "val"), id="one image"),
        pytest.param({}, (), id="no image"),
    ],
)
def test_classes_are_named_by_folders_or_numbered(
    tmp_path: Path, labels: dict[str, int], names: tuple[str, ...]
) -> None:
    write_boxes(tmp_path, labels, {})
    data = read(tmp_path)
    assert data.class_names == names
    assert {s.image_id: s.label for s in data.test} == labels


def test_an_image_listed_twice_is_one(listed: Path) -> None:
    change(listed / "image_ids.txt", "owl/1.jpg", "owl/1.jpg\nowl/1.jpg")
    assert [s.image_id for s in read(listed).test] == list(LABELS)


def test_bytes_that_editors_add_do_not_matter(listed: Path) -> None:
    whole = read(listed)
    for name in TABLES:
        text = (listed / name).read_text()
        (listed / name).write_bytes(("\ufeff" + text.replace("\n", "\r\n\r\n") + "\r\n \r\n").encode())
    data = read(listed)
    assert data.test == whole.test
    assert boxes_of(data.read_ground_truth()) == boxes_of(whole.read_ground_truth())


@pytest.mark.parametrize("path", ["a,b/1,2.jpg", "Käuzchen/梟 1.jpg", "a/line\u2028separator.jpg"])
def test_a_path_may_hold_anything_but_a_line_break(tmp_path: Path, path: str) -> None:
    write_boxes(tmp_path, {path: 0}, {path: [(1, 2, 3, 4)]})
    data = read(tmp_path)
    assert [s.image_id for s in data.test] == [path]
    assert boxes_of(data.read_ground_truth()) == {path: [[1, 2, 3, 4]]}


def test_images_without_a_usable_label_are_left_out(listed: Path) -> None:
    change(listed / "class_labels.txt", "owl/2.jpg,0", "owl/1.jpg,1\nowl/1.jpg,0")
    data = read(listed)
    assert [s.image_id for s in data.test] == ["hawk/1.jpg"]
    assert [(m.kind, m.where, m.what) for m in data.mistakes] == [
        ("several classes", f"{listed / 'class_labels.txt'}, line 2", "expected one label of owl/1.jpg, got 0 and 1"),
        ("unknown class", f"{listed / 'class_labels.txt'}, owl/2.jpg", "expected a line `path,label`, got none"),
    ]


def test_a_repeated_label_is_one_label(listed: Path) -> None:
    change(listed / "class_labels.txt", "owl/1.jpg,0", "owl/1.jpg,0\nowl/1.jpg,0\nother/1.jpg,7")
    data = read(listed)
    assert len(data.test) == 3
    assert data.class_names == ("owl", "hawk")
    assert data.mistakes == ()


# Where the images are


@pytest.mark.parametrize(
    ("held_by", "given", "expected"),
    [
        pytest.param("elsewhere", "elsewhere", "elsewhere", id="in the given folder"),
        pytest.param("list", None, "list", id="beside the tables"),
        pytest.param("list/images", None, "list/images", id="in images"),
        pytest.param("list/images", "elsewhere", "list/images", id="not in the given folder"),
        pytest.param(None, None, "list", id="nowhere"),
        pytest.param(None, "elsewhere", "elsewhere", id="absent from the given folder"),
    ],
)
def test_images_are_found(tmp_path: Path, listed: Path, held_by: str | None, given: str | None, expected: str) -> None:
    if held_by:
        write_image(tmp_path / held_by / "owl/1.jpg")
    data = read(listed, tmp_path / given if given else None)
    assert [s.path for s in data.test] == [tmp_path / expected / image_id for image_id in LABELS]


# Boxes


def test_corners_are_those_of_the_list(listed: Path) -> None:
    ground_truth = read(listed).read_ground_truth()
    assert boxes_of(ground_truth) == {path: [list(box) for box in boxes] for path, boxes in BOXES.items()}
    assert {one.image_hw for one in ground_truth.by_id.values()} == {(30, 40)}
    assert all(one.read_mask is None for one in ground_truth.by_id.values())
    assert ground_truth.mistakes == ()


corners = st.tuples(st.integers(0, 39), st.integers(0, 29), st.integers(0, 40), st.integers(0, 30)).map(
    lambda c: (float(min(c[0], c[2])), float(min(c[1], c[3])), float(max(c[0], c[2])), float(max(c[1], c[3])))
)


@given(st.lists(st.lists(corners, min_size=1, max_size=4), max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[float, ...]]]) -> None:
    root = tmp_path_factory.mktemp("list")
    boxes = {f"{n}.jpg": row for n, row in enumerate(rows)}
    write_boxes(root, dict.fromkeys(boxes, 0), boxes)  # type: ignore[arg-type]
    ground_truth = read(root).read_ground_truth()
    assert boxes_of(ground_truth) == {path: [list(box) for box in row] for path, row in boxes.items()}
    assert ground_truth.mistakes == ()


@pytest.mark.parametrize("poison", [b"no boxes here\n", b"owl/1.jpg,nan,nan,nan,nan", b"\xff\x00\x9d", None])
def test_malformed_boxes_matter_only_when_ground_truth_is_read(listed: Path, poison: bytes | None) -> None:
    whole = read(listed)
    for name in ("localization.txt", "image_sizes.txt"):
        (listed / name).unlink() if poison is None else (listed / name).write_bytes(poison)
    poisoned = read(listed)
    assert (poisoned.test, poisoned.class_names) == (whole.test, whole.class_names)
    with pytest.raises(WsolError, match=r"(localization|image_sizes)\.txt.*[Rr]estore"):
        poisoned.read_ground_truth()


@pytest.mark.parametrize(
    ("table", "old", "new", "kinds", "words"),
    [
        pytest.param(
            "localization.txt",
            "owl/1.jpg,1,2,30,20\n",
            "",
            {"no true box": 1},
            "localization.txt, owl/1.jpg",
            id="no box",
        ),
        pytest.param(
            "image_sizes.txt",
            "owl/2.jpg,40,30\n",
            "",
            {"no true box": 1},
            "line 2: expected a line `owl/2.jpg,width,height`",
            id="no size",
        ),
        pytest.param(
            "localization.txt",
            "owl/1.jpg,1",
            "owl/7.jpg,1",
            {"unknown image": 1, "no true box": 1},
            "line 1: expected an image of image_ids.txt, got owl/7.jpg",
            id="an image that is not listed",
        ),
        pytest.param(
            "localization.txt",
            "1,2,30,20",
            "1,2,nan,20",
            {"not a number": 1},
            "line 1: expected four finite numbers",
            id="not a number",
        ),
        pytest.param(
            "localization.txt",
            "1,2,30,20",
            "30,20,1,2",
            {"swapped corners": 1},
            "swapped corners or xywh?",
            id="swapped corners",
        ),
        pytest.param(
            "localization.txt",
            "1,2,30,20",
            "1,2,45,20",
            {"reaches outside, clipped": 1},
            "an image of 40 x 30",
            id="beyond the image",
        ),
        pytest.param(
            "localization.txt", "1,2,30,20", "50,2,60,20", {"outside the image": 1}, "an image of 40 x 30", id="outside"
        ),
        pytest.param("image_sizes.txt", "owl/1.jpg,40,30", "owl/1.jpg,30,40", {}, "", id="another size that fits"),
        pytest.param(
            "image_sizes.txt",
            "owl/1.jpg,40,30",
            "owl/1.jpg,20,10",
            {"reaches outside, clipped": 1},
            "an image of 20 x 10",
            id="width before height",
        ),
    ],
)
def test_mistakes_are_noted_and_not_used(
    listed: Path, table: str, old: str, new: str, kinds: dict[str, int], words: str
) -> None:
    change(listed / table, old, new)
    ground_truth = read(listed).read_ground_truth()
    assert count_kinds(ground_truth.mistakes) == kinds
    assert words in "\n".join(map(str, ground_truth.mistakes))
    assert boxes_of(ground_truth)["hawk/1.jpg"] == [[3, 3, 4, 4]]
    if set(kinds) - {"reaches outside, clipped"}:
        assert len(ground_truth.by_id) == 2


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        pytest.param("class_labels.txt", "owl/1.jpg", "`path,label`", id="no label"),
        pytest.param("class_labels.txt", "owl/1.jpg,owl", "`path,label`", id="a name for a label"),
        pytest.param("class_labels.txt", "owl/1.jpg,-1", "`path,label` with a label from 0", id="a negative label"),
        pytest.param("class_labels.txt", "owl/1.jpg,1.5", "`path,label`", id="a broken label"),
        pytest.param("class_labels.txt", "owl/1.jpg,1700000000", "`path,label`", id="a date for a label"),
        pytest.param("class_labels.txt", ",5", "`path,label`", id="no path"),
        pytest.param("localization.txt", "owl/1.jpg,1,2,3", "`path,x0,y0,x1,y1`", id="three corners"),
        pytest.param("localization.txt", "owl/1.jpg,1,2,x,4", "`path,x0,y0,x1,y1`", id="a word for a corner"),
        pytest.param("localization.txt", "owl/1.jpg 1 2 3 4", "`path,x0,y0,x1,y1`", id="spaces"),
        pytest.param("localization.txt", "owl/1.jpg,1,2,,4", "`path,x0,y0,x1,y1`", id="an empty corner"),
        pytest.param(
            "localization.txt", "owl/1.jpg,mask.png,ignored.png", "`path,x0,y0,x1,y1`", id="a mask among boxes"
        ),
        pytest.param("image_sizes.txt", "owl/1.jpg,40", "`path,width,height`", id="no height"),
        pytest.param("image_sizes.txt", "owl/1.jpg,0,30", "`path,width,height`", id="no width"),
        pytest.param("image_sizes.txt", "owl/1.jpg,-40,30", "`path,width,height`", id="a negative width"),
        pytest.param("image_sizes.txt", "owl/1.jpg,wide,30", "`path,width,height`", id="a word for a width"),
    ],
)
def test_a_malformed_line_is_named(listed: Path, table: str, line: str, expected: str) -> None:
    lines = (listed / table).read_text().split("\n")
    (listed / table).write_text("\n".join([lines[0], line, *lines[1:]]))
    with pytest.raises(WsolError, match="Fix the line, or restore") as raised:
        read(listed).read_ground_truth()
    assert f"{listed / table}, line 2: expected {expected}" in str(raised.value)
    assert repr(line) in str(raised.value)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_bytes_is_named(listed: Path, table: str) -> None:
    (listed / table).write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(WsolError, match=rf"{table} is not text.*Restore"):
        read(listed).read_ground_truth()


@pytest.mark.parametrize("table", TABLES[1:])
def test_a_missing_table_is_named(listed: Path, table: str) -> None:
    (listed / table).unlink()
    assert recognise(listed)
    with pytest.raises(WsolError, match=rf"no {table} in .*Restore that file"):
        read(listed).read_ground_truth()


# Masks


def square_mask(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros((30, 40), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Two images as OpenImages has them: one of two objects and a region that does not count, one of a single
    object."""
    root = tmp_path / "OpenImages"
    masks = {
        "test/a.jpg": [("test/a_1.png", "test/a_ignore.png"), ("test/a_2.png", "")],
        "test/b.jpg": [("test/b_1.png", "")],
    }
    write_masks(root, dict.fromkeys(masks, 0), masks)
    write_mask(root / "test/a_1.png", square_mask(0, 0, 10, 10))
    write_mask(root / "test/a_2.png", square_mask(20, 5, 30, 20))
    write_mask(root / "test/a_ignore.png", square_mask(5, 5, 25, 30))
    write_mask(root / "test/b_1.png", square_mask(39, 29, 40, 30))
    return root


def test_masks_of_an_image_are_one_object_and_ignored_pixels_are_the_others(masked: Path) -> None:
    ground_truth = read(masked).read_ground_truth()
    assert ground_truth.mistakes == ()
    assert boxes_of(ground_truth) == {"test/a.jpg": [], "test/b.jpg": []}
    assert ground_truth["test/a.jpg"].image_hw is None
    read_mask = ground_truth["test/a.jpg"].read_mask
    assert read_mask is not None
    mask = read_mask((30, 40))
    is_object = square_mask(0, 0, 10, 10) | square_mask(20, 5, 30, 20)
    assert (mask.is_object == is_object).all()
    assert (mask.is_ignored == square_mask(5, 5, 25, 30) & ~is_object).all()
    again = pickle.loads(pickle.dumps(read_mask))((30, 40))
    assert (again.is_object == mask.is_object).all()


def test_without_an_ignored_region_every_pixel_counts(masked: Path) -> None:
    read_mask = read(masked).read_ground_truth()["test/b.jpg"].read_mask
    assert read_mask is not None
    mask = read_mask((30, 40))
    assert (mask.is_object == square_mask(39, 29, 40, 30)).all()
    assert not mask.is_ignored.any()


def reference_mask(paths: Sequence[Path], ignored: Path, side: int) -> NDArray[np.uint8]:
    """The reference evaluator's words: read grey, resize to nearest, above 0.5; 1 is object, 255 does not count."""
    resized = [
        cv2.resize(
            np.float32(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)), (side, side), interpolation=cv2.INTER_NEAREST
        )
        > 0.5
        for path in (*paths, ignored)
    ]
    is_object = np.stack(resized[:-1]).any(axis=0)
    return np.where(is_object, 1, np.where(resized[-1], 255, 0)).astype(np.uint8)


@given(arrays(np.bool_, (3, 17, 23)), st.sampled_from([5, 16, 17, 31, 224]))
def test_masks_are_those_of_the_reference_evaluator(
    tmp_path_factory: pytest.TempPathFactory, masks: NDArray[np.bool_], side: int
) -> None:
    root = tmp_path_factory.mktemp("masks")
    names = ["1.png", "2.png", "ignore.png"]
    for name, mask in zip(names, masks, strict=True):
        write_mask(root / name, mask)
    write_masks(root, {"a.jpg": 0}, {"a.jpg": [("1.png", "ignore.png"), ("2.png", "")]})
    read_mask = read(root).read_ground_truth()["a.jpg"].read_mask
    assert read_mask is not None
    mask = read_mask((side, side))
    expected = reference_mask([root / name for name in names[:2]], root / names[2], side)
    assert (mask.is_object == (expected == 1)).all()
    assert (mask.is_ignored == (expected == 255)).all()


def test_every_grey_but_black_is_object(masked: Path) -> None:
    Image.fromarray(square_mask(39, 29, 40, 30).astype(np.uint8)).save(masked / "test/b_1.png")
    read_mask = read(masked).read_ground_truth()["test/b.jpg"].read_mask
    assert read_mask is not None
    assert (read_mask((30, 40)).is_object == square_mask(39, 29, 40, 30)).all()


def test_a_mask_is_read_at_height_by_width(masked: Path) -> None:
    read_mask = read(masked).read_ground_truth()["test/a.jpg"].read_mask
    assert read_mask is not None
    mask = read_mask((60, 20))
    assert mask.is_object.shape == mask.is_ignored.shape == (60, 20)
    assert (mask.is_object == (square_mask(0, 0, 10, 10) | square_mask(20, 5, 30, 20)).repeat(2, axis=0)[:, ::2]).all()


@pytest.mark.parametrize("holder", ["OpenImages", "OpenImages/images", "OpenImages/masks", "elsewhere"])
def test_masks_are_found(tmp_path: Path, masked: Path, holder: str) -> None:
    if holder != "OpenImages":
        (tmp_path / holder).mkdir()
        (masked / "test").rename(tmp_path / holder / "test")
    ground_truth = read(masked, tmp_path / "elsewhere").read_ground_truth()
    for one in ground_truth.by_id.values():
        assert one.read_mask is not None
        assert one.read_mask((30, 40)).is_object.any()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("test/a_2.png", None, "does not exist", id="a mask missing"),
        pytest.param("test/a_ignore.png", None, "does not exist", id="a region missing"),
        pytest.param("test/a_2.png", b"", "the file is empty", id="an empty file"),
        pytest.param("test/a_2.png", b"no image", "format is unknown", id="no image"),
    ],
)
def test_a_mask_that_cannot_be_decoded_is_reported_when_it_is_read(
    masked: Path, name: str, content: bytes | None, words: str
) -> None:
    (masked / name).unlink() if content is None else (masked / name).write_bytes(content)
    ground_truth = read(masked).read_ground_truth()
    assert ground_truth["test/b.jpg"].read_mask is not None
    read_mask = ground_truth["test/a.jpg"].read_mask
    assert read_mask is not None
    with pytest.raises(BrokenImage, match=words) as raised:
        read_mask((30, 40))
    assert str(masked / name) in str(raised.value)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("replace", "words"),
    [
        pytest.param(os.mkfifo, "a named pipe", id="a pipe"),
        pytest.param(
            lambda path: Image.new("L", (40, 30)).save(path, "JPEG2000"),
            "format is unknown",
            id="a format that only OpenCV reads",
        ),
    ],
)
def test_a_mask_that_we_would_not_open_is_not_given_to_opencv(
    masked: Path, replace: Callable[[Path], object], words: str
) -> None:
    read_mask = read(masked).read_ground_truth()["test/a.jpg"].read_mask
    assert read_mask is not None
    (masked / "test/a_2.png").unlink()
    replace(masked / "test/a_2.png")
    with pytest.raises(BrokenImage, match=words):
        read_mask((30, 40))


def test_half_a_mask_is_no_mask(masked: Path) -> None:
    whole = (masked / "test/a_1.png").read_bytes()
    (masked / "test/a_1.png").write_bytes(whole[: len(whole) - 20])
    read_mask = read(masked).read_ground_truth()["test/a.jpg"].read_mask
    assert read_mask is not None
    with pytest.raises(BrokenImage):
        read_mask((30, 40))


def test_sizes_come_with_masks_where_they_are_listed(masked: Path) -> None:
    (masked / "image_sizes.txt").write_text("test/a.jpg,400,300\n")
    ground_truth = read(masked).read_ground_truth()
    assert [one.image_hw for one in ground_truth.by_id.values()] == [(300, 400), None]


def test_mistakes_among_masks_are_noted(masked: Path) -> None:
    change(masked / "localization.txt", "test/b.jpg,", "test/c.jpg,")
    ground_truth = read(masked).read_ground_truth()
    assert [m.kind for m in ground_truth.mistakes] == ["unknown image", "no true box"]
    assert f"{masked / 'localization.txt'}, line 3: expected an image of image_ids.txt, got test/c.jpg" in str(
        ground_truth.mistakes[0]
    )
    assert "test/b.jpg" in ground_truth.mistakes[1].where
    assert set(ground_truth.by_id) == {"test/a.jpg"}


@pytest.mark.parametrize("line", ["test/a.jpg,mask.png", "test/a.jpg,,ignore.png", "test/a.jpg"])
def test_a_malformed_line_among_masks_is_named(masked: Path, line: str) -> None:
    with (masked / "localization.txt").open("a") as table:
        table.write(f"\n{line}")
    with pytest.raises(WsolError, match=r"localization\.txt, line 4: expected `path,mask,ignored`.*Fix"):
        read(masked).read_ground_truth()


# As published


def test_the_published_list_of_cub_has_no_mistakes(wsol_metadata: Path) -> None:
    data = read(wsol_metadata)
    assert (len(data.train), len(data.test), len(data.class_names)) == (0, 5794, 200)
    assert data.class_names[0] == "001.Black_footed_Albatross"
    assert all(data.class_names[s.label] == s.image_id.split("/")[0] for s in data.test)
    assert data.mistakes == ()
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == ()
    rows = [line.rsplit(",", 4) for line in (wsol_metadata / "localization.txt").read_text().splitlines()]
    assert boxes_of(ground_truth) == {path: [[float(number) for number in numbers]] for path, *numbers in rows}


def test_a_list_of_imagenets_size_takes_seconds(tmp_path: Path) -> None:
    write_large_list(tmp_path, images=5_000, boxes=8_047)
    start = time.process_time()
    data = read(tmp_path)
    ground_truth = data.read_ground_truth()
    assert sum(len(one.boxes) for one in ground_truth.by_id.values()) == 8_047
    assert len(ground_truth.by_id) == len(data.test) == 5_000
    assert ground_truth.mistakes == data.mistakes == ()
    assert len(data.class_names) == 1000
    # A tenth of the images, with every signature checked; something quadratic takes minutes.
    assert time.process_time() - start < 10
