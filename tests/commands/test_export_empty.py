"""Images without an object in every format: they stay, and a class such as `good` is no class of objects."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import pytest
import yaml
from fake_data.reviews import decide, object_at, prediction, write_reviewable

from wsol.commands.export import Format, export
from wsol.data.images import read_mask
from wsol.errors import WsolError
from wsol.predictions.records import Prediction
from wsol.storage.folders import write_manifest

CLASSES = ["good", "owl", "tit"]
BOX = object_at(40, 30, 120, 90, 0.25)
Found = tuple[dict[str, list[str]], list[str] | None]
"""The classes of the objects of each image, by its path without suffix; and all classes that the export names."""


def of_class(image: str, label: int | None, is_empty: bool = False) -> Prediction:
    """A line of predictions.jsonl with one object or none."""
    name = None if label is None else CLASSES[label]
    return replace(prediction(0, BOX, image=image), objects=() if is_empty else (BOX,), label=label, class_name=name)


LINES = (of_class("good/1.jpg", 0, is_empty=True), of_class("owl/2.jpg", 1), of_class("tit/3.jpg", 2))
EXPECTED = {"good/1": [], "owl/2": ["owl"], "tit/3": ["tit"]}


def written(root: Path, *lines: Prediction, no_object: Any = ("good",)) -> Path:
    """The prediction folder of a run with (or, for None, from before) classes without objects."""
    out = write_reviewable(root, list(lines or LINES), tuple(CLASSES))
    figures = {"image_root": str(root / "images"), "class_names": CLASSES}
    write_manifest(out, "predict", {}, {}, figures | ({} if no_object is None else {"no_object": no_object}))
    return out


def stem(image: str) -> str:
    return image.rpartition(".")[0]


def of_coco(file: Path) -> Found:
    content = json.loads(file.read_text())
    names = {one["id"]: one["name"] for one in content["categories"]}
    found: dict[str, list[str]] = {stem(one["file_name"]): [] for one in content["images"]}
    by_id = {one["id"]: stem(one["file_name"]) for one in content["images"]}
    for one in content["annotations"]:
        found[by_id[one["image_id"]]].append(names[one["category_id"]])
    return found, list(names.values())


def of_yolo(folder: Path) -> Found:
    names = yaml.safe_load((folder / "data.yaml").read_text())["names"]
    found = {}
    for image in (folder / "images").rglob("*.jpg"):
        name = image.relative_to(folder / "images").with_suffix("")
        label, score = (folder / kind / f"{name}.txt" for kind in ("labels", "scores"))
        assert len(score.read_text().splitlines()) == len(label.read_text().splitlines())
        found[str(name)] = [names[int(line.split()[0])] for line in label.read_text().splitlines()]
    return found, list(names.values())


def of_voc(folder: Path) -> Found:
    root = folder / "Annotations"
    trees = {str(path.relative_to(root).with_suffix("")): ET.parse(path) for path in root.rglob("*.xml")}
    assert all(tree.findtext("size/width") for tree in trees.values())
    return {name: [one.findtext("name", "") for one in tree.iter("object")] for name, tree in trees.items()}, None


def of_labelstudio(folder: Path) -> Found:
    found = {}
    for task in json.loads((folder / "tasks.json").read_text()):
        (guess,) = task["predictions"]
        boxes = [one for one in guess["result"] if one["type"] == "rectanglelabels"]
        assert isinstance(guess["result"], list) and 0 <= guess["score"] <= 1, "what its importer checks"
        name = unquote(task["data"]["image"]).partition("images/")[2]
        found[stem(name)] = [one["value"]["rectanglelabels"][0] for one in boxes]
    controls = [
        [one.get("value", "") for one in control.iter("Label")] for control in ET.parse(folder / "labels.xml").getroot()
    ]
    assert controls[1] == controls[2]
    return found, controls[1]


def of_cvat(folder: Path) -> Found:
    root = ET.parse(folder / "annotations.xml").getroot()
    found = {
        stem(image.get("name", "")): [box.get("label", "") for box in image.iter("box")] for image in root.iter("image")
    }
    assert root.findtext("meta/task/size") == str(len(found))
    return found, [label.findtext("name", "") for label in root.iter("label")]


def of_fiftyone(folder: Path) -> Found:
    found, names = of_coco(folder / "labels.json")
    assert {stem(str(path.relative_to(folder / "data"))) for path in (folder / "data").rglob("*.jpg")} == set(found)
    return found, names


def of_csv(folder: Path) -> Found:
    found: dict[str, list[str]] = {}
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(stem(row["path"]), []).extend([row["label"]] if row["score"] else [])
    return found, None


def of_crops(folder: Path) -> Found:
    """One without an object cannot have a crop: it is counted only."""
    found = {f"{path.parent.name}/{path.stem.split('_')[1]}": [path.parent.name] for path in folder.rglob("*.jpg")}
    counted = "1 image without an object" in (folder / "README.txt").read_text()
    return found | ({"good/1": []} if counted else {}), [path.name for path in (folder / "crops").iterdir()]


def of_masks(folder: Path) -> Found:
    """Masks have no class: that of the folder."""
    paths = {str(path.relative_to(folder / "masks").with_suffix("")): path for path in folder.rglob("*.png")}
    return {name: [name[:3]] if read_mask(path).any() else [] for name, path in paths.items()}, None


READERS: dict[Format, Callable[[Path], Found]] = {
    "coco": lambda folder: of_coco(folder / "instances.json"),
    "yolo": of_yolo,
    "yolo-polygons": of_yolo,
    "voc": of_voc,
    "labelstudio": of_labelstudio,
    "cvat": of_cvat,
    "fiftyone": of_fiftyone,
    "csv": of_csv,
    "crops": of_crops,
    "masks": of_masks,
}


def test_every_format_has_a_reader() -> None:
    assert set(READERS) == set(get_args(Format))


@pytest.mark.parametrize(("format", "read"), READERS.items(), ids=READERS)
def test_an_image_without_an_object_stays_and_its_class_is_none_of_objects(
    tmp_path: Path, format: Format, read: Callable[[Path], Found]
) -> None:
    folder = export(written(tmp_path), format, tmp_path / "export", quiet=True)
    found, names = read(folder)
    assert found == EXPECTED
    assert names is None or sorted(names) == ["owl", "tit"]
    figures = json.loads((folder / "manifest.json").read_text())["figures"]
    assert (figures["images"], figures["objects"], figures["empty_images"]) == (3, 2, 1)


@pytest.mark.parametrize(("format", "read"), READERS.items(), ids=READERS)
def test_an_image_that_a_person_found_empty_stays_as_well(
    tmp_path: Path, format: Format, read: Callable[[Path], Found]
) -> None:
    out = written(tmp_path, of_class("good/1.jpg", 1), *LINES[1:])
    decide(out, "good/1.jpg", "empty", class_name="owl")
    decide(out, "owl/2.jpg", "accepted", BOX.xyxy)
    decide(out, "tit/3.jpg", "rejected", BOX.xyxy, class_name="tit")
    found, _ = read(export(out, format, tmp_path / "export", reviewed=True, quiet=True))
    assert found == {name: EXPECTED[name] for name in ("good/1", "owl/2")}


@pytest.mark.parametrize(
    ("lines", "no_object", "expected"),
    [
        pytest.param(LINES, None, CLASSES, id="a run of before"),
        pytest.param(LINES, [], CLASSES, id="no such class"),
        pytest.param(LINES, "good", CLASSES, id="a text instead of a list"),
        pytest.param(LINES, ["good", "elsewhere", 7], ["owl", "tit"], id="names of no class"),
        pytest.param(LINES, ["owl"], CLASSES, id="a box has that class"),
        pytest.param((of_class("1.jpg", 0),), ["good"], CLASSES, id="a box of good"),
        pytest.param((of_class("1.jpg", 2, is_empty=True),), ["good", "owl"], ["tit"], id="no objects at all"),
        pytest.param((of_class("1.jpg", 0, is_empty=True),), CLASSES, ["object"], id="no class of objects"),
        pytest.param((of_class("1.jpg", None),), ["good"], ["object"], id="objects without a class"),
    ],
)
def test_the_categories_are_the_classes_of_objects(
    tmp_path: Path, lines: tuple[Prediction, ...], no_object: Any, expected: list[str]
) -> None:
    folder = export(written(tmp_path, *lines, no_object=no_object), "coco", tmp_path / "export", quiet=True)
    found, names = of_coco(folder / "instances.json")
    assert names == expected
    assert len(found) == len(lines)


def test_a_name_that_a_format_cannot_hold_is_removed_all_the_same(tmp_path: Path) -> None:
    names = ["good \udcff", "owl \udcff", "tit"]
    lines = [replace(one, class_name=None if one.label is None else names[one.label]) for one in LINES]
    out = write_reviewable(tmp_path, lines, tuple(names))
    figures = {"image_root": str(tmp_path / "images"), "class_names": names, "no_object": names[:1]}
    write_manifest(out, "predict", {}, {}, figures)
    found, kept = of_coco(export(out, "coco", tmp_path / "coco", quiet=True) / "instances.json")
    assert kept == ["owl ÿ", "tit"] and found == EXPECTED | {"owl/2": ["owl ÿ"]}
    with (export(out, "csv", tmp_path / "csv", quiet=True) / "boxes.csv").open(encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["good ÿ", "owl ÿ", "tit"], "the class of the image"


# Classes by folder


def test_a_box_does_not_get_the_class_of_a_folder_without_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (of_class("good/1.jpg", 1), of_class("good/2.jpg", 1, is_empty=True), of_class("tit/3.jpg", 1))
    folder = export(written(tmp_path, *lines), "csv", tmp_path / "export", classes="folder")
    with (folder / "boxes.csv").open() as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert labels == {"good/1.jpg": "owl", "good/2.jpg": "good", "tit/3.jpg": "tit"}
    assert "1 keeps its own since no folder of its path is named like a class of objects" in capsys.readouterr().err


def test_a_box_without_a_class_in_a_folder_without_objects_is_reported(tmp_path: Path) -> None:
    out = written(tmp_path, of_class("good/1.jpg", None), of_class("owl/2.jpg", None))
    with pytest.raises(WsolError, match="'good/1.jpg' has a box, .* class without objects .*`Nothing here`"):
        export(out, "csv", tmp_path / "export", classes="folder")
    decide(out, "good/1.jpg", "empty", class_name=None)
    decide(out, "owl/2.jpg", "accepted", BOX.xyxy, class_name=None)
    folder = export(out, "coco", tmp_path / "export", classes="folder", reviewed=True)
    assert of_coco(folder / "instances.json") == ({"good/1": [], "owl/2": ["owl"]}, ["owl", "tit"])
