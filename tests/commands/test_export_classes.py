"""`wsol export --classes folder`: the class that the folder names, unless a reviewer chose one."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from fake_data.reviews import CLASSES, decide, object_at, prediction, write_reviewable
from pycocotools.coco import COCO
from quick import Cli

from wsol.cli.predict import export as export_command
from wsol.commands.export import Classes, Format, export
from wsol.errors import WsolError
from wsol.predictions.records import open_predictions
from wsol.predictions.review_journal import Journal
from wsol.review.session import DecisionRequest, ReviewSession
from wsol.storage.folders import write_manifest

BOX = (40.0, 30.0, 120.0, 90.0)
DRAWN = (10.0, 20.0, 50.0, 70.0)
IMAGES = (
    "hawk/right.jpg",
    "owl/wrong.jpg",
    "train/tit/split.jpg",
    "deep/owl/parent.jpg",
    "eagle/unknown.jpg",
    "flat.jpg",
)
BY_FOLDER = {
    "hawk/right.jpg": "hawk",
    "owl/wrong.jpg": "owl",
    "train/tit/split.jpg": "tit",
    "deep/owl/parent.jpg": "owl",
    "eagle/unknown.jpg": "hawk",
    "flat.jpg": "hawk",
}
SAID = (
    "3 images changed to the folder's class, 1 had that class already, 0 keep the one that a reviewer chose, "
    "2 keep theirs since no folder of their paths is named like a class of objects."
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Six images, all predicted as hawks."""
    return write_reviewable(tmp_path, [prediction(0, object_at(40, 30, 120, 90, 0.25), image=name) for name in IMAGES])


def classes_of(folder: Path) -> dict[str, str]:
    """The class of each image in an exported table."""
    with (folder / "boxes.csv").open() as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def exported(out: Path, **words: Any) -> dict[str, str]:
    return classes_of(export(out, "csv", out.parent / "table", classes="folder", **words))


def test_the_command_line_offers_both() -> None:
    assert get_args(get_type_hints(export_command)["classes"]) == get_args(Classes)


def test_folders_give_the_class_and_the_command_says_how_many(
    cli: Cli, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = out.parent / "coco"
    assert cli("export", out, "--format", "coco", "--classes", "folder", "--out", folder) == 0
    coco = COCO(folder / "instances.json")
    found = {
        coco.imgs[one["image_id"]]["file_name"]: coco.cats[one["category_id"]]["name"] for one in coco.anns.values()
    }
    assert found == BY_FOLDER
    assert SAID in capsys.readouterr().err and SAID in (folder / "README.txt").read_text()
    figures = json.loads((folder / "manifest.json").read_text())["figures"]
    assert {name: figures[f"classes_{name}"] for name in ("changed", "agreed", "chosen", "kept")} == {
        "changed": 3,
        "agreed": 1,
        "chosen": 0,
        "kept": 2,
    }


@pytest.mark.parametrize("format", get_args(Format))
def test_every_format_takes_them(out: Path, format: Format) -> None:
    folder = export(out, format, out.parent / "by folder", classes="folder")
    assert SAID in (folder / "README.txt").read_text()
    figures = json.loads((folder / "manifest.json").read_text())["figures"]
    assert (figures["images"], figures["objects"]) == (6, 6)


def test_the_predicted_classes_are_the_default_and_another_export(out: Path) -> None:
    folder = export(out, "csv", out.parent / "table")
    assert set(classes_of(folder).values()) == {"hawk"}
    assert "folder's class" not in (folder / "README.txt").read_text()
    with pytest.raises(WsolError, match="classes"):
        exported(out)


def test_other_words_are_refused(cli: Cli, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("export", out, "--format", "csv", "--classes", "folders", "--out", out.parent / "x") == 2
    assert "folder" in capsys.readouterr().err


# With a review


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        pytest.param([("accepted", (BOX,), "hawk")], "owl", id="accepted: nobody chose a class"),
        pytest.param([("corrected", (DRAWN,), "hawk")], "owl", id="another box alone"),
        pytest.param([("corrected", (BOX,), "tit")], "tit", id="another class"),
        pytest.param([("corrected", (BOX,), "owl")], "owl", id="the folder's class"),
        pytest.param(
            [("corrected", (BOX,), "tit"), ("corrected", (DRAWN,), "tit")], "tit", id="another class, then a box"
        ),
        pytest.param(
            [("corrected", (BOX,), "owl"), ("accepted", (BOX,), "hawk")],
            "hawk",
            id="the folder's class, then the predicted one",
        ),
        pytest.param([("accepted", (BOX,), "hawk"), ("rejected", (BOX,), "hawk")], None, id="rejected"),
    ],
)
def test_a_class_that_a_reviewer_chose_wins(
    out: Path, decisions: list[tuple[Any, tuple[Any, ...], str]], expected: str | None
) -> None:
    for verdict, boxes, name in decisions:
        decide(out, "owl/wrong.jpg", verdict, *boxes, class_name=name)
    assert exported(out, reviewed=True).get("owl/wrong.jpg") == expected


def test_a_choice_that_was_taken_back_is_none(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(DecisionRequest(1, 0, False, (BOX,), "tit", "w", "a"))
        session.undo("w", "b")
        session.decide(DecisionRequest(1, 2, False, (BOX,), "hawk", "w", "c"))
    assert exported(out, reviewed=True) == {"owl/wrong.jpg": "owl"}


def test_a_split_stays_one_when_a_review_leaves_only_its_test_images(tmp_path: Path) -> None:
    names = ("train/hawk/1.jpg", "train/test/2.jpg", "test/hawk/3.jpg")
    lines = [prediction(0, object_at(40, 30, 120, 90, 0.25), image=name) for name in names]
    out = write_reviewable(tmp_path, lines, ("hawk", "test"))
    decide(out, names[2], "accepted", BOX, class_name="hawk")
    assert exported(out, reviewed=True) == {names[2]: "hawk"}


def test_the_predicted_class_can_be_chosen_against_the_folders(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(DecisionRequest(1, 0, False, (BOX,), "hawk", "w", "a", is_class_chosen=True))
        session.decide(DecisionRequest(1, 1, False, (DRAWN,), "hawk", "w", "b", is_class_chosen=True))
        session.decide(DecisionRequest(3, 0, False, (BOX,), "hawk", "w", "c", is_class_chosen=True))
        session.undo("w", "d")
        session.decide(DecisionRequest(3, 4, False, (BOX,), "hawk", "w", "e"))
    expected = {"owl/wrong.jpg": "hawk", "deep/owl/parent.jpg": "owl"}
    assert exported(out, reviewed=True) == expected
    said = capsys.readouterr().err
    assert "1 image changed" in said and "1 keeps the one that a reviewer chose" in said


def test_chosen_classes_and_undecided_images_are_exported_together(
    cli: Cli, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(out, "owl/wrong.jpg", "corrected", BOX, class_name="tit")
    decide(out, "flat.jpg", "corrected", BOX, class_name="tit")
    words = ("--reviewed", "--with-undecided", "--classes", "folder", "--format", "csv", "--out", out.parent / "table")
    assert cli("export", out, *words) == 0
    assert classes_of(out.parent / "table") == BY_FOLDER | {"owl/wrong.jpg": "tit", "flat.jpg": "tit"}
    said = capsys.readouterr().err
    assert "2 images changed" in said and "1 keeps the one that a reviewer chose" in said and "2 keep theirs" in said


# A class folder by itself


def test_a_class_folder_that_was_predicted_by_itself_gives_its_class(tmp_path: Path) -> None:
    images = ("1.jpg", "deep/2.jpg", "tit/3.jpg")
    lines = [prediction(0, object_at(40, 30, 120, 90, 0.25), image=name) for name in images]
    out = write_reviewable(tmp_path, lines)
    (tmp_path / "images").rename(tmp_path / "owl")
    write_manifest(out, "predict", {}, {}, {"image_root": str(tmp_path / "owl"), "class_names": CLASSES})
    assert exported(out) == {"1.jpg": "owl", "deep/2.jpg": "owl", "tit/3.jpg": "tit"}
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert [session.image(index)["given_class"] for index in range(3)] == ["owl", "owl", "tit"]


# Where nothing was predicted


def test_a_image_without_an_object_has_its_folders_class(tmp_path: Path) -> None:
    empty = replace(prediction(0, image="owl/empty.jpg"), objects=())
    assert exported(write_reviewable(tmp_path, [empty])) == {"owl/empty.jpg": "owl"}


def test_a_run_that_predicts_no_class_has_those_of_folders(tmp_path: Path) -> None:
    unnamed = [replace(prediction(n), label=None, class_name=None, top5=()) for n in range(3)]
    nothing = replace(unnamed[0], image="flat.jpg", objects=())
    out = write_reviewable(tmp_path, [*unnamed, nothing])
    assert exported(out) == {one.image: CLASSES[n] for n, one in enumerate(unnamed)} | {"flat.jpg": ""}
    decide(out, "owl/0001.jpg", "corrected", DRAWN, class_name=None)
    folder = export(out, "csv", tmp_path / "reviewed", classes="folder", reviewed=True)
    assert classes_of(folder) == {"owl/0001.jpg": "owl"}


@pytest.mark.parametrize("class_names", [CLASSES, ()], ids=["a run of three classes", "none at all"])
def test_an_object_without_any_class_is_reported(tmp_path: Path, class_names: tuple[str, ...]) -> None:
    flat = replace(prediction(0, image="flat.jpg"), label=None, class_name=None, top5=())
    with pytest.raises(WsolError, match="'flat.jpg' lies in no folder named like a class"):
        exported(write_reviewable(tmp_path, [flat], class_names))
    assert not (tmp_path / "table").exists()
