"""The stages as Python functions: paths in, a finished folder or a judgement out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wsol.commands import calibrate as calibrating
from wsol.commands import evaluate as evaluating
from wsol.commands import evaluate_results as judging
from wsol.commands import export_model as exporting
from wsol.commands import fit as fitting
from wsol.commands import predict as predicting
from wsol.commands.calibrate import Calibrated
from wsol.commands.evaluate import Which
from wsol.config.base import EngineName, Objects, Precision
from wsol.config.groups import needs_labels
from wsol.config.options import RunConfig
from wsol.data.open import open_data, open_truth
from wsol.data.samples import DataSet
from wsol.data.unread import CONVERT, in_words, unread_of
from wsol.errors import WsolError
from wsol.methods.spol import make_pseudo as masking
from wsol.methods.spol import train_cam as mapping
from wsol.methods.spol import train_seg as segmenting
from wsol.metrics.evaluation import Evaluation
from wsol.metrics.judge import STEP
from wsol.metrics.protocols import default_protocols, protocols_named
from wsol.runs.outside import check_outside
from wsol.runs.saved_config import preview, save_config, with_stage_one
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.locks import held
from wsol.training import classifier as classifying
from wsol.training.curves import write_training_curves

Path_ = str | Path


def fit(
    data: Path_, run: Path_, config: RunConfig | None = None, *, images: Path_ | None = None, quiet: bool = False
) -> Path:
    """All stages of the recipe on a folder of labelled images; finished ones are kept, an interrupted one goes on.

    `config` may name a recipe and override any value; see `RunConfig`. `images` says where the pictures are, if not in the data
    set's usual place. Returns the run folder.

    Raises:
        WsolError: the data, the weights or the folder are not as expected; the text says what to do.
    """
    _stage("fit", fitting.run, data, images, run, config, quiet)
    return Path(run)


def train_cam(
    data: Path_, run: Path_, config: RunConfig | None = None, *, images: Path_ | None = None, quiet: bool = False
) -> Path | None:
    """Stage 1 alone: `run/cam`. A run that has said nothing of its masks goes on with those of stage 1."""
    config = with_stage_one(Path(run), config)
    return _stage("train-cam", mapping.run, data, images, run, config, quiet)


def make_pseudo(
    data: Path_, run: Path_, config: RunConfig | None = None, *, images: Path_ | None = None, quiet: bool = False
) -> Path | None:
    """Stage 2 alone: `run/pseudo`, from `run/cam` or from cues, which it makes."""
    return _stage("make-pseudo", masking.run, data, images, run, config, quiet)


def train_seg(
    data: Path_, run: Path_, config: RunConfig | None = None, *, images: Path_ | None = None, quiet: bool = False
) -> Path | None:
    """Stage 3 alone: `run/seg` from `run/pseudo`."""
    return _stage("train-seg", segmenting.run, data, images, run, config, quiet)


def train_classifier(
    data: Path_, run: Path_, config: RunConfig | None = None, *, images: Path_ | None = None, quiet: bool = False
) -> Path | None:
    """Stage 4 alone: `run/classifier`; None where the configuration goes without one."""
    return _stage("train-classifier", classifying.run, data, images, run, config, quiet)


def predict(
    run: Path_, images: Path_, out: Path_, *, threshold: float | None = None, objects: Objects | None = None, device: str = "auto", precision: Precision = "auto",
    engine: EngineName = "torch", quiet: bool = False,
) -> Path:  # fmt: skip
    """Localize every picture below `images`; write `out`. Returns it.

    Raises:
        WsolError: not a run, no pictures, or `out` holds something else.
    """
    return predicting.run(
        Path(run),
        Path(images),
        Path(out),
        threshold=threshold,
        objects=objects,
        device=device,
        precision=precision,
        engine_name=engine,
        progress=Progress(quiet=quiet or not part().is_first),
    )


def export_model(run: Path_, out: Path_ | None = None, *, check: bool = False, quiet: bool = False) -> Path:
    """Write a run's networks as one ONNX file, by default `run/model.onnx`; with `check`, only if it agrees with PyTorch. Returns it.

    Raises:
        WsolError: not a finished run, no onnx here, a network that cannot be exported, or answers too far apart.
    """
    file, _ = exporting.run(Path(run), None if out is None else Path(out), check=check, progress=Progress(quiet=quiet))
    return file


def calibrate(
    run: Path_, boxes: Path_ | None = None, *, reviewed: Path_ | None = None, images: Path_ | None = None, dry_run: bool = False,
    device: str = "auto", precision: Precision = "auto", quiet: bool = False,
) -> Calibrated:  # fmt: skip
    """Learn a run's box threshold, and what its scores are worth, from a few drawn boxes; `dry_run` only reports.

    The boxes are those of a data set, or what was left by `wsol review REVIEWED --sample 20`.

    Raises:
        WsolError: an unfinished run, an unfinished review, or fewer than five images with a usable box.
    """
    boxes, reviewed, images = (None if one is None else Path(one) for one in (boxes, reviewed, images))
    return calibrating.run(
        Path(run),
        calibrating.few_of(boxes, reviewed, images),
        is_dry=dry_run,
        device=device,
        precision=precision,
        progress=Progress(quiet=quiet),
    )


def evaluate(
    run: Path_, data: Path_, *, which: Which = "seg", protocol: str = "original", threshold: float | None = None, threshold_step: float = STEP, images: Path_ | None = None,
    device: str = "auto", precision: Precision = "auto", quiet: bool = False,
) -> Evaluation:  # fmt: skip
    """Judge a run on the test pictures of a data set that has boxes, under one protocol or several, separated by commas.

    Raises:
        WsolError: no boxes, an unfinished run, a run of other classes, or no such protocol.
    """
    return evaluating.run(
        Path(run),
        open_truth(Path(data), None if images is None else Path(images)),
        which=which,
        protocols=protocols_named(protocol),
        threshold=threshold,
        step=threshold_step,
        device=device,
        precision=precision,
        progress=Progress(quiet=quiet),
    )


def evaluate_results(
    truth: Path_, *, heatmaps: Path_ | None = None, boxes: Path_ | None = None, classes: Path_ | None = None, protocol: str | None = None,
    threshold: float | None = None, threshold_step: float = STEP, images: Path_ | None = None, workers: int = 1, quiet: bool = False,
) -> Evaluation:  # fmt: skip
    """Judge any system's maps (`heatmaps`, a folder of .npy) or `boxes` (a file) against a list of truth.

    Raises:
        WsolError: not exactly one of maps and boxes, results or truth are not as expected, or no such protocol.
    """
    if (heatmaps is None) == (boxes is None):
        raise WsolError("expected either heatmaps or boxes to judge. Name one of them.")
    files = [None if path is None else Path(path) for path in (heatmaps, boxes, classes)]
    return judging.run(
        judging.Results(*files),
        open_truth(Path(truth), None if images is None else Path(images)),
        protocols=protocols_named(protocol or default_protocols(has_maps=heatmaps is not None)),
        threshold=threshold,
        step=threshold_step,
        workers=workers,
        progress=Progress(quiet=quiet),
    )


def _stage(
    command: str,
    stage: Callable[[DataSet, Path, RunConfig, Progress], Path | None],
    data: Path_,
    images: Path_ | None,
    run: Path_,
    config: RunConfig | None,
    quiet: bool,
) -> Path | None:
    resolved = preview(Path(run), config)
    place = None if images is None else Path(images)
    found = open_data(Path(data), place, needs_labels=needs_labels(resolved))
    check_outside(Path(run), found)
    progress = Progress(quiet=quiet or not part().is_first)
    for note in found.notes():
        progress.say(f"note: {note}")
    with held(Path(run), f"wsol {command}", "name another --run"):
        if part().is_first and (words := in_words(unread_of(found))):
            progress.say(f"{found.root}: {words}; {CONVERT}")
        folder = stage(found, Path(run), resolved, progress)
        if part().is_first:
            save_config(Path(run), resolved)  # a stage that has work remembers it too; a refused one changes nothing
            if command == "fit":
                write_training_curves(Path(run))
    return folder
