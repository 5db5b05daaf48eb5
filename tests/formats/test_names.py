"""Names that are difficult for some format, disk or spreadsheet: every export is read back, names stay unique."""

from __future__ import annotations

import csv
import json
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args
from urllib.parse import unquote_to_bytes
from xml.dom import minidom

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from wsol.commands.export import Format, export
from wsol.data.csv_cells import guarded, guarded_path, unguarded
from wsol.data.open import open_data, open_ground_truth
from wsol.formats.names import LONGEST_BYTES, fitting, readable
from wsol.predictions.records import LINES, encode
from wsol.results.boxes import read_boxes
from wsol.storage.folders import MANIFEST

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

LATIN = "K\udce4uzchen.jpg"
IMAGES = [
    "plain.jpg",
    LATIN,
    "Käuzchen.jpg",
    "Ka\u0308uzchen.jpg",
    "K\udce4uzchen.png",
    "r\udce4w/K\udce4uz.jpg",
    "\udcff" * 200 + ".jpg",
    "\udcff" * 200 + ".png",
    "long/" + "x" * 251 + ".jpg",
    "long/" + "x" * 251 + ".png",
    "long/" + "x" * 250 + "y.gif",
    "long/" + "梟" * 83 + ".jpg",
    "/".join(["deep" * 20] * 5) + "/1.jpg",
    "=cmd|' /C calc'!A0.jpg",
    "=a/1.jpg",
    "-rf.jpg",
    "+1.jpg",
    "@SUM(1).jpg",
    "\t=1.jpg",
    "\r=1.jpg",
    " =1.jpg",
    "\uff1d1.jpg",
    "two\nlines.jpg",
    "tab\t.jpg",
    "bell\x07.jpg",
    "bell_.jpg",
    "esc\x1b[2J.jpg",
    "del\x7f.jpg",
    "c1\x9b.jpg",
    "\u202egpj.jpg",
    "\u2028.jpg",
    "\ufffe.jpg",
    "\ufeff.jpg",
    "dots...jpg",
    "end .jpg",
    "'quote\",;.jpg",
    "🦉.jpg",
    "{name} %s \\n.jpg",
    "&amp;<x>]]>.jpg",
    "CON.jpg",
    "a:b?.jpg",
]
CLASSES = [
    "owl",
    "..",
    "a/b",
    "two\nlines",
    "tab\t",
    "-rf",
    "=1+1",
    "'=1+1",
    "''=1+1",
    "'tis",
    "@x",
    "\r=x",
    "K\udce4uz",
    "Käuz",
    "esc\x1b[2J",
    "esc_[2J",
    "_",
    "no",
    "null",
    "12",
    "1e3",
    "~",
    "🦉\u202e",
    "end. ",
    "end.",
    "x" * 300,
    "x" * 301,
    "&<\"'>]]>",
    "{0}: %s # -",
    "CON",
    "\ufeff",
    "\x00",
    "[red]",
]
HW = (12, 16)
MASK = np.pad(np.ones((4, 5), dtype=bool), ((2, 6), (3, 8)))


class Read(NamedTuple):
    """The content of an export in a second reader, in the order of the predictions if the format has one."""

    images: list[str]
    class_names: list[str]
    """One for each object."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names that this disk can take; macOS refuses those that are not UTF-8."""
    folder = tmp_path_factory.mktemp("names")
    return [name for name in IMAGES if can_be_made(folder / name)]


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory, images: list[str]) -> Path:
    """A prediction folder: each image has an object, of one class after the other. Read only."""
    root = tmp_path_factory.mktemp("hostile")
    for name in images:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        with (root / "images" / name).open("wb") as file:
            Image.new("RGB", HW[::-1]).save(
                file, "GIF" if name.endswith("gif") else "PNG" if name.endswith("png") else "JPEG"
            )
    found = [{"xyxy": [3.0, 2.0, 8.0, 6.0], "score": 0.75, "rle": encode(MASK)}]
    rows = [
        {"image": name, "image_hw": HW, "objects": found, "label": label, "class_name": CLASSES[label], "top5": []}
        for label, name in labelled(images)
    ]
    (root / "out").mkdir()
    (root / "out" / LINES).write_text("".join(json.dumps(row) + "\n" for row in rows))
    figures = {"image_root": str(root / "images"), "class_names": CLASSES}
    manifest = {"stage": "predict", "wsol": "0", "settings": {}, "inputs": {}, "figures": figures}
    (root / "out" / MANIFEST).write_text(json.dumps(manifest))
    return root / "out"


def can_be_made(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(b"")
    except OSError:
        return False
    return True


def labelled(images: list[str]) -> list[tuple[int, str]]:
    return [(number % len(CLASSES), name) for number, name in enumerate(images)]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read_coco(out: Path, name: str = "instances.json") -> Read:
    coco = COCO(out / name)
    found = [coco.loadAnns(coco.getAnnIds([image_id]))[0] for image_id in sorted(coco.imgs)]
    return Read(
        [coco.imgs[image_id]["file_name"] for image_id in sorted(coco.imgs)],
        [coco.cats[one["category_id"]]["name"] for one in found],
    )


def read_fiftyone(out: Path) -> Read:
    read = read_coco(out, "labels.json")
    assert sorted(read.images) == files(out / "data")
    return read


def read_yolo(out: Path) -> Read:
    names = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))["names"]
    images = files(out / "images")
    labels = [out / "labels" / re.sub(r"\.[^.]*$", ".txt", image) for image in images]
    assert len(set(labels)) == len(images) == len(files(out / "labels"))
    return Read(images, [names[int(path.read_text().split()[0])] for path in labels])


def read_voc(out: Path) -> Read:
    documents = [minidom.parse(str(out / "Annotations" / name)) for name in files(out / "Annotations")]
    texts = [[one.getElementsByTagName(tag)[0].firstChild.data for one in documents] for tag in ("filename", "name")]
    return Read(*texts)


def read_cvat(out: Path) -> Read:
    document = minidom.parse(str(out / "annotations.xml"))
    images = document.getElementsByTagName("image")
    boxes = [one.getElementsByTagName("box")[0].getAttribute("label") for one in images]
    declared = [one.getElementsByTagName("name")[0].firstChild.data for one in document.getElementsByTagName("label")]
    assert set(boxes) <= set(declared) and len(set(declared)) == len(CLASSES)
    return Read([one.getAttribute("name") for one in images], boxes)


def read_labelstudio(out: Path) -> Read:
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    labels = minidom.parse(str(out / "labels.xml")).getElementsByTagName("Label")
    found = [task["predictions"][0]["result"][0]["value"]["rectanglelabels"][0] for task in tasks]
    assert set(found) <= {one.getAttribute("value") for one in labels}
    urls = [unquote_to_bytes(task["data"]["image"].removeprefix("/data/local-files/?d=images/")) for task in tasks]
    return Read([os.fsdecode(url) for url in urls], found)


def read_csv(out: Path) -> Read:
    with (out / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row in rows:
        assert not any(is_formula(cell) for cell in row.values()), row
    return Read([row["path"].removeprefix("./") for row in rows], [unguarded(row["label"]) for row in rows])


def is_formula(cell: str) -> bool:
    """By OWASP's list, with blanks that a spreadsheet ignores."""
    return cell[:1] in ("\t", "\r", "\n") or cell.strip()[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def read_crops(out: Path) -> Read:
    data = open_data(out / "crops")
    return Read([sample.image_id for sample in data.train], [data.class_names[sample.label] for sample in data.train])


def read_masks(out: Path) -> Read:
    for name in files(out / "masks"):
        with Image.open(out / "masks" / name) as mask:
            assert np.array_equal(np.asarray(mask) > 0, MASK)
    return Read(files(out / "masks"), [])


READERS: dict[Format, Callable[[Path], Read]] = {
    "coco": read_coco,
    "fiftyone": read_fiftyone,
    "yolo": read_yolo,
    "yolo-polygons": read_yolo,
    "voc": read_voc,
    "cvat": read_cvat,
    "labelstudio": read_labelstudio,
    "csv": read_csv,
    "crops": read_crops,
    "masks": read_masks,
}


@pytest.mark.parametrize("format", get_args(Format))
def test_every_name_comes_back_and_stays_unique(
    tmp_path: Path, predictions: Path, images: list[str], format: Format
) -> None:
    out = export(predictions, format, tmp_path / "out")
    read = READERS[format](out)
    assert len(set(read.images)) == len(images)
    if format in ("yolo", "yolo-polygons", "fiftyone", "crops", "masks"):
        assert len({on_any_disk(name) for name in read.images}) == len(images)
    assert read.class_names == [] or len(set(read.class_names)) == len(CLASSES)
    for name in (*read.images, *read.class_names) if format != "labelstudio" else read.class_names:
        name.encode("utf-8")
        assert not set(name) & set("\x00\x07\x1b\r\ufffe")
    if format in ("coco", "fiftyone", "csv", "cvat", "labelstudio"):
        for (label, _), class_name in zip(labelled(images), read.class_names, strict=True):
            assert class_name == CLASSES[label] or not is_harmless(CLASSES[label])
    if format in ("coco", "csv", "cvat"):
        for own, name in zip(images, read.images, strict=True):
            assert name == own or not is_harmless(own)
    if format == "labelstudio":
        assert read.images == images, "the bytes on the disk"


def on_any_disk(name: str) -> str:
    """Equal on a disk that ignores case or the composition of accents."""
    return unicodedata.normalize("NFC", name.casefold())


def is_harmless(name: str) -> bool:
    """Whether XML, the most restrictive format, can store it."""
    return not re.search("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", name)


@pytest.mark.parametrize("format", get_args(Format))
def test_the_readme_lists_changed_names_and_is_text(
    tmp_path: Path, predictions: Path, images: list[str], format: Format
) -> None:
    text = (export(predictions, format, tmp_path / "out") / "README.txt").read_text(encoding="utf-8")
    assert not set(text) & set("\x1b\x07\r\u202e")
    assert "    esc\\x1b[2J.jpg -> esc_[2J.jpg\n" in text
    if LATIN in images:
        assert "    K\\xe4uzchen.jpg -> Käuzchen_2.jpg\n" in text
    assert "plain.jpg ->" not in text


def test_our_table_is_read_as_ground_truth_and_as_results(tmp_path: Path, predictions: Path, images: list[str]) -> None:
    out = export(predictions, "csv", tmp_path / "out")
    # Our readers strip cells, as people write them, and take a backslash for Windows' slash.
    expected = [
        (label, name)
        for label, name in labelled(images)
        if is_harmless(name) and name == name.strip() and "\\" not in name
    ]
    data = open_ground_truth(out / "boxes.csv", predictions.parent / "images")
    by_id = {sample.image_id: data.class_names[sample.label] for sample in data.test}
    found = read_boxes(out / "boxes.csv", [name for _, name in expected], None)
    for label, name in expected:
        if is_harmless(CLASSES[label]):
            assert by_id[name] == CLASSES[label].strip()
            assert found.by_id[name].class_names == (CLASSES[label],)


def test_a_long_name_is_cut_for_the_disk_and_stays_unique(tmp_path: Path, predictions: Path, images: list[str]) -> None:
    crops = files(export(predictions, "crops", tmp_path / "out") / "crops")
    assert len(crops) == len(images)
    assert max(len(os.fsencode(part)) for name in crops for part in name.split("/")) == LONGEST_BYTES


@given(st.text(), st.text(max_size=20))
def test_a_fitting_name_ends_as_asked_and_fits(stem: str, ending: str) -> None:
    stem, ending = (readable(text) for text in (stem * 20, ending))
    name = fitting(stem, ending)
    assert name.endswith(ending) and len(name.encode()) <= LONGEST_BYTES
    assert stem.startswith(name.removesuffix(ending)) and (
        len((stem + ending).encode()) > LONGEST_BYTES or name == stem + ending
    )


@given(st.one_of(st.text(), st.text("'=+-@\uff1d \t\r\nx")))
def test_a_guarded_name_is_no_formula_and_comes_back(name: str) -> None:
    assert not is_formula(guarded(name))
    assert unguarded(guarded(name)) == name
    assert not is_formula(guarded_path(name))
    assert guarded_path(name).removeprefix("./") == name.removeprefix("./")


@pytest.mark.parametrize("name", ["owl", "", "'tis", "1-2", "a=b", "x@y"])
def test_a_harmless_name_is_written_as_it_is(name: str) -> None:
    assert guarded(name) == guarded_path(name) == unguarded(name) == name
