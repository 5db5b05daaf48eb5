"""`wsol export`: which predictions it takes, what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image

from wsol.cli.predict import export as export_command
from wsol.commands.export import WRITERS, Format, export
from wsol.errors import WsolError
from wsol.predictions.records import LINES, encode
from wsol.storage.folders import file_hash, write_manifest

MASK = np.pad(np.ones((4, 5), dtype=bool), ((2, 6), (3, 8)))
CLASSES = ["owl", "hawk"]


def line(**changes: Any) -> dict[str, Any]:
    """One line of predictions.jsonl, by hand, as a person would change it."""
    one = {"xyxy": [3.0, 2.0, 8.0, 6.0], "score": 0.75, "rle": encode(MASK)}
    return {
        "image": "a/1.jpg",
        "image_hw": [12, 16],
        "objects": [one],
        "label": 0,
        "class_name": "owl",
        "top5": [],
    } | changes


def predictions_of(tmp_path: Path, *lines: dict[str, Any], class_names: list[str] = CLASSES) -> Path:
    """A finished prediction folder; its images are there if they lie where they should."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "images/a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12)).save(tmp_path / "images/a" / name)
    (folder / LINES).write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    write_manifest(folder, "predict", {}, {}, {"image_root": str(tmp_path / "images"), "class_names": class_names})
    return folder


def files_of(folder: Path) -> set[str]:
    """Relative paths of all files."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


COCO_FILES = {"README.txt", "instances.json", "manifest.json", "results.json"}
YOLO_FILES = {"README.txt", "data.yaml", "images/a/1.jpg", "labels/a/1.txt", "manifest.json", "scores/a/1.txt"}
SHARED_FILES = {"README.txt", "manifest.json"}
FILES: dict[Format, set[str]] = {
    "coco": COCO_FILES,
    "yolo": YOLO_FILES,
    "yolo-polygons": YOLO_FILES,
    "voc": SHARED_FILES | {"Annotations/a/1.xml"},
    "labelstudio": SHARED_FILES | {"labels.xml", "tasks.json"},
    "cvat": SHARED_FILES | {"annotations.xml"},
    "fiftyone": SHARED_FILES | {"data/a/1.jpg", "labels.json"},
    "csv": SHARED_FILES | {"boxes.csv"},
    "crops": SHARED_FILES | {"crops/owl/a_1_1.jpg"},
    "masks": SHARED_FILES | {"masks/a/1.png"},
}


def test_every_format_has_a_writer() -> None:
    assert set(WRITERS) == set(get_args(Format)) == set(FILES)


def test_the_command_line_offers_every_format() -> None:
    assert get_args(get_type_hints(export_command)["format"]) == get_args(Format)


@pytest.mark.parametrize(("format", "files"), FILES.items())
def test_an_export_is_a_finished_folder_that_says_what_made_it(tmp_path: Path, format: Format, files: set[str]) -> None:
    predictions = predictions_of(tmp_path, line())
    out = export(predictions, format, tmp_path / "deep" / "out")
    assert out == tmp_path / "deep" / "out"
    assert files_of(out) == files
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["stage"] == "export"
    assert manifest["settings"] == {"format": format}
    assert manifest["inputs"] == {"predictions": file_hash(predictions / LINES)}
    assert {"images": 1, "objects": 1, "empty_images": 0}.items() <= manifest["figures"].items()


@pytest.mark.parametrize("format", get_args(Format))
def test_an_export_of_nothing_is_an_export(tmp_path: Path, format: Format) -> None:
    out = export(predictions_of(tmp_path), format, tmp_path / "out")
    assert json.loads((out / "manifest.json").read_text())["figures"]["images"] == 0


@pytest.mark.parametrize("format", get_args(Format))
def test_an_empty_image_keeps_its_label_where_objects_have_none(tmp_path: Path, format: Format) -> None:
    unnamed, empty = line(label=None, class_name=None), line(image="a/2.jpg", objects=[], label=1, class_name="hawk")
    out = export(predictions_of(tmp_path, unnamed, empty), format, tmp_path / "out")
    assert json.loads((out / "manifest.json").read_text())["figures"]["objects"] == 1


def test_data_yaml_names_the_finished_folder_not_the_scratch_one(tmp_path: Path) -> None:
    out = export(predictions_of(tmp_path, line()), "yolo", tmp_path / "out")
    assert f"path: {out}\n" in (out / "data.yaml").read_text()
    assert "partial" not in (out / "README.txt").read_text()


def test_the_same_export_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    predictions = predictions_of(tmp_path, line())
    out = export(predictions, "coco", tmp_path / "out")
    before = (out / "instances.json").stat()
    assert export(predictions, "coco", out) == out
    assert (out / "instances.json").stat() == before
    with pytest.raises(WsolError, match="made differently:\n.*coco there, yolo now"):
        export(predictions, "yolo", out)


def test_an_export_that_failed_leaves_nothing_that_looks_finished_and_can_be_repeated(tmp_path: Path) -> None:
    predictions = predictions_of(tmp_path, line(), line(image="a/2.jpg"))
    (tmp_path / "images/a/2.jpg").rename(tmp_path / "hidden.jpg")
    with pytest.raises(WsolError, match="no image at .*2.jpg"):
        export(predictions, "yolo", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "hidden.jpg").rename(tmp_path / "images/a/2.jpg")
    assert "images/a/2.jpg" in files_of(export(predictions, "yolo", tmp_path / "out"))


@pytest.mark.parametrize("format", get_args(Format))
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"image": "../secret.jpg"}, "below the image root", id="above the root"),
        pytest.param({"image": "a/../../secret.jpg"}, "below the image root", id="above the root on a detour"),
        pytest.param({"image": "/etc/secret.jpg"}, "below the image root", id="absolute"),
        pytest.param({"image": ""}, "below the image root", id="no name"),
        pytest.param({"image": "a/2.jpg"}, "each image once", id="an image twice"),
        pytest.param({"image": "a//2.jpg"}, "each image once", id="an image twice, spelt differently"),
        pytest.param(
            {"label": 2, "class_name": "hawk"}, "one of the 2 classes in manifest.json, got 2", id="label too large"
        ),
        pytest.param({"label": -1, "class_name": "hawk"}, "got -1", id="label negative"),
        pytest.param({"class_name": "hawk"}, "got 0 and 'hawk'", id="name without its label"),
        pytest.param(
            {"label": None, "class_name": None}, "on every image with objects, or on none", id="one without a class"
        ),
        pytest.param({"image_hw": [16, 12]}, "expected run lengths of size", id="mask of another size"),
        pytest.param(
            {"objects": [line()["objects"][0] | {"xyxy": [8.0, 2.0, 3.0, 6.0]}]},
            "swapped corners",
            id="swapped corners",
        ),
        pytest.param(
            {"objects": [line()["objects"][0] | {"xyxy": [float("nan"), 2.0, 3.0, 6.0]}]}, "finite", id="not finite"
        ),
        pytest.param({"objects": [line()["objects"][0] | {"score": float("nan")}]}, "finite", id="score not a number"),
        pytest.param(
            {"objects": [line()["objects"][0] | {"score": 1.5}]}, "score: expected 0 to 1", id="score above 1"
        ),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(
    tmp_path: Path, format: Format, changes: dict[str, Any], text: str
) -> None:
    predictions = predictions_of(tmp_path, line(image="a/./2.jpg"), line() | changes)
    with pytest.raises(WsolError, match=text) as caught:
        export(predictions, format, tmp_path / "out")
    assert f"{LINES}, line 2: " in str(caught.value)
    assert "Correct that line, or run" in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert files_of(tmp_path) == {
        "images/a/1.jpg",
        "images/a/2.jpg",
        "predictions/manifest.json",
        f"predictions/{LINES}",
    }


@pytest.mark.parametrize(
    ("objects", "label", "class_names", "expected"),
    [
        pytest.param(1, 0, CLASSES, ["owl", "hawk"], id="named"),
        pytest.param(1, None, CLASSES, ["object"], id="objects without a class"),
        pytest.param(1, None, [], ["object"], id="no classes known"),
        pytest.param(0, None, CLASSES, ["owl", "hawk"], id="no objects: the classes known"),
        pytest.param(0, None, [], ["object"], id="no objects, no classes"),
    ],
)
def test_the_categories_are_the_classes_or_object(
    tmp_path: Path, objects: int, label: int | None, class_names: list[str], expected: list[str]
) -> None:
    name = None if label is None else class_names[label]
    predictions = predictions_of(
        tmp_path, line(objects=line()["objects"][:objects], label=label, class_name=name), class_names=class_names
    )
    out = export(predictions, "coco", tmp_path / "out")
    assert [category["name"] for category in json.loads((out / "instances.json").read_text())["categories"]] == expected


def test_a_image_without_objects_may_lack_a_class_among_named_ones(tmp_path: Path) -> None:
    predictions = predictions_of(tmp_path, line(), line(image="a/2.jpg", objects=[], label=None, class_name=None))
    assert (export(predictions, "yolo", tmp_path / "out") / "labels/a/2.txt").read_text() == ""


def test_only_predictions_can_be_exported(tmp_path: Path) -> None:
    out = export(predictions_of(tmp_path, line()), "coco", tmp_path / "out")
    with pytest.raises(WsolError, match="holds the result of `wsol export`"):
        export(out, "coco", tmp_path / "again")
