"""COCO export, checked with pycocotools as the second reader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_data.run_lengths import no_mask
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsol.commands.export import checked
from wsol.formats.coco import write_coco
from wsol.geometry.boxes import tight_box
from wsol.predictions.records import (
    LINES,
    PredictedObject,
    Prediction,
    Predictions,
    encode,
    open_predictions,
    write_lines,
)
from wsol.storage.folders import write_manifest

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

CLASSES = ("Amsel & Drossel", 'the "great" tit', "Käuzchen 梟")


def ones(image_hw: tuple[int, int], *boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """A mask of several boxes; boxes inside an earlier one are holes."""
    mask = np.zeros(image_hw, dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] ^= True
    return mask


def found(mask: NDArray[np.bool_], score: float) -> PredictedObject:
    """A mask as `wsol predict` writes it."""
    xyxy = tight_box(mask)
    assert xyxy is not None
    return PredictedObject(xyxy, score, encode(mask))


def image(image: str, label: int | None, *masks: NDArray[np.bool_], image_hw: tuple[int, int] = (40, 60)) -> Prediction:
    """A line of predictions.jsonl."""
    objects = tuple(found(mask, 0.9 - 0.1 * number) for number, mask in enumerate(masks))
    return Prediction(image, image_hw, objects, label, None if label is None else CLASSES[label], ())


CORPUS = {
    "normal": image("a/owl.jpg", 0, ones((40, 60), (10, 5, 30, 25))),
    "holes and two parts": image(
        "a/o & 'u'.jpg", 1, ones((40, 60), (2, 2, 20, 30), (5, 5, 9, 9), (12, 8, 14, 29), (40, 1, 50, 9))
    ),
    "two objects": image("a/twins.jpg", 1, ones((40, 60), (0, 0, 7, 7)), ones((40, 60), (30, 20, 50, 39))),
    "at all borders": image("b/owl.png", 2, ones((40, 60), (0, 0, 60, 40), (9, 9, 30, 31))),
    "one pixel": image("b/梟 ö.jpg", 2, ones((40, 60), (59, 39, 60, 40))),
    "empty": image("b/empty.jpg", 0),
    "turned by EXIF": image("owl.jpg", 0, ones((60, 40), (3, 30, 33, 59)), image_hw=(60, 40)),
}


def folder_of(folder: Path, lines: list[Prediction], class_names: tuple[str, ...] = CLASSES) -> Predictions:
    """A finished prediction folder, opened and checked."""
    folder.mkdir()
    write_lines(folder / LINES, lines)
    write_manifest(folder, "predict", {}, {}, {"image_root": str(folder / "images"), "class_names": class_names})
    return checked(open_predictions(folder))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The example predictions as COCO."""
    out = tmp_path / "coco"
    out.mkdir()
    write_coco(folder_of(tmp_path / "predictions", list(CORPUS.values())), out)
    return out


def test_every_image_and_its_upright_size_comes_back(exported: Path) -> None:
    images = json.loads((exported / "instances.json").read_text())["images"]
    assert [image["id"] for image in images] == [1, 2, 3, 4, 5, 6, 7]
    assert [(image["file_name"], image["height"], image["width"]) for image in images] == [
        (p.image, *p.image_hw) for p in CORPUS.values()
    ]


def test_every_mask_box_and_class_comes_back_exactly(exported: Path) -> None:
    coco = COCO(exported / "instances.json")
    for image_id, prediction in enumerate(CORPUS.values(), start=1):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        assert len(annotations) == len(prediction.objects)
        for annotation, one in zip(annotations, prediction.objects, strict=True):
            x, y, width, height = annotation["bbox"]
            assert (x, y, x + width, y + height) == one.xyxy
            assert np.array_equal(coco.annToMask(annotation), one.mask())
            assert annotation["area"] == one.mask().sum()
            assert annotation["iscrowd"] == 0
            assert coco.loadCats([annotation["category_id"]])[0]["name"] == prediction.class_name


def test_ids_start_at_one_and_strings_are_strings(exported: Path) -> None:
    written = json.loads((exported / "instances.json").read_text())
    assert written["licenses"] == []
    assert [category["id"] for category in written["categories"]] == [1, 2, 3]
    assert [annotation["id"] for annotation in written["annotations"]] == list(range(1, 8))
    assert all(isinstance(annotation["segmentation"]["counts"], str) for annotation in written["annotations"])


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_results_score_an_average_precision_of_one_against_the_annotations(exported: Path, kind: str) -> None:
    ground_truth = COCO(exported / "instances.json")
    results = ground_truth.loadRes(str(exported / "results.json"))
    evaluator = COCOeval(ground_truth, results, kind)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    assert evaluator.stats[0] == 1.0


def test_results_carry_the_scores_as_a_bare_list(exported: Path) -> None:
    results = json.loads((exported / "results.json").read_text())
    assert [row["score"] for row in results] == [
        one.score for prediction in CORPUS.values() for one in prediction.objects
    ]
    assert all(row.keys() == {"image_id", "category_id", "bbox", "segmentation", "score"} for row in results)


def test_files_are_ascii_because_pycocotools_opens_them_with_the_locale(exported: Path) -> None:
    assert (exported / "instances.json").read_bytes().isascii()


def test_a_run_without_a_classifier_has_the_one_category_object(tmp_path: Path) -> None:
    unnamed = [image("a.jpg", None, ones((40, 60), (1, 1, 9, 9))), image("b.jpg", None)]
    write_coco(folder_of(tmp_path / "predictions", unnamed), tmp_path)
    written = json.loads((tmp_path / "instances.json").read_text())
    assert [(category["id"], category["name"]) for category in written["categories"]] == [(1, "object")]
    assert [annotation["category_id"] for annotation in written["annotations"]] == [1]


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        pytest.param([], {"images": 0, "objects": 0, "empty_images": 0}, id="no images"),
        pytest.param([CORPUS["empty"]], {"images": 1, "objects": 0, "empty_images": 1}, id="no objects"),
        pytest.param(
            [CORPUS["empty"], CORPUS["two objects"]], {"images": 2, "objects": 2, "empty_images": 1}, id="both"
        ),
    ],
)
def test_counts_include_images_without_an_object(
    tmp_path: Path, lines: list[Prediction], counts: dict[str, int]
) -> None:
    assert write_coco(folder_of(tmp_path / "predictions", lines), tmp_path) == counts
    assert len(json.loads((tmp_path / "results.json").read_text())) == counts["objects"]
    assert ("results.json is the empty list" in (tmp_path / "README.txt").read_text()) == (counts["objects"] == 0)


@pytest.mark.parametrize("names", [["empty"], list(CORPUS)], ids=["no objects", "corpus"])
def test_the_snippet_of_the_readme_runs(tmp_path: Path, names: list[str]) -> None:
    write_coco(folder_of(tmp_path / "predictions", [CORPUS[name] for name in names]), tmp_path)
    snippet = [line.strip() for line in (tmp_path / "README.txt").read_text().splitlines() if line.startswith("    ")]
    assert len(snippet) >= 3
    subprocess.run([sys.executable, "-c", "\n".join(snippet)], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000))
def test_boxes_come_back_and_stay_inside_the_image(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, height: int, width: int
) -> None:
    x0, x1 = sorted(data.draw(st.tuples(st.floats(-9, width + 9), st.floats(-9, width + 9))))
    y0, y1 = sorted(data.draw(st.tuples(st.floats(-9, height + 9), st.floats(-9, height + 9))))
    one = PredictedObject((x0, y0, x1, y1), 0.5, no_mask((height, width)))
    tmp_path = tmp_path_factory.mktemp("coco")
    write_coco(
        folder_of(tmp_path / "predictions", [Prediction("a.jpg", (height, width), (one,), 0, CLASSES[0], ())]), tmp_path
    )
    x, y, box_width, box_height = json.loads((tmp_path / "results.json").read_text())[0]["bbox"]
    expected = np.clip([x0, y0, x1, y1], 0, [width, height, width, height])
    assert [x, y, x + box_width, y + box_height] == pytest.approx(expected, abs=1e-9)
