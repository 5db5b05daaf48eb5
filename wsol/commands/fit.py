"""Train a run on images with class labels: all stages, or one of them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wsol.config.groups import needs_labels, networks_of
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.data.no_object import with_no_object
from wsol.data.open import open_data
from wsol.data.pixel_cache import remove_cache
from wsol.data.samples import DataSet
from wsol.data.unread import CONVERT, in_words, unread_of
from wsol.errors import WsolError
from wsol.methods import table
from wsol.methods.spol import make_pseudo as masking
from wsol.methods.spol import train_cam as mapping
from wsol.methods.spol import train_seg as segmenting
from wsol.models.weights import check_weights
from wsol.predictions.review_sample import USUAL
from wsol.runs.outside import check_outside
from wsol.runs.saved_config import preview, save_config, with_stage_one
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.locks import held
from wsol.training import classifier
from wsol.training.curves import write_training_curves
from wsol.training.train_stage import PIXELS

StageFunction = Callable[[DataSet, Path, RunConfig, Progress], Path | None]


def fit(
    data: str | Path,
    run: str | Path,
    config: RunConfig | None = None,
    *,
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path:
    """Train on images with class labels: all stages of a method, and the classifier. Finished stages are kept,
    interrupted ones are continued.

    Args:
        data: class folders, a CSV table, COCO, PASCAL VOC, CUB-200-2011, ImageNet-1K or the lists of wsolevaluation.
        run: folder of the run; created if it does not exist.
        config: the options; it may set a recipe, a method and any single value.
        images: folder of the images, if they are not where the data set expects them.
        quiet: print nothing to standard error.

    Returns:
        The run folder.

    Raises:
        WsolError: the data, the weights or the folder cannot be used.

    Example:
        `wsol.fit("photos", "runs/birds", wsol.RunConfig(seed=1))`
    """
    _stage("fit", fit_method, data, run, config, images, quiet)
    return Path(run)


def train_cam(
    data: str | Path,
    run: str | Path,
    config: RunConfig | None = None,
    *,
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path | None:
    """Stage 1 of SPOL alone: train the classifier that gives the class activation maps.

    Unless `pseudo.masks` is set, the run then makes its pseudo masks from these maps (`pseudo.masks thresholds`).

    Args:
        data, run, config, images, quiet: as for `fit`.

    Returns:
        `run/cam`.

    Raises:
        WsolError: as `fit`, or the run does not use stage 1.
    """
    return _stage("train-cam", mapping.train, data, run, with_stage_one(Path(run), config), images, quiet)


def make_pseudo(
    data: str | Path,
    run: str | Path,
    config: RunConfig | None = None,
    *,
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path | None:
    """Stage 2 of SPOL alone: make pseudo masks of the training images, from cues that need no training or from
    the maps of stage 1.

    Args:
        data, run, config, images, quiet: as for `fit`.

    Returns:
        `run/pseudo`.

    Raises:
        WsolError: as `fit`, or stage 1 is needed and missing.
    """
    return _stage("make-pseudo", masking.make, data, run, config, images, quiet)


def train_seg(
    data: str | Path,
    run: str | Path,
    config: RunConfig | None = None,
    *,
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path | None:
    """Stage 3 of SPOL alone: train class-agnostic segmentation on the pseudo masks.

    Args:
        data, run, config, images, quiet: as for `fit`.

    Returns:
        `run/seg`.

    Raises:
        WsolError: as `fit`, or there are no pseudo masks of these images.
    """
    return _stage("train-seg", segmenting.train, data, run, config, images, quiet)


def train_classifier(
    data: str | Path,
    run: str | Path,
    config: RunConfig | None = None,
    *,
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path | None:
    """Stage 4 of SPOL alone: fine-tune the classifier that gives the boxes their classes.

    Args:
        data, run, config, images, quiet: as for `fit`.

    Returns:
        `run/classifier`; None if the configuration trains no classifier.

    Raises:
        WsolError: as `fit`.
    """
    return _stage("train-classifier", classifier.train, data, run, config, images, quiet)


def fit_method(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train a method and its classifier.

    Args:
        data: the open data set.
        run: the run folder.
        config: the resolved configuration.
        progress: for messages.

    Returns:
        The run folder.

    Raises:
        WsolError: from any stage; missing pretrained weights are reported before the first one.
    """
    check_weights(run, config, networks_of(config))
    started = time.perf_counter()
    table.METHODS[config.method].fit(data, run, config, progress)
    progress.say(f"{run / METHODS[config.method].folder}  ({time.perf_counter() - started:.0f} s)")
    started = time.perf_counter()
    folder = classifier.train(data, run, config, progress)
    if folder is not None:
        progress.say(f"{folder}  ({time.perf_counter() - started:.0f} s)")
    if part().local_rank == 0 and config.cache_folder is None:
        remove_cache(run / PIXELS)
    predict = shlex.join(["wsol", "predict", f"{run}"])
    progress.say(
        f"next: `{predict} IMAGES --out OUT`, then `wsol review OUT --sample {USUAL}`, which measures the accuracy on"
        f" {USUAL} images"
    )
    return run


def _stage(
    command: str,
    stage: StageFunction,
    data: str | Path,
    run: str | Path,
    config: RunConfig | None,
    images: str | Path | None,
    quiet: bool,
) -> Path | None:
    run = Path(run)
    resolved = preview(run, config)
    if command in ("train-cam", "make-pseudo", "train-seg") and resolved.method != "spol":
        raise WsolError(
            f"`wsol {command}` is a stage of spol",
            expected="a run of method spol",
            got=f"method {resolved.method}",
            remedy="Use `wsol fit`, which trains any method.",
        )
    opened = open_data(
        Path(data),
        None if images is None else Path(images),
        needs_labels=needs_labels(resolved),
        multi_label=resolved.uses_several_labels,
        columns=resolved.columns,
    )
    data_set = with_no_object(replace(opened, image=resolved.image), resolved.no_object)
    check_outside(run, data_set)
    progress = Progress(quiet=quiet or not part().is_first)
    for note in data_set.notes():
        progress.say(f"note: {note}")
    with held(run, f"wsol {command}", "name another --run"):
        if part().is_first and (words := in_words(unread_of(data_set))):
            progress.say(f"{data_set.root}: {words}; {CONVERT}")
        folder = stage(data_set, run, resolved, progress)
        if part().is_first:
            save_config(run, resolved)  # stages with work save it too; a refused command changes nothing
            if command == "fit":
                write_training_curves(run)
    return folder
