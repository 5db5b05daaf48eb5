"""The contract of every method: it makes a run that continues after a kill, and predict, evaluate, export and report
accept it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from methods_quick import quick
from numpy.typing import NDArray

from wsol.commands.evaluate import evaluate_run
from wsol.commands.export import export
from wsol.commands.export_model import export_model
from wsol.commands.fit import fit_method
from wsol.commands.predict import predict
from wsol.config.base import Method
from wsol.config.options import RunConfig
from wsol.data.ground_truth import GroundTruth
from wsol.data.open import open_data
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.inference.localizer import Localizer
from wsol.inference.torch_networks import TorchNetworks
from wsol.metrics.protocols import PROTOCOLS
from wsol.predictions.records import open_predictions
from wsol.reports.write_report import write_report
from wsol.runs.run import Run
from wsol.runs.saved_config import load_config, preview, save_config
from wsol.runtime.progress import Progress
from wsol.storage.folders import file_hash

TRIED = [
    method for method in get_args(Method) if method in ("gradcam:layercam", "gradcam:scorecam") or ":" not in method
]
"""All methods, but only two gradient CAMs: one with gradients and one without."""
CLASS_MAPS = ("cam", "has", "cutmix", "acol", "spg", "adl", "i2c", "tap", "gradcam:layercam", "gradcam:scorecam")
QUIET = Progress(quiet=True)


def random_pixels(count: int, size_px: int, *, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(256, size=(count, 3, size_px, size_px), dtype=np.uint8)


class Killed(BaseException):
    """Stands for a signal that cannot be handled."""


class Deadly(Progress):
    """Kills after a number of steps of the method's own work."""

    def __init__(self, steps: int) -> None:
        super().__init__(quiet=True)
        self.left = steps

    @contextmanager
    def task(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """As the parent's, but for the kill."""

        def advance() -> None:
            if "reading images" not in title:
                self.left -= 1
            if self.left == 0:
                raise Killed

        yield advance


def no_ground_truth() -> GroundTruth:
    raise AssertionError("a method looked at boxes")


@pytest.fixture(scope="session")
def labelled(small_set: Path) -> DataSet:
    """The small set; reading its boxes fails."""
    return replace(open_data(small_set), read_ground_truth=no_ground_truth)


Made = Callable[[Method], Path]


@pytest.fixture(scope="session")
def made(labelled: DataSet, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`made(method)`: a finished run of it, made on first use. Read only."""
    root, runs = tmp_path_factory.mktemp("methods"), dict[Method, Path]()

    def run_of(method: Method) -> Path:
        if method not in runs:
            runs[method] = fit_method(labelled, root / method.replace(":", "-"), quick(method, weights), QUIET)
        return runs[method]

    return run_of


def weights_in(run: Path) -> str:
    return file_hash(run / Run.open(run).spec.folder / "model.safetensors")


@pytest.mark.parametrize("method", [method for method in TRIED if method != "gradcam:scorecam"])
def test_a_killed_run_continues_to_the_same_weights_and_a_finished_one_is_kept(
    made: Made, method: Method, labelled: DataSet, weights: Path, tmp_path: Path
) -> None:
    config, run = quick(method, weights), tmp_path / "run"
    # Methods with two trainings are killed in the second too. Instant mode processes all these images in one step.
    for steps in (1 if method == "instant" else 2, {"psol": 5, "gcnet": 4}.get(method, 1)):
        with pytest.raises(Killed):
            fit_method(labelled, run, config, Deadly(steps))
    fit_method(labelled, run, config, QUIET)
    assert weights_in(run) == weights_in(made(method))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("model.safetensors")}
    fit_method(labelled, run, config, QUIET)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("model.safetensors")} == before
    assert not list(run.rglob("*partial*"))


def test_another_gradient_cam_uses_the_same_network_but_not_its_results(
    made: Made, labelled: DataSet, weights: Path, tmp_path: Path
) -> None:
    run, photos = tmp_path / "run", labelled.root / "test"
    shutil.copytree(made("gradcam:layercam"), run)
    trained, hashed = (run / "gradcam" / "model.safetensors").stat().st_mtime_ns, Run.open(run).calibrated_weights
    asked: dict[str, Any] = {
        "threshold": None,
        "objects": None,
        "device": "cpu",
        "precision": "fp32",
        "quiet": True,
    }
    predict(run, photos, tmp_path / "boxes", **asked)
    config = preview(run, RunConfig(method="gradcam:hirescam"))  # the run's values with another name
    save_config(fit_method(labelled, run, config, QUIET), config)
    assert (run / "gradcam" / "model.safetensors").stat().st_mtime_ns == trained
    assert Run.open(run).calibrated_weights != hashed, "else a calibration of the other maps would be taken"
    with pytest.raises(WsolError, match="the run is another one"):
        predict(run, photos, tmp_path / "boxes", **asked)


@pytest.mark.parametrize("method", TRIED)
def test_outputs_have_the_common_shape(made: Made, method: Method, labelled: DataSet) -> None:
    localizer = Localizer.load(made(method), device="cpu", precision="fp32")
    networks = localizer.networks
    assert isinstance(networks, TorchNetworks)
    pixels = random_pixels(3, 80, seed=0)
    labels = np.array([0, 1, 2])
    outputs = networks.outputs(pixels, labels)
    if outputs.heatmaps is None:
        assert not networks.has_maps and outputs.boxes is not None and outputs.boxes.shape == (3, 4)
        assert (outputs.boxes[:, :2] <= outputs.boxes[:, 2:]).all()
    else:
        assert networks.has_maps and outputs.boxes is None and outputs.heatmaps.ndim == 3
        np.testing.assert_array_equal(outputs.heatmaps, networks.heatmaps(pixels, labels=labels))
        assert networks.heatmaps(pixels, margin_fraction=1 / 16, labels=labels).shape[0] == 3
    shown = outputs.boxes if outputs.heatmaps is None else outputs.heatmaps
    assert np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1
    assert (outputs.probabilities is None) == (load_config(made(method)).classifier == "none")
    if outputs.probabilities is not None:
        np.testing.assert_allclose(outputs.probabilities.sum(1), np.ones(3), rtol=1e-5)


@pytest.mark.parametrize("method", CLASS_MAPS)
def test_a_class_map_is_of_the_given_class_and_else_of_the_predicted_one(made: Made, method: Method) -> None:
    networks = Localizer.load(made(method), device="cpu", precision="fp32").networks
    assert isinstance(networks, TorchNetworks)
    pixels = random_pixels(1, 64, seed=1)
    outputs = networks.outputs(pixels)
    assert outputs.probabilities is not None
    of_class = [networks.heatmaps(pixels, labels=np.array([label])) for label in range(3)]
    named = int(outputs.probabilities.argmax())
    np.testing.assert_array_equal(outputs.heatmaps, of_class[named])
    assert not np.array_equal(of_class[named], of_class[(named + 1) % 3])


@pytest.mark.parametrize("method", TRIED)
def test_predict_evaluate_and_export_accept_the_run(
    made: Made, method: Method, small_set: Path, tmp_path: Path
) -> None:
    run = made(method)
    folder = predict(run, small_set / "test", tmp_path / "out", device="cpu", precision="fp32", quiet=True)
    rows = list(open_predictions(folder))
    assert len(rows) == 6
    for row in rows:
        for found in row.objects:
            x0, y0, x1, y1 = found.xyxy
            assert 0 <= x0 < x1 <= row.image_hw[1] and 0 <= y0 < y1 <= row.image_hw[0] and 0 <= found.score <= 1
    export(folder, "coco", tmp_path / "coco")
    evaluated = evaluate_run(
        Run.open(run),
        open_data(small_set),
        which="seg",
        protocols=[PROTOCOLS[name] for name in ("original", "spol", "wsol-v1", "wsol-v2")],
        device="cpu",
        precision="fp32",
        progress=QUIET,
    )
    figures = {one["protocol"]: one for one in evaluated.as_json()}
    assert all(one["n"] == 6 for one in figures.values())
    assert {"gt_known", "mean_box_iou"} <= figures["original"]["metrics"].keys()
    assert "max_box_acc_v2" in figures["wsol-v2"]["metrics"]
    json.dumps(evaluated.as_json())


TRAINED: dict[Method, list[str]] = {
    "spol": ["seg", "classifier"],
    "instant": [],
    "ddt": [],
    "psol": ["psol", "classifier"],
    "gcnet": ["gcnet-classifier", "gcnet"],
}
"""The trainings of a quick run; the other methods have one."""
TIMED: dict[Method, list[str]] = {
    "spol": ["cues", "pseudo", "seg", "classifier"],
    "instant": ["instant"],
    "ddt": ["ddt"],
    "psol": ["ddt", "pseudo-boxes", "psol", "classifier"],
    "gcnet": ["gcnet-classifier", "gcnet"],
}


@pytest.mark.parametrize("method", [method for method in TRIED if method != "gradcam:scorecam"])
def test_report_shows_what_the_run_has_and_nothing_else(
    made: Made, method: Method, small_set: Path, tmp_path: Path
) -> None:
    run, data, original = made(method), open_data(small_set), PROTOCOLS["original"]
    page = write_report(
        run, data, tmp_path, protocols=[original], device="cpu", precision="fp32", progress=QUIET
    ).read_text()
    panels = {"spol": ["photo", "map", "pseudo", "mask"], "psol": ["photo"]}.get(method, ["photo", "map", "mask"])
    assert re.findall(r'data-panel="(\w+)"', page) == 6 * panels
    has_maps = method != "psol"
    for mark in ('id="threshold"', "data-heat=", "data-score=", 'id="least"', "<dt>box threshold</dt>", "run 0."):
        assert (mark in page) == has_maps, mark
    assert ("data-pseudo=" in page) == ("data-cam=" in page) == (method == "spol")
    assert ("no map, no mask, no threshold" in page) == (method == "psol")
    folder = Run.open(run).spec.folder
    trained = TRAINED.get(method, [folder])
    assert re.findall(r"<figcaption>training (.+)</figcaption>", page) == trained
    (took,) = re.findall(r"<dt>made in</dt>\s+<dd>\d+ s: (.+)</dd>", page)
    if method != "spol":
        assert [part.split()[0] for part in took.split(", ")] == TIMED.get(method, [folder])
    assert f"method: {method}\n" in page and "initial weights from the file weights.safetensors" in page
    (evaluated,) = re.findall(r"<bdi>mean box IoU</bdi></th>\s+<td[^>]*>([\d.]+) ", page)
    ious = [float(fit) for fit in re.findall(r'data-iou="([\d.]+)"', page)]
    assert 100 * np.mean(ious) == pytest.approx(float(evaluated), abs=0.06), "the evaluated boxes are shown"


# Runs of HaS and CutMix are loaded as CAM's.
@pytest.mark.parametrize(
    "method", [method for method in TRIED if ":" not in method and method not in ("instant", "has", "cutmix")]
)
def test_the_exported_file_gives_the_same_outputs_as_the_run(made: Made, method: Method, tmp_path: Path) -> None:
    file, _ = export_model(made(method), tmp_path / "model.onnx", check=True, quiet=True)
    ours, theirs = Localizer.load(made(method), device="cpu", precision="fp32"), Localizer.from_onnx(file, device="cpu")
    pixels = random_pixels(2, 64, seed=2)
    one, other = ours.outputs(pixels), theirs.outputs(pixels)
    for mine, its in (
        (one.heatmaps, other.heatmaps),
        (one.boxes, other.boxes),
        (one.probabilities, other.probabilities),
    ):
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            np.testing.assert_allclose(np.asarray(mine), np.asarray(its), atol=1e-4)


@pytest.mark.parametrize(
    "method", [method for method in TRIED if ":" not in method and method not in ("spol", "instant", "ddt")]
)
def test_another_seed_gives_another_network_if_the_method_is_trained(
    made: Made, method: Method, labelled: DataSet, weights: Path, tmp_path: Path
) -> None:
    fit_method(labelled, tmp_path / "run", quick(method, weights, seed=1, classifier="none"), QUIET)
    assert weights_in(tmp_path / "run") != weights_in(made(method))


@pytest.mark.parametrize("method", ["cam", "instant", "ddt"])
def test_broken_images_are_listed_on_the_console(
    method: Method, small_set: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(small_set, tmp_path / "set"))
    first, second, *_ = sorted((root / "train").rglob("*.jpg"))
    for path in (first, second):
        path.write_bytes(b"no image")
    fit_method(open_data(root), tmp_path / "run", quick(method, weights), Progress())
    name, listed = first.relative_to(root).as_posix(), tmp_path / "run" / method / "skipped.json"
    assert f"2 broken images, first {name}: see {listed}" in capsys.readouterr().err
