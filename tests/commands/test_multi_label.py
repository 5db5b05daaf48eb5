"""Images with several labels from training to export: maps, boxes and the evaluation of each label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_data.backbone import NAME, write_weights
from PIL import Image
from quick import Cli

from wsol.commands.evaluate import evaluate_run
from wsol.commands.fit import fit
from wsol.config.base import Method
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.data.multi_label import with_each_label
from wsol.data.open import open_data
from wsol.inference.localizer import Localizer
from wsol.predictions.records import LINES, PredictedObject, Prediction, encode, write_lines
from wsol.reports.gallery import Gallery
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.storage.folders import write_manifest

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 60, 220)}
SMALL: dict[str, dict[str, int]] = {
    "instant": {"resize_px": 64},
    "training": {"resize_px": 64, "crop_px": 56},
    **{name: {"steps": 6, "batch_size": 4, "resize_px": 64, "crop_px": 56} for name in ("seg", "classify")},
}
READ: dict[Method, list[str]] = {
    "spol": ["instant", "seg", "classify"],
    "cam": ["training"],
    "instant": ["instant", "classify"],
    "ddt": ["training", "classify"],
}
PLACES = ((8, 8, 40, 40), (56, 56, 88, 88))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares on noise: half of the images show two classes."""
    root = tmp_path_factory.mktemp("several")
    chance = np.random.default_rng(0)
    rows = ["path,label,split,x0,y0,x1,y1"]
    names = [*COLOURS]
    for split, images in (("train", 12), ("test", 6)):
        for number in range(images):
            pixels = chance.integers(90, 150, (96, 96, 3), dtype=np.uint8)
            shown = [names[number % 3], names[(number + 1) % 3]][: 1 + number % 2]
            for name, (x0, y0, x1, y1) in zip(shown, PLACES, strict=False):
                pixels[y0:y1, x0:x1] = COLOURS[name]
                rows.append(f"{split}{number}.png,{name},{split},{x0},{y0},{x1},{y1}")
            Image.fromarray(pixels).save(root / f"{split}{number}.png")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def test_every_method_that_takes_them_is_tried() -> None:
    assert {name for name, spec in METHODS.items() if spec.is_multi_label} == {*READ}


@pytest.mark.parametrize("method", READ)
def test_every_label_is_localized_and_evaluated(method: Method, several: Path, tmp_path: Path, cli: Cli) -> None:
    data = open_data(several, multi_label=True)
    config = {"method": method, "backbone": NAME, "weights": write_weights(tmp_path), "device": "cpu", "workers": 0}
    groups = {group: SMALL[group] for group in READ[method]}
    config |= {"classifier": "same"} if "classify" in groups else {}
    run = Run.open(fit(several, tmp_path / "run", RunConfig.model_validate(config | groups), quiet=True))
    assert run.is_multi_label
    evaluation = evaluate_run(run, data, progress=Progress(quiet=True))
    result = evaluation.results["original"]
    assert len(result.image_ids) == sum(len(one.labels) for one in data.test) == 9 and not evaluation.mistakes

    shown, ground_truth = with_each_label(data), data.read_ground_truth()
    items = list(Gallery(run.folder)(shown.test, ground_truth, Progress(quiet=True)))
    assert [(one.image_id, one.class_name) for one in items] == [
        (one.image_id, data.class_names[one.label]) for one in shown.test
    ]
    for item in items:
        own = ground_truth.of_class(item.image_id, item.class_name)
        assert own is not None and item.annotated_boxes.xyxy.tolist() == own.boxes.xyxy.tolist()
        assert len(item.boxes) <= 1

    localizer = Localizer.load(run.folder)
    found = localizer(several / "test1.png")
    assert found.objects and all(one.class_name in COLOURS for one in found.objects)
    assert len({one.label for one in found.objects}) == len(found.objects)  # one object of each class

    assert cli("predict", run.folder, several, "--out", tmp_path / "out") == 0
    assert cli("export", tmp_path / "out", "--format", "coco", "--out", tmp_path / "coco") == 0
    document = json.loads((tmp_path / "coco" / "instances.json").read_text())
    name_of = {one["id"]: one["name"] for one in document["categories"]}
    image_of = {one["id"]: one["file_name"] for one in document["images"]}
    boxes = [one for one in document["annotations"] if image_of[one["image_id"]] == "test1.png"]
    assert {name_of[one["category_id"]] for one in boxes} == {one.class_name for one in found.objects}


@pytest.mark.parametrize(("exchanged", "expected"), [(False, 100.0), (True, 100 * 3 / 9)], ids=["right", "exchanged"])
def test_predictions_of_a_class_are_evaluated_with_its_boxes(
    exchanged: bool, expected: float, several: Path, tmp_path: Path, cli: Cli
) -> None:
    """The true boxes, or, in the images of two classes, those of the other class."""
    names = tuple(COLOURS)
    lines = []
    for number in range(6):
        labels = [number % 3, (number + 1) % 3][: 1 + number % 2]
        objects = [
            PredictedObject(box, 0.9, encode(np.zeros((96, 96), dtype=bool)), label, names[label])
            for label, box in zip(labels[::-1] if exchanged else labels, PLACES, strict=False)
        ]
        if len(labels) == 1:  # a better box of a class that is not there
            absent = (labels[0] + 2) % 3
            wrong = PredictedObject((0, 0, 90, 9), 0.95, encode(np.zeros((96, 96), dtype=bool)), absent, names[absent])
            objects = [wrong, *objects]
        label = labels[0]
        lines.append(Prediction(f"test{number}.png", (96, 96), tuple(objects), label, names[label], ()))
    folder = tmp_path / "predictions"
    folder.mkdir()
    write_lines(folder / LINES, lines)
    write_manifest(folder, "predict", {}, {}, {"image_root": str(several), "class_names": names})
    assert cli("evaluate", "--boxes", folder, "--truth", several, "--json", tmp_path / "m.json") == 0
    judged = {one["protocol"]: one for one in json.loads((tmp_path / "m.json").read_text())}["original"]
    assert judged["n"] == 9
    assert judged["metrics"]["gt_known"]["value"] == pytest.approx(expected)
