"""A story: surfaces with and without defects, trained with both kinds of pseudo masks, predicted and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from quick import QUICK, QUICK_CUES, Cli

from wsol.demo.surfaces import GOOD, write_surface_set
from wsol.methods.spol.mask_store import PseudoStore
from wsol.predictions.records import open_predictions
from wsol.runs.run import Run


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("surfaces")
    write_surface_set(root, train_per_class=4, test_per_class=2, image_hw=(96, 128), areas=(0.02, 0.05), contrast=0.4)
    return root


@pytest.mark.pipeline
@pytest.mark.parametrize("options", [pytest.param(QUICK_CUES, id="cues"), pytest.param(QUICK, id="thresholds")])
def test_images_without_an_object_are_background_and_their_results_are_empty(
    surfaces: Path, tmp_path: Path, cli: Cli, options: list[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    assert cli("fit", surfaces, "--run", run, "--no-object", GOOD, *options) == 0
    store, opened = PseudoStore(run / "pseudo"), Run.open(run)
    for number, image_id in enumerate(store.image_ids):
        if f"/{GOOD}/" in image_id:
            planes = store.at_size(torch.tensor([number]), 32, torch.device("cpu"))
            inside, weight = store.targets(planes, opened.config.pseudo)
            assert not inside.any() and weight.all() and number in store.usable()
    threshold = opened.image_threshold
    assert threshold is not None and threshold.floor > 0

    assert cli("predict", run, surfaces / "test", "--out", out) == 0
    predictions = open_predictions(out)
    assert predictions.no_object == {GOOD}
    for one in predictions:
        assert (one.class_name == GOOD) == (not one.objects)
    assert cli("evaluate", run, surfaces, "--json", tmp_path / "figures.json") == 0
    (result,) = json.loads((tmp_path / "figures.json").read_text())
    assert result["n"] == 6 and "image_auroc" in result["metrics"]
