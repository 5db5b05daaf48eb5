"""All four stages, one after the other."""

from __future__ import annotations

import time
from pathlib import Path

from wsol.config import RunConfig
from wsol.data.pixel_cache import remove_cache
from wsol.data.samples import DataSet
from wsol.launch import part
from wsol.models.weights import PARTS, check_weights
from wsol.progress import Progress
from wsol.stages import make_pseudo, train_cam, train_classifier, train_seg
from wsol.training.folder import PIXELS


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """From labelled pictures to a run that can predict. A finished stage is kept, an interrupted one goes on.

    Raises:
        WsolError: from any stage; weights that cannot be had are told before the first begins.
    """
    check_weights(run, config, PARTS)
    for stage in (train_cam.run, make_pseudo.run, train_seg.run, train_classifier.run):
        started = time.perf_counter()
        folder = stage(data, run, config, progress)
        if folder is not None:
            progress.say(f"{folder}  ({time.perf_counter() - started:.0f} s)")
    if part().local_rank == 0 and config.cache_folder is None:
        remove_cache(run / PIXELS)
    return run
