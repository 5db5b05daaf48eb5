"""What a training asks of its run folder before it writes there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.coco import write_published_coco
from fake_data.csv_table import write_csv_set
from fake_data.cub import write_cub
from fake_data.imagenet import write_train, write_val, write_xmls
from fake_data.images import write_image
from fake_data.voc import write_voc

import wsol
from wsol.cli.main import main
from wsol.data.open import open_data
from wsol.errors import WsolError
from wsol.runs.outside import check_outside

COMMANDS = ("fit", "train-cam", "make-pseudo", "train-seg", "train-classifier")


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("where", ["", "run", "owl/run"])
def test_no_training_writes_where_class_folders_are_read(
    command: str, where: str, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, run = names(class_folders), class_folders / where
    with pytest.raises(SystemExit) as stopped:
        main([command, str(class_folders), "--run", str(run)])
    lies = "is" if run == class_folders else "lies in"
    expected = f"run {run} {lies} the data set {class_folders}, whose folders are its classes: "
    assert stopped.value.code == 2 and expected in capsys.readouterr().err
    with pytest.raises(WsolError, match="whose folders are its classes"):
        getattr(wsol, command.replace("-", "_"))(class_folders, run)
    with pytest.raises(SystemExit):
        main([command, str(class_folders), "--run", str(run), "--dry-run"])
    assert names(class_folders) == before


def write_split(root: Path) -> None:
    for name in ("train/owl/1.jpg", "train/hawk/1.jpg", "test/owl/2.jpg", "test/hawk/2.jpg"):
        write_image(root / name)


def write_train_alone(root: Path) -> None:
    for name in ("train/owl/1.jpg", "train/hawk/1.jpg"):
        write_image(root / name)


def write_imagenet(root: Path) -> None:
    write_train(root)
    write_val(root / "val", ["n01440764"])
    write_xmls(root / "Annotations/CLS-LOC/val", {1: [("n01440764", 1, 2, 3, 4)]})


def write_pascal(root: Path) -> None:
    write_voc(root, {"1": [("owl", 1, 2, 3, 4)], "2": [("hawk", 1, 2, 3, 4)]})


@pytest.mark.parametrize(
    ("write", "run", "is_refused"),
    [
        pytest.param(write_split, "run", False, id="beside train and test"),
        pytest.param(write_split, "", False, id="train and test in the run"),
        pytest.param(write_split, "train/run", True, id="a class of train"),
        pytest.param(write_split, "test/owl/run", True, id="in a class of test"),
        pytest.param(write_train_alone, "run", True, id="beside train alone, which would be a class then"),
        pytest.param(write_train_alone, ".run", False, id="hidden"),
        pytest.param(write_imagenet, "run", False, id="beside ImageNet's train"),
        pytest.param(write_imagenet, "train/run", True, id="in ImageNet's train, all of whose folders are wnids"),
        pytest.param(write_imagenet, "val/run", True, id="in ImageNet's val"),
        pytest.param(write_cub, "images/run", False, id="CUB lists its images in a table"),
        pytest.param(write_pascal, "JPEGImages/run", False, id="VOC has a file for each image"),
        pytest.param(write_published_coco, "", False, id="COCO lists its images"),
        pytest.param(write_csv_set, "run", False, id="a table lists its images"),
    ],
)
def test_a_run_may_lie_with_the_data_where_it_is_not_read_as_such(
    write: Callable[[Path], object], run: str, is_refused: bool, tmp_path: Path
) -> None:
    write(tmp_path / "data")
    folder, before = tmp_path / "data" / run, open_data(tmp_path / "data")
    if is_refused:
        with pytest.raises(WsolError, match="lies in the data set"):
            check_outside(folder, before)
    else:
        check_outside(folder, before)
    write_image(folder / "report" / "curves.png")
    try:
        after = open_data(tmp_path / "data")
        is_the_same = (after.class_names, after.training_hash()) == (before.class_names, before.training_hash())
    except WsolError:
        is_the_same = False
    assert is_the_same or is_refused, "whatever changes the data set has to be refused"


def test_links_and_relative_names_lead_to_the_same_folder(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(class_folders)
    (tmp_path / "deep").symlink_to(class_folders / "owl" / "night")
    (tmp_path / "elsewhere").mkdir()
    (class_folders / "out").symlink_to(tmp_path / "elsewhere")
    write_image(tmp_path / "elsewhere" / "1.jpg")
    monkeypatch.chdir(class_folders)
    data = open_data(Path())
    for inside in (
        "run",
        "../link/run",
        "../deep/run",
        "owl/../run",
        "out/run",
        f"{tmp_path}/elsewhere/run",
        f"{tmp_path}/link/out/run",
    ):
        with pytest.raises(WsolError, match="the data set"):
            check_outside(Path(inside), data)
    for outside in ("../run", "../link/../run", os.fspath(tmp_path / "birds-run")):
        check_outside(Path(outside), data)


def test_if_only_the_ground_truth_lies_apart_the_folders_of_the_images_count(
    class_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "truth").mkdir()
    data = open_data(tmp_path / "truth", class_folders)
    check_outside(tmp_path / "truth" / "run", data)
    with pytest.raises(WsolError, match=f"lies in the data set {class_folders}"):
        check_outside(class_folders / "run", data)
