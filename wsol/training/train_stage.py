"""Run one training stage: from its settings to its finished folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from wsol.config.base import Training
from wsol.config.options import RunConfig
from wsol.data.loader import ImageLoader, broken_summary, write_skipped
from wsol.data.pixel_cache import Limits, Storage, cores, open_cache, slowest
from wsol.data.samples import DataSet
from wsol.models.backbone import State, check_sizes, pretrained_state
from wsol.models.checkpoint import ModelConfig, save
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine, gathered, seed_of
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import CHECKPOINT, is_finished, write_manifest
from wsol.storage.links import refuse_link
from wsol.storage.shared_folder import new_shared_folder
from wsol.training.loop import Job, Objective, train
from wsol.training.state import Checkpoint

PIXELS = ".pixels"
"""Folder of the disk cache in the run, unless `cache_folder` is given. It keeps the decoded images of all stages."""


@dataclass(frozen=True)
class Stage:
    """A stage that starts from pretrained weights and writes a network to a folder."""

    name: str
    folder: Path
    backbone: str
    """Its timm name."""
    settings: dict[str, Any]
    inputs: dict[str, str]
    """Hashes of the inputs. Together with the settings they determine the result."""
    learns_from: str
    """Description of the training data, for messages."""
    read_weights: Callable[[], State] | None = None
    """Reads the pretrained weights; by default those of the run's backbone."""


class Started(NamedTuple):
    """Pretrained weights and device of a stage that is not finished yet."""

    weights: dict[str, Any]
    engine: Engine


def start(stage: Stage, config: RunConfig, progress: Progress) -> Started | None:
    """Read the pretrained weights of a stage and choose its device.

    Args:
        stage: the stage.
        config: the configuration with backbone, device and precision.
        progress: receives a message, also if the stage is finished.

    Returns:
        Weights and device; None if the stage is finished.

    Raises:
        WsolError: no weights, or a folder of other settings.
    """
    if is_finished(stage.folder, stage.name, stage.settings, stage.inputs):
        progress.say(f"{stage.name}: finished already, {stage.folder}")
        return None
    weights = pretrained_state(config.backbone, config.weights) if stage.read_weights is None else stage.read_weights()
    engine = choose_engine(config.device, config.precision)
    progress.say(f"{stage.name}: {stage.learns_from}; {stage.backbone} on {engine.reason}")
    return Started(dict(weights), engine)


class Trainable(NamedTuple):
    """An untrained network and its training objective."""

    network: nn.Module
    model_config: ModelConfig
    """Configuration that builds the network again."""
    new_layers: Sequence[nn.Module]
    """Layers without pretrained weights; they have a learning rate of their own."""
    objective: Objective


def layers_beside_backbone(network: nn.Module) -> list[nn.Module]:
    """Return the child modules of a network except the one named `backbone`: the layers without pretrained weights."""
    return [module for name, module in network.named_children() if name != "backbone"]


def train_stage(
    stage: Stage,
    number: int,
    training: Training,
    build: Callable[[dict[str, Any]], Trainable],
    data: DataSet,
    config: RunConfig,
    progress: Progress,
    *,
    usable: Sequence[int] | None = None,
    classes: Sequence[int] | None = None,
) -> Path:
    """Train a network and write the stage's folder. A finished folder is kept.

    Args:
        stage: the stage.
        number: seed number of the stage; each stage has its own.
        training: the stage's training options.
        build: builds the network from pretrained weights.
        data: the training images.
        config: the configuration of the run.
        progress: receives messages and progress.
        usable: indices of the training images to use; all by default.
        classes: class of each training image, if batches should consist of pairs of a class.

    Returns:
        The stage's folder.

    Raises:
        WsolError: no weights, a backbone that does not fit, or a folder of other settings; as `train`.
    """
    started = start(stage, config, progress)
    if started is None:
        return stage.folder
    seed = seed_of(config.seed, number)
    torch.manual_seed(seed)
    network, model_config, new_layers, objective = build(started.weights)
    check_sizes(stage.backbone, network, (training.crop_px, model_config.resize_px))
    usable = range(len(data.train)) if usable is None else usable
    job = Job(
        stage.name,
        network,
        model_config,
        new_layers,
        objective,
        usable,
        training,
        seed,
        stage.settings,
        stage.inputs,
        classes,
    )
    return _train_into(stage.folder, job, data, config, started.engine, progress)


def _train_into(folder: Path, job: Job, data: DataSet, config: RunConfig, engine: Engine, progress: Progress) -> Path:
    """Train, and write network, configuration, log, skipped images and manifest. An interrupted training continues."""
    is_first = part().is_first
    with new_shared_folder(folder, engine) as scratch:
        Checkpoint(scratch / CHECKPOINT, job.identity).check()
        if is_first:  # after the checks: refused settings must not be saved
            save_config(folder.parent, config)
        images = _images(job, data, folder.parent, config, engine, progress)
        trained = train(job, images, config, engine, scratch, progress)
        for broken in gathered([images.broken], engine):
            images.broken |= broken
        if is_first:
            save(scratch, job.network, job.model_config)
            write_skipped(scratch, [sample.image_id for sample in data.train], images)
            figures = trained.figures() | {
                "engine": engine.with_bf16(bool(trained.is_bf16)).reason,
                "processes": part().count,
                "broken_images": len(images.broken),
            }
            write_manifest(scratch, job.stage, job.settings, job.inputs, figures)
    if is_first:  # after the folder is complete: a kill before this does not lose the training
        (folder / CHECKPOINT).unlink(missing_ok=True)
        progress.say(f"{job.stage}: trained, {broken_summary(folder)}")
    return folder


def _images(job: Job, data: DataSet, run: Path, config: RunConfig, engine: Engine, progress: Progress) -> ImageLoader:
    paths, size_px = [sample.path for sample in data.train], job.training.resize_px
    limits = Limits(config.cache_gb, config.disk_cache_gb, config.cache_folder or run / PIXELS)
    threads = cores() if config.workers is None else config.workers
    if config.cache_folder is None:  # in the run, where a link may point elsewhere
        refuse_link(limits.folder)

    def agree(storage: Storage) -> Storage:
        return slowest(gathered([storage], engine))

    with progress.task(f"{job.stage}: reading images", len(paths)) as advance:
        kept = open_cache(
            paths, size_px, limits, part(), decoding=data.image, threads=threads, agree=agree, advance=advance
        )
    return ImageLoader(paths, size_px, data.image, kept=kept, workers=config.workers)
