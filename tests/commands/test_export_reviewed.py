"""`wsol export --reviewed`: what a review left, in every format, with masks only where there are some."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, get_args

import pytest
from fake_data.reviews import HW, decide, object_at, prediction, write_reviewable
from pycocotools.coco import COCO
from quick import Cli

from wsol.commands.export import Format, export
from wsol.data.images import image_hw, read_mask
from wsol.errors import WsolError
from wsol.predictions.review_journal import JOURNAL_FILE

KEPT = (40.0, 30.0, 120.0, 90.0)
DRAWN = (10.0, 20.0, 50.0, 70.0)
SAID = "1 accepted, 2 corrected, 1 without an object, 1 rejected, 1 undecided; 2 boxes drawn or moved by hand"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """One image of each kind; the two boxes of `both` are one as predicted and one by hand."""
    names = ["accepted", "both", "drawn", "emptied", "rejected", "undecided"]
    lines = [prediction(0, object_at(40, 30, 120, 90, 0.25), image=f"{name}.jpg") for name in names]
    out = write_reviewable(tmp_path, lines)
    decide(out, "rejected.jpg", "accepted", KEPT, class_name="hawk")
    decide(out, "accepted.jpg", "accepted", KEPT, class_name="hawk")
    decide(out, "both.jpg", "corrected", KEPT, DRAWN, class_name="hawk")
    decide(out, "drawn.jpg", "corrected", DRAWN, class_name="tit")
    decide(out, "emptied.jpg", "empty", class_name="hawk")
    decide(out, "rejected.jpg", "rejected", KEPT, class_name="hawk")
    return out


def exported(out: Path, format: Format, **words: Any) -> Path:
    return export(out, format, out.parent / f"{format} export", reviewed=True, **words)


def test_coco_has_what_was_accepted_corrected_or_empty_and_masks_of_predicted_boxes_alone(out: Path) -> None:
    coco = COCO(exported(out, "coco") / "instances.json")
    by_name = {image["file_name"]: coco.loadAnns(coco.getAnnIds([image["id"]])) for image in coco.imgs.values()}
    assert {name: len(found) for name, found in by_name.items()} == {
        "accepted.jpg": 1,
        "both.jpg": 2,
        "drawn.jpg": 1,
        "emptied.jpg": 0,
    }
    kept, drawn = by_name["both.jpg"]
    assert (kept["bbox"], drawn["bbox"]) == ([40, 30, 80, 60], [10, 20, 40, 50])
    assert coco.annToMask(kept)[30:90, 40:120].all() and kept["area"] == 80 * 60
    assert (drawn["segmentation"], drawn["area"], drawn["iscrowd"]) == ([], 40 * 50, 0)
    assert coco.cats[by_name["drawn.jpg"][0]["category_id"]]["name"] == "tit"
    results = json.loads((out.parent / "coco export" / "results.json").read_text())
    assert [one["score"] for one in results] == [0.25, 0.25, 1.0, 1.0]


@pytest.mark.parametrize("format", get_args(Format))
def test_every_format_says_what_was_reviewed_and_how_many(
    out: Path, format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported(out, format)
    needs_masks = format in ("masks", "yolo-polygons")
    for text in ((folder / "README.txt").read_text(), capsys.readouterr().err):
        assert SAID in text and "undecided ones are left out" in text
        assert ("2 images are left out because a box has no mask" in text) == needs_masks
    figures = json.loads((folder / "manifest.json").read_text())["figures"]
    assert (figures["images"], figures["objects"]) == ((2, 1) if needs_masks else (4, 4))
    assert {name: figures[name] for name in ("accepted", "corrected", "empty", "rejected", "undecided", "drawn")} == {
        "accepted": 1,
        "corrected": 2,
        "empty": 1,
        "rejected": 1,
        "undecided": 1,
        "drawn": 2,
    }


@pytest.mark.parametrize("format", get_args(Format))
def test_undecided_images_are_included_on_request(out: Path, format: Format) -> None:
    folder = exported(out, format, with_undecided=True)
    figures = json.loads((folder / "manifest.json").read_text())["figures"]
    assert figures["images"] == (3 if format in ("masks", "yolo-polygons") else 5)
    assert "undecided ones are included as predicted" in (folder / "README.txt").read_text()


def test_a_format_of_masks_holds_no_image_of_which_a_mask_is_missing(out: Path) -> None:
    masks = exported(out, "masks") / "masks"
    assert sorted(path.name for path in masks.iterdir()) == ["accepted.png", "emptied.png"]
    assert read_mask(masks / "accepted.png").sum() == 80 * 60
    assert not read_mask(masks / "emptied.png").any()
    polygons = exported(out, "yolo-polygons")
    assert sorted(path.stem for path in (polygons / "labels").iterdir()) == ["accepted", "emptied"]
    assert sorted(path.stem for path in (polygons / "images").iterdir()) == ["accepted", "emptied"]


def test_formats_that_hold_both_leave_the_mask_of_a_drawn_box_out(out: Path) -> None:
    cvat = ET.parse(exported(out, "cvat") / "annotations.xml").getroot()
    (both,) = [image for image in cvat.iter("image") if image.get("name") == "both.jpg"]
    assert [shape.tag for shape in both] == ["box", "mask", "box"]
    tasks = json.loads((exported(out, "labelstudio") / "tasks.json").read_text())
    (both,) = [task for task in tasks if task["data"]["image"].endswith("both.jpg")]
    assert [one["type"] for one in both["predictions"][0]["result"]] == [
        "rectanglelabels",
        "brushlabels",
        "rectanglelabels",
    ]


def test_the_readme_for_fiftyone_says_to_read_boxes_if_masks_are_missing(out: Path) -> None:
    assert 'label_types=["detections"])' in (exported(out, "fiftyone") / "README.txt").read_text()
    whole = export(out, "fiftyone", out.parent / "whole")
    assert 'label_types=["detections", "segmentations"])' in (whole / "README.txt").read_text()


def test_boxes_of_other_formats_are_the_reviewed_ones(out: Path) -> None:
    labels = exported(out, "yolo") / "labels"
    assert {path.stem for path in labels.iterdir()} == {"accepted", "both", "drawn", "emptied"}
    assert (labels / "emptied.txt").read_text() == "" and len((labels / "both.txt").read_text().splitlines()) == 2
    assert (labels / "drawn.txt").read_text().startswith("2 "), "the class chosen by hand"
    voc = ET.parse(exported(out, "voc") / "Annotations" / "drawn.xml")
    assert [voc.findtext(f".//{edge}") for edge in ("name", "xmin", "ymin", "xmax", "ymax")] == [
        "tit",
        "11",
        "21",
        "50",
        "70",
    ]
    crops = exported(out, "crops") / "crops"
    assert image_hw(crops / "tit" / "drawn_1.jpg") == (50, 40)
    assert sorted(path.name for path in crops.rglob("*.jpg")) == [
        "accepted_1.jpg",
        "both_1.jpg",
        "both_2.jpg",
        "drawn_1.jpg",
    ]


@pytest.mark.parametrize("format", get_args(Format))
def test_without_the_option_the_review_changes_nothing(out: Path, format: Format, tmp_path: Path) -> None:
    reviewed = export(out, format, tmp_path / "with journal")
    (out / JOURNAL_FILE).unlink()
    plain = export(out, format, tmp_path / "without")
    before = json.loads((plain / "manifest.json").read_text())
    assert json.loads((reviewed / "manifest.json").read_text()) == before
    assert before["figures"]["images"] == 6


def test_more_decisions_are_another_export(out: Path) -> None:
    folder = exported(out, "csv")
    assert exported(out, "csv") == folder
    decide(out, "undecided.jpg", "accepted", KEPT, class_name="hawk")
    with pytest.raises(WsolError, match="the review continued"):
        exported(out, "csv")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda out: (out / JOURNAL_FILE).unlink(), "has no review", id="no review"),
        pytest.param(
            lambda out: (out / JOURNAL_FILE).write_text("{}\n"), "line 1: not a decision", id="a damaged journal"
        ),
        pytest.param(
            lambda out: decide(out, "both.jpg", "corrected", class_name="eagle"),
            "one of the 3 classes in manifest.json, got 'eagle'",
            id="an unknown class",
        ),
        pytest.param(
            lambda out: (out / JOURNAL_FILE).write_text(
                (out / JOURNAL_FILE).read_text().replace("[120,160]", "[160,120]")
            ),
            "expected an image of .*review it again",
            id="an image of another size",
        ),
    ],
)
def test_a_review_that_cannot_be_applied_is_reported(out: Path, spoil: Any, said: str) -> None:
    spoil(out)
    with pytest.raises(WsolError, match=said):
        exported(out, "coco")
    assert not (out.parent / "coco export").exists()


def test_images_without_classes_are_reviewed_too(tmp_path: Path) -> None:
    one = prediction(0, image="a.jpg")
    out = write_reviewable(tmp_path, [one.__class__(one.image, HW, one.objects, None, None, ())], ())
    decide(out, "a.jpg", "corrected", DRAWN, class_name=None)
    with (exported(out, "csv") / "boxes.csv").open() as file:
        assert next(csv.DictReader(file))["label"] == "object"


@pytest.mark.parametrize("verdict", ["accepted", "corrected"])
def test_a_journal_of_before_the_verdict_empty_is_exported_alike(out: Path, verdict: str) -> None:
    now = exported(out, "coco")
    path = out / JOURNAL_FILE
    path.write_text(path.read_text().replace('"empty"', f'"{verdict}"'))
    before = export(out, "coco", out.parent / "before", reviewed=True)
    assert (before / "instances.json").read_text() == (now / "instances.json").read_text()
    figures = [json.loads((folder / "manifest.json").read_text())["figures"] for folder in (now, before)]
    assert figures[0] == figures[1]


def test_undecided_without_reviewed_is_refused(cli: Cli, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("export", out, "--format", "csv", "--out", out.parent / "x", "--with-undecided") == 2
    assert "--with-undecided needs --reviewed" in capsys.readouterr().err


# Reviewed boxes as truth


@pytest.mark.parametrize(
    ("format", "file"), [("csv", "boxes.csv"), ("coco", "instances.json"), ("voc", "")], ids=["csv", "coco", "voc"]
)
def test_reviewed_boxes_are_ground_truth_for_evaluate(
    cli: Cli, out: Path, format: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = out.parent / "truth"
    assert cli("export", out, "--reviewed", "--format", format, "--out", folder) == 0
    ground_truth, images = folder / file, out.parent / "images"
    if format == "voc":
        (folder / "JPEGImages").symlink_to(images)
    words = () if format == "voc" else ("--images", images)
    assert cli("evaluate", "--boxes", out, "--truth", ground_truth, *words, "--json", folder / "m.json") == 0
    (judged,) = json.loads((folder / "m.json").read_text())
    # `accepted` and `both` are found, `drawn` (IoU 0.03) is not; `emptied` has no box to be found.
    assert (judged["n"], round(judged["metrics"]["gt_known"]["value"], 1)) == (3, 66.7)
    assert "emptied" in capsys.readouterr().err, "said, not silently left out"


def test_a_table_of_boxes_is_also_a_result(cli: Cli, out: Path) -> None:
    assert cli("export", out, "--reviewed", "--format", "csv", "--out", out.parent / "truth") == 0
    boxes, images = out.parent / "truth" / "boxes.csv", out.parent / "images"
    assert cli("evaluate", "--boxes", boxes, "--truth", boxes, "--images", images, "--json", out.parent / "m.json") == 0
    (judged,) = json.loads((out.parent / "m.json").read_text())
    assert judged["metrics"]["gt_known"]["value"] == 100


def test_reviewed_boxes_calibrate_the_run_that_found_them(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsol.predictions.records import open_predictions
    from wsol.predictions.review_journal import Journal
    from wsol.review.session import DecisionRequest, ReviewSession

    images, out = small_set / "train", tmp_path / "out"
    assert cli("predict", small_run, images, "--out", out, "--threshold", "0.5") == 0
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        for i, item in enumerate(session.items):
            session.decide(DecisionRequest(i, 0, i == 0, ((20.0, 10.0, 90.0, 80.0),), item.class_name, "w", str(i)))
    assert cli("export", out, "--reviewed", "--format", "csv", "--out", tmp_path / "few") == 0
    words = ("--boxes", tmp_path / "few" / "boxes.csv", "--images", images, "--json", tmp_path / "c.json", "--dry-run")
    assert cli("calibrate", small_run, *words) == 0
    assert json.loads((tmp_path / "c.json").read_text())["n"] == len(session.items) - 1
    assert "not used" not in capsys.readouterr().err
    # Other predictions into the reviewed folder are refused, and the review is named.
    assert cli("predict", small_run, images, "--out", out, "--threshold", "0.9") == 2
    assert f"It holds a review: keep {out / JOURNAL_FILE}" in capsys.readouterr().err
    (out / "manifest.json").write_text("{")
    assert cli("predict", small_run, images, "--out", out) == 2
    assert f"It holds a review: keep {out / JOURNAL_FILE}" in capsys.readouterr().err
