"""Folders that are no classes are refused; those that are, whatever their files are called, are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from fake_data.images import write_image

from wsol.data.not_classes import check_classes
from wsol.data.open import open_data
from wsol.errors import WsolError

ROOT = Path("photographs")
BIRDS = [f"{place}_{hour}" for place in ("barn", "forest", "lake") for hour in ("dawn", "noon", "dusk")]
SPARSE = ["000139", "000285", "000632", "000724", "000776", "397133", "480985"]


def counted(name: str, count: int = 9, start: int = 0) -> list[str]:
    return [name.format(number) for number in range(start, start + count)]


def below(*folders: str, names: Iterable[str] = BIRDS) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(
            {"images": counted("{:03}"), "masks": counted("{:03}")},
            "images and masks .* Sort the images by class",
            id="images and masks",
        ),
        pytest.param({"JPEGImages": BIRDS, "SegmentationClass": BIRDS[:5]}, "masks/<class>", id="VOC's own folders"),
        pytest.param({"images": BIRDS, "labels": []}, "images and labels", id="YOLO's folders"),
        pytest.param(
            {"rgb": counted("{}"), "depth": counted("{}"), "owl": ["x"]}, "rgb and depth", id="beside a class"
        ),
        pytest.param(
            {"images": below("owl", "wren"), "masks": below("owl", "wren")}, "images and masks", id="classes within"
        ),
        pytest.param(
            {"left": BIRDS, "right": BIRDS},
            "left and right .* 9 of 9 file names in common, such as barn_dawn",
            id="two views",
        ),
        pytest.param(
            {"a": SPARSE, "b": [*SPARSE[:5], "1", "2"]}, "5 of 7 file names", id="numbers that are not consecutive"
        ),
        pytest.param(
            {"photographs of owls": BIRDS, "drawn": [f"{name}_mask" for name in BIRDS]}, "in common", id="an ending"
        ),
        pytest.param({"hawk": ["x"], "left": BIRDS, "right": BIRDS[:5]}, "5 of 5 file names", id="a third folder"),
        pytest.param(
            {"owl": below("images", "masks"), "wren": below("images", "masks")}, "images only", id="within each class"
        ),
        pytest.param(
            {"fold1": below("owl", "wren"), "fold2": below("owl", "wren")},
            "look like the parts of a data set",
            id="folds",
        ),
        pytest.param(
            {"Set A": below("owl", "wren"), "Set B": below("owl", "wren", names=["x"])},
            "merge their folders",
            id="sets",
        ),
        pytest.param(
            {"train": below("a", "b"), "pool": below("a", "b", names=["x"])},
            "rename them to train and test",
            id="half a split",
        ),
    ],
)
def test_folders_that_are_no_classes_are_refused(files: dict[str, list[str]], words: str) -> None:
    with pytest.raises(WsolError) as raised:
        check_classes(ROOT, files)
    assert re.search(words, str(raised.value)) and "expected" in str(raised.value)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"owl": counted("{:04}"), "wren": counted("{:04}")}, id="numbers"),
        pytest.param(
            {"owl": counted("IMG_{:04}", 30, 812), "wren": counted("IMG_{:04}", 30, 812)}, id="a camera's numbers"
        ),
        pytest.param(
            {"owl": counted("IMG_{:04}", 90)[::7], "wren": counted("IMG_{:04}", 90)[::7]}, id="a camera's best"
        ),
        pytest.param({"owl": counted("image ({})"), "wren": counted("image ({})")}, id="Windows' numbers"),
        pytest.param({"owl": counted("day1/{}"), "wren": counted("day1/{}")}, id="numbers in a folder"),
        pytest.param({"owl": BIRDS, "wren": [f"{name}s" for name in BIRDS]}, id="names of their own"),
        pytest.param({"owl": BIRDS, "wren": [*BIRDS[:4], *counted("wren {}", 5)]}, id="some names in common"),
        pytest.param({"owl": ["front", "back"], "wren": ["front", "back"]}, id="two views of each"),
        pytest.param({"left": counted("{:03}"), "right": counted("{:03}")}, id="left and right hands"),
        pytest.param({"mask": counted("{:03}"), "no mask": counted("{:03}")}, id="people with and without masks"),
        pytest.param({"image": ["1"], "label": ["a"], "owl": ["b"]}, id="things called so"),
        pytest.param(
            {"owl": ["full", "trns", "bits10", "bits12"], "wren": ["full", "trns", "bits10"]}, id="a few words"
        ),
        pytest.param({"owl": BIRDS, "wren": []}, id="an empty class"),
        pytest.param({"owl": BIRDS}, id="one class"),
        pytest.param({}, id="none"),
    ],
)
def test_file_names_do_not_make_classes_doubtful(files: dict[str, list[str]]) -> None:
    assert check_classes(ROOT, files) == ()


@pytest.mark.parametrize(
    ("views", "doubts"),
    [
        pytest.param(("front", "back"), 1, id="the same views of each"),
        pytest.param(("front",), 0, id="one view"),
    ],
)
def test_the_same_folders_in_every_class_are_doubted_and_read(views: tuple[str, ...], doubts: int) -> None:
    files = {"owl": below(*views, names=counted("{}")), "wren": below(*views, names=counted("{}"))}
    assert len(check_classes(ROOT, files)) == doubts
    assert check_classes(ROOT, files | {"hawk": ["1"]}) == ()


def test_a_doubt_names_the_folders_and_the_remedy() -> None:
    files = {name: below("day", "night", names=counted("{}")) for name in ("owl", "wren", "hawk", "kite")}
    (doubt,) = check_classes(ROOT, files)
    assert "hawk, kite, owl, ... in photographs have the same folders each, day and night" in doubt
    assert "rename it to train and test" in doubt


def test_masks_beside_the_classes_stay_masks(tmp_path: Path, class_folders: Path) -> None:
    for name in ("hawk/1.png", "owl/1.png"):
        write_image(class_folders / "masks" / name)
    assert open_data(class_folders).class_names == ("hawk", "owl")


def test_the_training_half_of_a_split_is_inspected(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for kind in ("images", "masks"):
            write_image(tmp_path / part / kind / "1.png")
    with pytest.raises(WsolError, match="images and masks in .*train hold different kinds of files"):
        open_data(tmp_path)


def test_our_own_set_and_published_folders_are_classes(small_set: Path, cub30: Path) -> None:
    for root in (small_set, cub30 / "images"):
        assert open_data(root).kind == "class folders" and not open_data(root).doubts


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([*map(str, range(1, 31)), "20190812"], id="counted names and a date"),
        pytest.param(
            [f"{number}_224x224" for number in range(1, 31)], id="counted names before a size that is always the same"
        ),
        pytest.param([f"img{number}_v2" for number in range(1, 31)], id="counted names before a version"),
    ],
)
def test_consecutive_numbers_are_recognised_anywhere_in_a_name(names: list[str]) -> None:
    assert check_classes(Path("data"), {"owl": names, "wren": names}) == ()


def test_parts_of_one_thing_are_a_split_beside_a_third_folder() -> None:
    files = {
        f"seg_{part}": [f"seg_{part}/{name}/{part}{name}" for name in ("sea", "street")] for part in ("train", "test")
    }
    with pytest.raises(WsolError, match="folders of a split"):
        check_classes(Path("data"), {**files, "seg_pred": ["seg_pred/owl"]})


def test_classes_that_are_split_by_themselves_are_refused_beside_their_masks_too() -> None:
    files = {name: [f"{part}/{name}" for part in ("train", "test", "ground_truth")] for name in ("bottle", "cable")}
    with pytest.raises(WsolError, match="its own split"):
        check_classes(Path("data"), files)


def test_a_class_that_is_called_like_a_part_is_a_class_among_others() -> None:
    files = {name: below("front", "side", names=counted("{}")) for name in ("car", "train", "bus")}
    (doubt,) = check_classes(Path("vehicles"), files)
    assert "have the same folders each" in doubt
