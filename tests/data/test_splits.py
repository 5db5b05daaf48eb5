"""What the names of folders say of a split."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_data.images import write_image
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.class_folders import GivenClasses
from wsol.data.splits import split_folders, split_of
from wsol.errors import WsolError


def write_tree(root: Path, *folders: str, names: tuple[str, ...] = ("000.jpg", "001.jpg")) -> None:
    for folder in folders:
        for name in names:
            write_image(root / folder / name)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        pytest.param(
            "train",
            "train Train TRAIN training Training training_set train-set trainset TrainSet train_images images_train"
            " trainval train2017 train_data trn",
            id="train",
        ),
        pytest.param(
            "test",
            "test Test testing Testing test_set Test-Set test_images imgs_test eval Evaluation holdout hold_out"
            " held-out tst",
            id="test",
        ),
        pytest.param(
            "val", "val Val valid validation VALIDATION dev val_set dev.set val2017 validation_images", id="val"
        ),
        pytest.param(
            None,
            "owl trains tests testament valley device trail masks images set a train_birds trainA 7 steamtrain bus",
            id="none",
        ),
    ],
)
def test_the_part_is_read_from_a_name_whatever_its_capitals_and_separators(part: str | None, names: str) -> None:
    assert {name: split_of(name) for name in names.split()} == dict.fromkeys(names.split(), part)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("train", "eval"),
        ("train", "dev"),
        ("train_images", "test_images"),
        ("Train Set", "Test Set"),
        ("train-data", "test-data"),
        ("trn", "tst"),
        ("train", "holdout"),
        ("trainset", "valset"),
        ("images_train", "images_val"),
        ("Training", "Validation"),
        ("train2017", "val2017"),
    ],
)
def test_a_certain_split_is_read_as_one(tmp_path: Path, train: str, test: str) -> None:
    write_tree(tmp_path, f"{train}/owl", f"{train}/wren", f"{test}/owl", f"{test}/wren")
    data = open_data(tmp_path)
    assert data.class_names == ("owl", "wren") and data.has_split and not data.doubts
    assert {sample.image_id.split("/")[0] for sample in data.train} == {train}
    assert {sample.image_id.split("/")[0] for sample in data.test} == {test}
    given = GivenClasses([sample.image_id for sample in (*data.train, *data.test)], data.class_names, "data")
    assert {given.of(f"{half}/wren/000.jpg") for half in (train, test)} == {"wren"}


@pytest.mark.parametrize(
    ("folders", "test"),
    [
        pytest.param(
            ("train/owl", "train/wren", "Test/owl", "val/owl"), "Test", id="the test rather than the validation"
        ),
        pytest.param(("Train/owl", "Train/wren", "eval/owl", "test/owl"), "test", id="the plain name"),
        pytest.param(("train/owl", "train/wren", "test", "valid/owl"), "valid", id="the one with labels"),
        pytest.param(("train/owl", "train/wren"), "train", id="the training images where there is no other"),
        pytest.param(("Train/owl", "Train/wren", "other/x"), None, id="none of a class of trains"),
    ],
)
def test_one_of_several_parts_is_tested_on(tmp_path: Path, folders: tuple[str, ...], test: str | None) -> None:
    write_tree(tmp_path, *folders)
    data = open_ground_truth(tmp_path)
    if test is None:
        assert data.class_names == ("Train", "other")
    else:
        assert {sample.image_id.split("/")[0] for sample in data.test} == {test}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        pytest.param(
            ("Train/owl", "train/owl", "test/owl"), "look like the folders of a split", id="two training folders"
        ),
        pytest.param(("test/owl", "val/owl"), "Rename them to train and test", id="no training folder"),
        pytest.param(("birds_train", "birds_test"), "look like the folders of a split", id="among other words"),
        pytest.param(("trainA", "trainB", "testA", "testB"), "look like the folders of a split", id="pairs"),
        pytest.param(("Train", "Test"), "Train holds images and no class folders", id="no classes"),
        pytest.param(
            ("Train/owl", "Train/wren", "Test/owl", "Test/hawk"),
            "classes that .*Train lacks: hawk",
            id="other classes",
        ),
        pytest.param(
            ("owl/train", "owl/test", "wren/train", "wren/test"), "owl/train to train/owl", id="a split in each class"
        ),
        pytest.param(("data/train/owl", "data/train/wren"), "Give .*data", id="one deeper"),
    ],
)
def test_what_looks_like_a_split_is_refused_with_the_remedy(
    tmp_path: Path, folders: tuple[str, ...], words: str
) -> None:
    write_tree(tmp_path, *folders)
    with pytest.raises(WsolError) as raised:
        open_data(tmp_path)
    assert re.search(words, str(raised.value)) and "xpected" in str(raised.value)


@given(st.lists(st.sampled_from(["train", "Training", "test", "dev", "owl", "masks"]), unique=True), st.booleans())
def test_a_split_has_a_training_folder_and_no_folder_twice(names: list[str], has_folders: bool) -> None:
    halves = split_folders(names, lambda _: has_folders)
    if halves is not None:
        assert split_of(halves.train) == "train" and halves.train in names and halves.test in (None, *names)
        assert halves.test is None or split_of(halves.test) in ("test", "val")


def test_a_long_name_is_read_at_once() -> None:
    assert split_of("dataset" * 36) is None
