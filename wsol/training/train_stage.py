"""From a job to a finished folder: what the three training stages have in common."""

from __future__ import annotations

from pathlib import Path

from wsol.config.options import RunConfig
from wsol.data.loader import Pictures, told_broken, write_skipped
from wsol.data.pixel_cache import Limits, Place, cores, open_cache, poorest
from wsol.data.samples import DataSet
from wsol.models.checkpoint import save
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine, gathered
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import CHECKPOINT, write_manifest
from wsol.storage.links import refuse_link
from wsol.storage.shared_folder import new_shared_folder
from wsol.training.loop import Job, train
from wsol.training.state import Checkpoint

PIXELS = ".pixels"
"""Below the run, unless another place is named: pictures decoded once for all stages and epochs."""


def train_into(folder: Path, job: Job, data: DataSet, config: RunConfig, engine: Engine, progress: Progress) -> Path:
    """Train, and write network, card, log, skipped pictures and manifest. An interrupted training goes on.

    Raises:
        WsolError: as `train`; the folder is not shared by all processes.
    """
    is_first = part().is_first
    with new_shared_folder(folder, engine) as scratch:
        Checkpoint(scratch / CHECKPOINT, job.identity).check()
        if is_first:  # only now: what is refused must not become the run's own
            save_config(folder.parent, config)
        pictures = _pictures(job, data, folder.parent, config, engine, progress)
        trained = train(job, pictures, config, engine, scratch, progress)
        for broken in gathered([pictures.broken], engine):
            pictures.broken |= broken
        if is_first:
            save(scratch, job.network, job.card)
            write_skipped(scratch, [sample.image_id for sample in data.train], pictures)
            figures = trained.figures() | {
                "engine": engine.with_bf16(bool(trained.is_bf16)).reason,
                "processes": part().count,
                "broken_pictures": len(pictures.broken),
            }
            write_manifest(scratch, job.stage, job.settings, job.inputs, figures)
    if is_first:  # only now: a kill just before would have cost the whole training
        (folder / CHECKPOINT).unlink(missing_ok=True)
        progress.say(f"{job.stage}: trained, {told_broken(folder)}")
    return folder


def _pictures(job: Job, data: DataSet, run: Path, config: RunConfig, engine: Engine, progress: Progress) -> Pictures:
    paths, side_px = [sample.path for sample in data.train], job.training.resize_px
    limits = Limits(config.cache_gb, config.disk_cache_gb, config.cache_folder or run / PIXELS)
    threads = cores() if config.workers is None else config.workers
    if config.cache_folder is None:  # which lies in the run, and may be somebody else's link
        refuse_link(limits.folder)

    def agree(place: Place) -> Place:
        return poorest(gathered([place], engine))

    with progress.task(f"{job.stage}: reading pictures", len(paths)) as advance:
        kept = open_cache(paths, side_px, limits, part(), threads=threads, agree=agree, advance=advance)
    return Pictures(paths, side_px, kept=kept, workers=config.workers)
