"""Any folder becomes a data set or an error that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wsol.data.opening import open_data
from wsol.errors import WsolError

NewPicture = Callable[..., Path]


def test_the_kind_is_recognised(fake_cub: Path, class_folders: Path, split_folders: Path) -> None:
    assert open_data(fake_cub).kind == "CUB-200-2011"
    assert open_data(class_folders).kind == open_data(split_folders).kind == "class folders"
    assert "2 classes, 5 pictures, no split, 2 to 3 a class" in open_data(class_folders).describe()


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        pytest.param([], "no pictures", id="an empty folder"),
        pytest.param(["1.jpg", "2.jpg"], "Name the folder that holds the class folders", id="pictures without classes"),
        pytest.param(["owl/1.jpg", "owl/2.jpg"], "one class (owl)", id="one class"),
        pytest.param(["owl/1.jpg", "hawk/"], "no training pictures (hawk)", id="an empty class"),
        pytest.param(["owl/", "hawk/"], "no pictures", id="two empty classes"),
        pytest.param(["train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/c/1.jpg"], "c. Expected the same class folders", id="a class in test alone"),
        pytest.param(["train/a/1.jpg", "train/b/", "test/a/1.jpg", "test/b/1.jpg"], "no training pictures (b)", id="a class without training pictures"),
        pytest.param(["train/", "test/a/1.jpg"], "classes that", id="an empty train"),
    ],
)  # fmt: skip
def test_nothing_can_be_learned_from(tmp_path: Path, new_picture: NewPicture, pictures: list[str], words: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in pictures:
        (root / name).mkdir(parents=True) if name.endswith("/") else new_picture(root / name)
    with pytest.raises(WsolError) as raised:
        open_data(root)
    assert words in str(raised.value)
    assert str(root) in str(raised.value)


def test_training_folders_without_test_folders_are_a_data_set(tmp_path: Path, new_picture: NewPicture) -> None:
    for name in ("train/owl/1.jpg", "train/hawk/1.jpg"):
        new_picture(tmp_path / name)
    assert open_data(tmp_path).class_names == ("hawk", "owl")


def test_one_picture_a_class_will_do(tmp_path: Path, new_picture: NewPicture) -> None:
    for name in ("owl/1.jpg", "hawk/1.jpg"):
        new_picture(tmp_path / name)
    assert len(open_data(tmp_path).train) == 2


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="does not exist.*Check the path"):
        open_data(tmp_path / "absent")
    (tmp_path / "birds.zip").write_bytes(b"PK")
    with pytest.raises(WsolError, match="is a file.*expected a folder"):
        open_data(tmp_path / "birds.zip")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", [".", "owl"])
def test_a_folder_that_may_not_be_read_says_so(class_folders: Path, closed: str) -> None:
    (class_folders / closed).chmod(0)
    try:
        with pytest.raises(WsolError, match="Change its permissions"):
            open_data(class_folders)
    finally:
        (class_folders / closed).chmod(0o700)


def test_the_training_hash_changes_with_what_training_reads_and_only_then(
    split_folders: Path, new_picture: NewPicture
) -> None:
    before = open_data(split_folders).training_hash()
    assert open_data(split_folders).training_hash() == before
    new_picture(split_folders / "test/owl/7.jpg")
    (split_folders / "boxes.csv").write_text("poison")
    assert open_data(split_folders).training_hash() == before
    seen = {before}
    new_picture(split_folders / "train/owl/3.jpg")
    seen.add(open_data(split_folders).training_hash())
    (split_folders / "train/owl/3.jpg").rename(split_folders / "train/hawk/3.jpg")
    seen.add(open_data(split_folders).training_hash())
    (split_folders / "train/hawk/3.jpg").write_bytes(b"shorter")
    seen.add(open_data(split_folders).training_hash())
    assert len(seen) == 4
