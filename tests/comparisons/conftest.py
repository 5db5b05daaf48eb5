"""Runs to compare, made in a second or two, and a comparison that needs no run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_data.backbone import write_weights
from methods_quick import quick

from wsol.commands.fit import fit_method
from wsol.comparisons.comparison import ComparedRun, Comparison
from wsol.config.base import Method
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.data.open import open_data
from wsol.metrics.evaluation import Evaluation
from wsol.metrics.evaluator import HUNDREDTHS, Row
from wsol.metrics.localization import gather
from wsol.metrics.protocols import PROTOCOLS
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


@pytest.fixture(scope="session")
def runs(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Method, Path]:
    """A run with class maps and classes, one without classes, and one of boxes without maps. Read only."""
    root = tmp_path_factory.mktemp("compared")
    weights, data = write_weights(root), open_data(small_set)
    methods: tuple[Method, ...] = ("cam", "instant", "psol")
    configs = {method: quick(method, weights, classifier="none") for method in methods}
    configs["cam"] = quick("cam", weights)
    return {method: fit_method(data, root / method, config, Progress(quiet=True)) for method, config in configs.items()}


def evaluation_of_ious(*ious: float, knows_classes: bool = False) -> Evaluation:
    """Images under protocol original, each with the same IoU at every threshold."""
    rows = [
        Row(f"{i:03}", 0, iou, True, True, np.full(len(HUNDREDTHS), iou, np.float32), 0, None, None, None)
        for i, iou in enumerate(ious)
    ]
    if knows_classes:
        rows = [replace(row, rank=i % 2) for i, row in enumerate(rows)]
    result = gather(PROTOCOLS["original"], rows, HUNDREDTHS)
    return Evaluation("maps", {"original": 0.2}, {"original": result}, ("owl",), (), ())


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Four images; the first run has two right, the second three, and classes."""
    evaluations = {
        "first <b>": evaluation_of_ious(0.9, 0.3, 0.6, 0.1),
        "[red]second": evaluation_of_ious(0.8, 0.7, 0.4, 0.5, knows_classes=True),
    }
    folder = tmp_path_factory.mktemp("made up")
    run = Run(folder / "run", resolve(RunConfig(method="cam")))
    compared = tuple(ComparedRun(name, run, one) for name, one in evaluations.items())
    return Comparison(compared, folder / "out" / "index.html")
