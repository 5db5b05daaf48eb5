"""For any content of a file of ground truth or of results, a reader reads it or raises a WsolError, and nothing
else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from fake_data import labelstudio
from fake_data.coco import HAWK, OWL, coco_of
from fake_data.csv_table import write_csv_set
from fake_data.cub import write_cub
from fake_data.cvat import write_cvat
from fake_data.fiftyone import write_fiftyone
from fake_data.imagenet import write_train, write_val
from fake_data.images import write_image
from fake_data.published import write_pets, write_stanford_dogs, write_tiny_imagenet
from fake_data.tables import write_dog_breeds
from fake_data.voc import write_voc
from fake_data.wsolevaluation import write_boxes
from fake_data.yolo import write_darknet, write_yolo
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wsol.checks.run import check_data
from wsol.data.open import open_data, open_ground_truth
from wsol.errors import WsolError
from wsol.formats.labelstudio import brush_rle
from wsol.results.boxes import read_boxes
from wsol.results.classes import read_classes
from wsol.runtime.progress import Progress

FEW = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

DEEP: Any = json.loads("[" * 400 + "]" * 400)
ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2.5, 1e308, -1e308, float("nan"), float("inf"), 10**400, -(10**400), 10**4000),
        *("", "0", "nan", "owl", "\0", "a\0b.jpg", "\ud800", "../..", "/", "x" * 300 + ".jpg", "a/" * 3000, "9" * 5000),
        *([], {}, [[]], [None], [1, 2, 3], [0.1, 0.2, 0.3, 0.4], {"size": [30, 40], "counts": "o" * 3000}, DEEP),
        *({"size": [30, 40], "counts": [10**30]}, {"size": [10**9, 10**9], "counts": []}, [[10**400] * 6]),
    ]
)
"""Wrong types, and values on which Python's own functions fail in their own ways."""

JSON = ODD | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


def reading(*steps: Callable[[], object]) -> None:
    """Take the steps; what is wrong with a file ends them in words."""
    try:
        for step in steps:
            step()
    except WsolError as error:
        assert "xpected" in str(error) or "no boxes" in str(error), str(error)
        str(error).encode("utf-8", "backslashreplace")


def read_everything(root: Path, images: Path | None = None) -> None:
    """Open a data set, read its ground truth with all masks, and check it."""

    def read_masks() -> None:
        for one in open_ground_truth(root, images).read_ground_truth().by_id.values():
            if one.read_mask is not None:
                reading(lambda one=one: one.read_mask(one.image_hw or (30, 40)))

    reading(lambda: open_ground_truth(root, images).describe(), read_masks)
    reading(lambda: open_data(root, images).training_hash())
    reading(lambda: check_data(open_ground_truth(root, images), Progress(quiet=True)))


# COCO


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The positions in a document: keys and indices."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    whole = copy.deepcopy(document)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


COCO = coco_of({"1.jpg": [HAWK], "2.jpg": [OWL, OWL], "3.jpg": [OWL]})
COCO["annotations"][0]["segmentation"] = {"size": [30, 40], "counts": [1100, 50, 50]}
COCO["annotations"][3] |= {"bbox": None, "iscrowd": 0}
PLACES = list(places(COCO))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        write_image(root / name, (30, 40))
    return root


def read_coco(text: str, images: Path) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "truth.json")
        file.write_text(text, encoding="utf-8")
        read_everything(file, images)


@FEW
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
@example([(("images", 0, "file_name"), "a\0b.jpg")])
@example([(("images", 0, "file_name"), "\ud800.jpg")])
@example([(("images", 0, "file_name"), "x" * 300)])
@example([(("images", 0, "height"), 10**400)])
@example([(("images", 0, "width"), 1e300)])
@example([(("annotations", 0, "bbox"), [10**400, 1, 2, 3])])
@example([(("annotations", 0, "id"), DEEP)])
@example([(("annotations", 0), DEEP)])
@example([(("annotations", 0, "segmentation"), [[10**400] * 6])])
@example([(("annotations", 0, "segmentation"), DEEP)])
@example([(("categories", 0, "name"), DEEP)])
@example([(("categories", 0, "name"), "\ud800")])
@example([(("categories",), [])])
def test_a_coco_file_with_anything_anywhere_is_read_or_refused(
    images: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    document = COCO
    for path, value in changes:
        if path in set(places(document)):
            document = replaced(document, path, value)
    read_coco(json.dumps(document), images)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="brackets without end"),
        pytest.param('{"images": ' * 50_000, id="objects without end"),
        pytest.param(json.dumps(COCO).replace("10.5", "9" * 5000), id="a number of five thousand digits"),
        pytest.param(json.dumps(COCO).replace("10.5", "1" + "0" * 400), id="a number that no float holds"),
        pytest.param(json.dumps(COCO).replace("10.5", "1e400"), id="infinity"),
        pytest.param(json.dumps(COCO).replace("10.5", "NaN"), id="not a number"),
        pytest.param(json.dumps(COCO).replace("1.jpg", "\\ud800"), id="half a character"),
        pytest.param("\0", id="a zero"),
        pytest.param("", id="nothing"),
    ],
)
def test_json_on_which_python_fails_is_read_or_refused(images: Path, text: str) -> None:
    read_coco(text, images)


# JSON of annotation tools

RLE = brush_rle(np.eye(30, 40, dtype=bool))
TASKS = [
    labelstudio.task("1.jpg", labelstudio.rectangle("owl"), labelstudio.choice("owl")),
    labelstudio.task("/data/local-files/?d=2.jpg", labelstudio.polygon("owl", (1, 2), (30, 4), (5, 60))),
    {"data": {"image": "3.jpg"}, "predictions": [{"result": [labelstudio.brush("hawk", RLE[:20])]}]},
]
JSON_OF = {
    "tasks": TASKS,
    "JSON-MIN": [
        labelstudio.minimal("1.jpg", labelstudio.rectangle("owl")),
        labelstudio.minimal("2.jpg", which={"choices": ["hawk"]}),
    ],
    "detections": {"classes": ["hawk", "owl"], "labels": {"1": [{"label": 0, "bounding_box": [0.1, 0.2, 0.3, 0.4]}]}},
    "classifications": {"classes": ["hawk", "owl"], "labels": {"1": 0, "2": "owl", "3": {"label": 1}}},
}


@settings(FEW, max_examples=200)
@given(
    kind=st.sampled_from(sorted(JSON_OF)),
    changes=st.lists(st.tuples(st.integers(0, 999), JSON), min_size=1, max_size=3),
)
def test_json_of_a_tool_with_anything_anywhere_is_read_or_refused(
    images: Path, kind: str, changes: list[tuple[int, Any]]
) -> None:
    document: Any = JSON_OF[kind]
    for place, value in changes:
        # Not the whole: it would no longer be recognised as this layout.
        where = [path for path in places(document) if len(path) > 1] if document else []
        if where:
            document = replaced(document, where[place % len(where)], value)
    read_coco(json.dumps(document), images)


# Tables and lists: text, of which a part is replaced

SCRAPS = st.sampled_from(
    [
        *(
            "",
            ",",
            ",,,,,",
            '"',
            "\n",
            "\r",
            "\0",
            "\t",
            ";",
            "\ufeff",
            "nan",
            "inf",
            "-1",
            "1e400",
            "0.5",
            "9" * 5000,
            "²",
            "٣",
        ),
        *(
            "../../x",
            "x" * 300,
            "a/" * 3000,
            "<",
            "&lol;",
            "]]>",
            "<polygon/>",
            "<bndbox></bndbox>",
            "<size></size>",
            "é",
        ),
    ]
) | st.text(max_size=6)
CUTS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), SCRAPS), min_size=1, max_size=3)


def spoilt(text: str, cuts: list[tuple[float, int, str]]) -> str:
    for where, length, scrap in cuts:
        start = int(where * len(text))
        text = text[:start] + scrap + text[start + length :]
    return text


def write_pascal(root: Path) -> None:
    write_voc(root, {"1": [("owl", 1, 2, 3, 4)], "2": [("hawk", 1, 2, 3, 4)]}, {"train": ["1", "2"], "val": ["1"]})


def write_json_lines(root: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        write_image(root / name)
    (root / "metadata.jsonl").write_text(
        '{"file_name": "1.jpg", "label": "owl"}\n{"file_name": "2.jpg", "label": ["hawk"], "x": 1}\n'
    )


def write_tiny_imagenet_without_val(root: Path) -> None:
    write_tiny_imagenet(root, has_val=False)


def write_kaggle(root: Path) -> None:
    write_train(root)
    write_val(root / "val", ["n01440764"])
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n")


def write_folders(root: Path) -> None:
    for name in ("owl/1.jpg", "hawk/1.jpg"):
        write_image(root / name)
    (root / "boxes.csv").write_text("path,x0,y0,x1,y1\nowl/1.jpg,1,2,3,4\nhawk/1.jpg,1,2,30,4\n")


def write_lists(root: Path) -> None:
    write_boxes(root, {"owl/1.jpg": 1, "hawk/1.jpg": 0}, {"owl/1.jpg": [(1, 2, 3, 4)], "hawk/1.jpg": [(1, 2, 9, 4)]})


WRITE: dict[str, tuple[Callable[[Path], object], str]] = {
    "CSV table": (write_csv_set, "labels.csv"),
    "ids of Kaggle": (write_dog_breeds, "*.csv"),
    "JSON Lines": (write_json_lines, "*.jsonl"),
    "class folders": (write_folders, "boxes.csv"),
    "CUB": (write_cub, "*.txt"),
    "ImageNet": (write_kaggle, "*.csv"),
    "VOC": (write_pascal, "Annotations/*.xml"),
    "VOC's lists": (write_pascal, "ImageSets/Main/*.txt"),
    "wsolevaluation": (write_lists, "*.txt"),
    "YOLO's settings": (write_yolo, "data.yaml"),
    "YOLO's labels": (write_yolo, "labels/*/*.txt"),
    "YOLO's lists": (write_darknet, "*.*"),
    "CVAT": (write_cvat, "annotations.xml"),
    "Label Studio": (labelstudio.write_labelstudio, "*.json"),
    "FiftyOne": (write_fiftyone, "labels.json"),
    "Oxford-IIIT Pet": (write_pets, "annotations/t*.txt"),
    "Stanford Dogs": (write_stanford_dogs, "Annotation/*/n*"),
    "Tiny ImageNet": (write_tiny_imagenet, "*/*_annotations.txt"),
    "Tiny ImageNet's training boxes": (write_tiny_imagenet_without_val, "train/*/*_boxes.txt"),
}


@pytest.fixture(scope="module", params=WRITE)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    write, pattern = WRITE[request.param]
    root = tmp_path_factory.mktemp("data") / "data"
    write(root)
    return root, sorted(root.glob(pattern))


@settings(FEW, max_examples=60)
@given(which=st.integers(0, 99), cuts=CUTS)
def test_a_table_with_anything_anywhere_is_read_or_refused(
    written: tuple[Path, list[Path]], which: int, cuts: list[tuple[float, int, str]]
) -> None:
    root, files = written
    file = files[which % len(files)]
    whole = file.read_bytes()
    try:
        file.write_text(spoilt(whole.decode(), cuts), encoding="utf-8", errors="surrogatepass")
        read_everything(root)
    finally:
        file.write_bytes(whole)


# Results of other systems

IDS = ["a/1.jpg", "b/2.jpg"]
RESULTS = [
    {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": "b/2.jpg", "bbox": [1, 2, 3, 4], "score": 1},
]
INSTANCES = {"images": [{"id": 1, "file_name": "a/1.jpg"}], "categories": [{"id": 1, "name": "owl"}]}
MANIFEST = {"stage": "export", "settings": {"format": "coco"}}


@FEW
@given(
    which=st.sampled_from(["results.json", "instances.json", "manifest.json"]),
    place=st.integers(0, 999),
    value=JSON,
)
def test_coco_results_with_anything_anywhere_are_read_or_refused(which: str, place: int, value: Any) -> None:
    documents: dict[str, Any] = {"results.json": RESULTS, "instances.json": INSTANCES, "manifest.json": MANIFEST}
    where = [path for path in places(documents[which]) if path[:1] == ("settings",) or which != "manifest.json"]
    documents[which] = replaced(documents[which], where[place % len(where)], value)
    with TemporaryDirectory() as folder:
        for name, document in documents.items():
            Path(folder, name).write_text(json.dumps(document))
        reading(lambda: read_boxes(Path(folder), IDS, None))
        reading(lambda: read_boxes(Path(folder, "results.json"), IDS, {1: "a/1.jpg"}))


@FEW
@given(
    text=st.sampled_from(
        [
            "path,x0,y0,x1,y1,score\na/1.jpg,1,2,3,4,0.5\nb/2.jpg,1,2,3,4,1\n",
            "path,first,second\na/1.jpg,owl,hawk\nb/2.jpg,hawk,owl\n",
            "path,class,probability\na/1.jpg,owl,0.5\na/1.jpg,hawk,0.4\n",
        ]
    ),
    cuts=CUTS,
)
def test_tables_of_results_with_anything_anywhere_are_read_or_refused(
    text: str, cuts: list[tuple[float, int, str]]
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "results.csv")
        file.write_text(spoilt(text, cuts), encoding="utf-8", errors="surrogatepass")
        reading(lambda: read_boxes(file, IDS, None))
        reading(lambda: read_classes(file, IDS, ("owl", "hawk")))
