"""The metrics of several objects in `wsol evaluate`: where the system finds several, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_data.backbone import write_weights
from fake_data.csv_table import write_images, write_table
from methods_quick import quick
from quick import Cli

from wsol.commands.evaluate import evaluate_run
from wsol.commands.fit import fit_method
from wsol.config.base import Objects
from wsol.data.open import open_data
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

METRICS = {"ap_50", "recall_50", "corloc", "count_right", "count_within_one"}
TRUTH = [("1.jpg", "owl", 0, 0, 10, 10), ("1.jpg", "owl", 20, 0, 30, 10), ("2.jpg", "hawk", 5, 5, 25, 25)]


def test_boxes_of_several_objects(tmp_path: Path, cli: Cli) -> None:
    """Both owls with a wrong box between them, the hawk missed."""
    truth = write_table(tmp_path / "truth" / "labels.csv", TRUTH)
    write_images(truth.parent, TRUTH)
    columns = ("path", "x0", "y0", "x1", "y1", "score")
    rows = [("1.jpg", 0, 0, 10, 10, 0.9), ("1.jpg", 20, 0, 30, 10, 0.7), ("2.jpg", 30, 20, 40, 30, 0.8)]
    boxes = write_table(tmp_path / "boxes.csv", rows, columns)
    assert cli("evaluate", "--boxes", boxes, "--truth", truth, "--json", tmp_path / "m.json") == 0
    metrics = {name: one["value"] for name, one in json.loads((tmp_path / "m.json").read_text())[0]["metrics"].items()}
    assert metrics["ap_50"] == pytest.approx(100 * (1 / 3 + 1 / 3 * 2 / 3))
    assert metrics["recall_50"] == pytest.approx(200 / 3)
    assert (metrics["corloc"], metrics["count_right"], metrics["count_within_one"]) == (50, 100, 100)

    write_table(boxes, [rows[0], rows[2]], columns)
    assert cli("evaluate", "--boxes", boxes, "--truth", truth, "--json", tmp_path / "one.json") == 0
    assert not METRICS & json.loads((tmp_path / "one.json").read_text())[0]["metrics"].keys()


@pytest.mark.parametrize("objects", ["all", "largest"])
def test_a_run_that_finds_all_objects(objects: Objects, small_set: Path, tmp_path: Path) -> None:
    data = open_data(small_set)
    config = quick("instant", write_weights(tmp_path), box={"objects": objects, "min_area": 0.0})
    run = Run.open(fit_method(data, tmp_path / "run", config, Progress(quiet=True)))
    result = evaluate_run(run, data, progress=Progress(quiet=True)).results["original"]
    assert (result.rates.keys() >= METRICS) == (objects == "all") and bool(METRICS & result.rates.keys()) == (
        objects == "all"
    )
    if result.detections is not None:
        assert len(result.detections) == len(result.image_ids)
        assert result.rates["corloc"].value >= result.rates["gt_known"].value, "the largest is one of them"
