"""A run folder as one object: what its files say together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wsol.config.base import Method
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.errors import WsolError
from wsol.geometry.image_threshold import AROUND_OTSU
from wsol.runs.run import Run
from wsol.runs.saved_config import save_config
from wsol.storage.folders import file_hash


def saved(folder: Path, **values: object) -> Run:
    save_config(folder, resolve(RunConfig.model_validate(values)))
    return Run.open(folder)


def test_what_is_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WsolError) as refused:
        Run.open(tmp_path)
    assert "is not a run" in refused.value.problem and "wsol fit" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("values", "network", "classifier"),
    [
        pytest.param({}, "seg", "classifier", id="the default"),
        pytest.param({"classifier": "none"}, "seg", None, id="no names"),
        pytest.param({"classifier": "localizer"}, "seg", "cam", id="stage 1 names"),
        pytest.param({"method": "cam"}, "cam", None, id="the network of the class maps names"),
        pytest.param({"method": "cam", "classifier": "same"}, "cam", "classifier", id="class maps, named by another"),
        pytest.param({"method": "gcnet"}, "gcnet", None, id="after a classifier of its own"),
        pytest.param({"method": "psol"}, "psol", "classifier", id="boxes without maps"),
        pytest.param({"method": "gradcam:hirescam"}, "gradcam", None, id="a gradient CAM"),
    ],
)
def test_the_folders_of_the_networks_follow_from_the_configuration(
    values: dict[str, object], network: str, classifier: str | None, tmp_path: Path
) -> None:
    run = saved(tmp_path, **values)
    assert run.network_folder == tmp_path / network
    assert run.classifier_folder == (None if classifier is None else tmp_path / classifier)
    assert run.names_itself == (classifier is None and run.config.classifier == "localizer")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_but_spol_has_a_threshold_before_it_is_trained(method: Method, tmp_path: Path) -> None:
    run = saved(tmp_path, method=method)
    if method == "spol":
        with pytest.raises(WsolError, match="unfinished"):
            run.box()
    else:
        assert run.box().threshold == METHODS[method].defaults["box"]["threshold"]
    assert run.box(0.7).threshold == 0.7, "the one that is named counts"
    assert run.image_threshold == (AROUND_OTSU if method == "instant" else None)


def test_a_finished_run_has_what_it_learned_and_the_hashes_of_its_weights(small_run: Path, tmp_path: Path) -> None:
    run = Run.open(small_run)
    learned = run.learned_threshold
    assert learned is not None and run.box().threshold == learned.threshold and run.image_threshold is not None
    assert run.weight_hashes == {
        name: file_hash(small_run / name / "model.safetensors") for name in ("seg", "classifier")
    }
    given = tmp_path / "run"
    shutil.copytree(small_run, given)
    save_config(given, run.config.model_copy(update={"box": run.config.box.model_copy(update={"threshold": 0.3})}))
    other = Run.open(given)
    assert other.learned_threshold is None and other.image_threshold is None and other.box().threshold == 0.3
    assert other.calibrated_weights != run.calibrated_weights, "maps that are shifted otherwise"
