"""What systems and tools leave behind is no class and no image, wherever folders are listed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.imagenet import write_train, write_val, write_xmls

from wsol.data.images import images_under, is_image
from wsol.data.open import open_data, open_ground_truth
from wsol.errors import WsolError
from wsol.storage.litter import is_litter

FOLDERS = [
    "__MACOSX",
    ".ipynb_checkpoints",
    ".Trashes",
    ".Spotlight-V100",
    ".git",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    "System Volume Information",
    "lost+found",
    "__pycache__",
    "LOST.DIR",
]
FILES = [".DS_Store", "._1.jpg", "Thumbs.db", "thumbs.db", "desktop.ini", "Icon\r", ".hidden.png"]


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_litter_is_known_by_its_name(name: str) -> None:
    assert is_litter(name) and not is_image(Path("owl") / name)


@pytest.mark.parametrize(
    "name", ["owl", "masks", "1.jpg", "recycle", "trash", "MACOSX", "lost and found", "cache", "icons", "tmp"]
)
def test_a_class_or_an_image_is_no_litter(name: str) -> None:
    assert not is_litter(name)


def add_litter(folder: Path, new_image: Callable[..., Path]) -> None:
    """Beside the classes and in each of them: as a Mac, Windows and a Synology leave it, with images in it."""
    for below in (folder, *[child for child in folder.iterdir() if child.is_dir()]):
        for name in FOLDERS:
            new_image(below / name / "1.jpg")
            new_image(below / name / "owl" / "2.jpg")
        for name in FILES:
            (below / name).write_bytes(b"litter")


def test_class_folders_are_the_same_with_litter(
    class_folders: Path, split_folders: Path, new_image: Callable[..., Path]
) -> None:
    for root in (class_folders, split_folders):
        before = open_data(root)
        add_litter(root, new_image)
        for split in ("train", "test"):
            if (root / split).is_dir():
                add_litter(root / split, new_image)
        after = open_data(root)
        assert (after.class_names, after.train, after.test) == (before.class_names, before.train, before.test)
        assert after.listed == before.listed
        assert not any(is_litter(part) for path in images_under(root) for part in path.relative_to(root).parts)


def test_masks_beside_litter_are_still_masks(class_folders: Path, new_image: Callable[..., Path]) -> None:
    new_image(class_folders / "masks/owl/1.png")
    new_image(class_folders / "masks/@eaDir/1.jpg")
    assert open_data(class_folders).class_names == ("hawk", "owl")


def test_litter_beside_a_data_set_does_not_hide_it(tmp_path: Path, class_folders: Path) -> None:
    shutil.copytree(class_folders, tmp_path / "unpacked/birds")
    (tmp_path / "unpacked/__MACOSX/birds").mkdir(parents=True)
    with pytest.raises(WsolError, match="holds one folder, birds"):
        open_data(tmp_path / "unpacked")


def test_imagenet_is_recognised_beside_litter(tmp_path: Path, new_image: Callable[..., Path]) -> None:
    write_train(tmp_path)
    write_val(tmp_path / "val", ["n01440764"])
    write_xmls(tmp_path / "Annotations/CLS-LOC/val", {1: [("n01440764", 1, 2, 3, 4)]})
    before = open_ground_truth(tmp_path)
    shutil.rmtree(tmp_path / "Annotations")
    write_xmls(tmp_path / "Annotations/val", {1: [("n01440764", 1, 2, 3, 4)]})
    for name in FOLDERS:
        new_image(tmp_path / "train" / name / "1.jpg")
    after = open_ground_truth(tmp_path)
    assert (after.kind, after.class_names, after.train) == (before.kind, before.class_names, before.train)
