"""A method, and the classifier that names what it finds."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from wsol.config.groups import networks_of
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.data.pixel_cache import remove_cache
from wsol.data.samples import DataSet
from wsol.methods import table
from wsol.models.weights import check_weights
from wsol.predictions.review_sample import USUAL
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.training import classifier as train_classifier
from wsol.training.train_stage import PIXELS


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """From labelled pictures to a run that can predict. A finished stage is kept, an interrupted one goes on.

    Raises:
        WsolError: from any stage; weights that cannot be had are told before the first begins.
    """
    check_weights(run, config, networks_of(config))
    started = time.perf_counter()
    table.METHODS[config.method].fit(data, run, config, progress)
    progress.say(f"{run / METHODS[config.method].folder}  ({time.perf_counter() - started:.0f} s)")
    started = time.perf_counter()
    folder = train_classifier.run(data, run, config, progress)
    if folder is not None:
        progress.say(f"{folder}  ({time.perf_counter() - started:.0f} s)")
    if part().local_rank == 0 and config.cache_folder is None:
        remove_cache(run / PIXELS)
    predict = shlex.join(["wsol", "predict", f"{run}"])
    progress.say(
        f"next: `{predict} IMAGES --out OUT`, then `wsol review OUT --sample {USUAL}`: {USUAL} images by hand say how good it is"
    )
    return run
