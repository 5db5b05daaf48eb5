"""The training loop of all stages, which differ only in network, data and loss."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsol.config.base import BatchNorm, Training
from wsol.config.methods import MethodTraining
from wsol.config.options import RunConfig
from wsol.data.crops import View, random_view, standardised
from wsol.data.loader import Batch, ImageLoader
from wsol.errors import WsolError
from wsol.models.checkpoint import ModelConfig
from wsol.models.folding import fold
from wsol.models.freezing import freeze
from wsol.runtime.engine import Engine, gathered, seed_of, wait_for_all
from wsol.runtime.interrupts import Interrupts
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import averaging, gradients_kept_apart, has_bf16, measured, summed
from wsol.storage.folders import CHECKPOINT
from wsol.text import number_of
from wsol.training.log import TrainingLog
from wsol.training.micro_batch import largest_that_fits
from wsol.training.schedule import Schedule, micro_batches
from wsol.training.state import Checkpoint, Tally, Trained

Images = Float[Tensor, "batch 3 size size"]
Objective = Callable[[nn.Module, Images, Int64[Tensor, " batch"], View], Tensor]
"""Computes the mean loss of a batch from network, normalised crops, image indices, and the positions of the crops."""

STEPS_BETWEEN_REPORTS = 10
"""On a GPU or with several processes, losses and signals are read only this often, because reading them waits for the
GPU and the other processes."""

MEASURED_IMAGES = 4
"""Number of images with which the faster precision is measured on a CPU."""


@dataclass(frozen=True)
class Job:
    """A network, its training images and its objective."""

    stage: str
    network: nn.Module
    model_config: ModelConfig
    """Configuration that builds the network again."""
    new_layers: Sequence[nn.Module]
    objective: Objective
    usable: Sequence[int]
    """Indices of the images to use."""
    training: Training
    seed: int
    settings: dict[str, Any]
    inputs: dict[str, str]
    """Hashes of the inputs. Together with the settings they determine the result."""
    classes: Sequence[int] | None = None
    """Class of each image, if batches should consist of pairs of a class."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must match to be continued."""
        return {"settings": self.settings, "inputs": self.inputs}


def train(
    job: Job, loader: ImageLoader, config: RunConfig, engine: Engine, scratch: Path, progress: Progress
) -> Trained:
    """Train `job.network` in place. After a kill, the same call continues from the checkpoint to the same weights.

    Each step seeds its random numbers from (seed, step), so it does not depend on interruptions. With several
    processes, each computes a part of every batch, and gradients are means over the whole batch.

    Args:
        job: network, images and objective.
        loader: reads the images.
        config: the configuration of the run.
        engine: device and precision.
        scratch: folder for the checkpoint and the logs.
        progress: receives messages and progress.

    Returns:
        Losses, counts and times.

    Raises:
        WsolError: too few usable images, fewer images in a batch than processes, or the loss is not finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM was received; the steps so far are saved.
    """
    schedule = _schedule(job, loader)
    if job.training.steps is None and schedule.epochs > job.training.epochs:
        progress.say(
            f"{job.stage}: {schedule.epochs} epochs instead of {job.training.epochs}, because an epoch of these images"
            f" has {number_of(schedule.steps_per_epoch, 'step')} and the minimum is {job.training.least_steps}"
            " (`least-steps`; if you set the epochs, they are used exactly)"
        )
    network = engine.place(_synchronised(job.network, job.training.batch_norm, engine))
    backbone = getattr(network, "backbone", network)
    frozen = job.training.frozen_fraction if job.training.freeze is None else job.training.freeze
    early = freeze(backbone, frozen, job.training.crop_px)
    fold(backbone, early, job.training.crop_px)
    optimizer = _optimizer(network, job.new_layers, job.training)
    checkpoint = Checkpoint(scratch / CHECKPOINT, job.identity)
    trained = checkpoint.restore(network, optimizer)
    loader.broken |= {int(i): reason for i, reason in trained.broken.items()}
    steps = _Steps(job, loader, schedule, network, early, optimizer, engine)
    steps.prepare(config, trained, progress)
    if trained.step:
        progress.say(
            f"{job.stage}: continues after step {trained.step} of {schedule.steps}, in epoch {len(trained.epochs) + 1}"
            f" of {schedule.epochs}"
        )
    writes = part().is_first
    with (
        progress.task(job.stage, schedule.steps, done=trained.step) as advance,
        Interrupts(lambda: progress.say(f"{job.stage}: {steps.stopping}, Ctrl-C again to stop at once")) as interrupts,
        TrainingLog(scratch, job.stage, config.track, trained) if writes else nullcontext() as log,
    ):
        saved = time.monotonic()
        for tally in steps.run(trained, advance):
            is_epoch_over = trained.current.steps == 0
            has_to_stop = bool(summed(torch.tensor(float(interrupts.came), device=engine.device), engine))
            if log is not None:
                log.add(trained, tally, is_epoch_over=is_epoch_over)
            is_due = has_to_stop or is_epoch_over or time.monotonic() - saved >= config.checkpoint_seconds
            if is_due and writes:
                trained.broken = {str(i): reason for i, reason in loader.broken.items()}
                checkpoint.save(network, optimizer, trained)
                saved = time.monotonic()
            if is_epoch_over:
                progress.say(_epoch_line(job.stage, schedule, trained))
            if has_to_stop:
                wait_for_all(engine)  # the first process may still be saving
                raise KeyboardInterrupt(
                    f"{job.stage}: stopped after step {trained.step} of {schedule.steps}, which is saved; the same"
                    " command continues"
                )
    network.eval()
    return trained


def _schedule(job: Job, loader: ImageLoader) -> Schedule:
    whole = len(set(job.usable) - loader.broken.keys())
    if whole < 2:
        raise WsolError(
            f"{job.stage}: {number_of(whole, 'usable image')} of {len(loader.paths)}",
            expected="at least two",
            remedy="Run `wsol check DATA` to see what is wrong with the others.",
        )
    schedule = Schedule.of(job.usable, job.training, job.seed, job.classes)
    if schedule.batch_size < part().count:
        raise WsolError(
            f"{job.stage}: {number_of(schedule.batch_size, 'image')} per step for {part().count} processes",
            expected="at least one per process",
            remedy="Start fewer processes, or increase the batch size.",
        )
    return schedule


def _epoch_line(stage: str, schedule: Schedule, trained: Trained) -> str:
    figures = trained.epochs[-1].figures()
    waiting = (
        f", {figures['waiting_share']:.0%} of the time waiting for data" if figures["waiting_share"] > 0.05 else ""
    )
    return (
        f"{stage}: epoch {len(trained.epochs)}/{schedule.epochs}, loss {figures['loss']:.4f},"
        f" {figures['images_per_second']:.0f} images/s{waiting}"
    )


class _Steps:
    """The steps of a training, with the network and optimizer that they update."""

    def __init__(
        self,
        job: Job,
        loader: ImageLoader,
        schedule: Schedule,
        network: nn.Module,
        early: Sequence[nn.Module],
        optimizer: torch.optim.Optimizer,
        engine: Engine,
    ) -> None:
        self.job = job
        self.loader = loader
        self.schedule = schedule
        self.network = network
        self.fixed = [*early]
        """Modules in eval mode: their batch norm statistics stay fixed."""
        if job.training.batch_norm == "frozen":
            self.fixed += frozen_layers(network, job.new_layers)
        self.optimizer = optimizer
        self.engine = engine

    def prepare(self, config: RunConfig, trained: Trained, progress: Progress) -> None:
        """Choose what depends on the machine: the precision, once for a whole training, and the micro-batch size."""
        most = config.micro_batch or self._images_per_process
        # With statistics over all processes, the others would wait for one that has run out of memory.
        is_alone = self.job.training.batch_norm != "sync" or part().count == 1
        if config.micro_batch is None and self.engine.device.type == "cuda" and is_alone:
            most = min(gathered([largest_that_fits(lambda count: self._try(self.engine, count), most)], self.engine))
        if trained.is_bf16 is not None:
            self.engine = self.engine.with_bf16(trained.is_bf16)
        elif config.precision == "auto" and has_bf16(self.engine.device):
            # A GPU is inefficient on few images. A CPU is not, and a whole batch would take too long to measure.
            own = self._images_per_process
            count = min(most, own, own if self.engine.device.type == "cuda" else MEASURED_IMAGES)
            self.engine = measured(
                self.engine,
                lambda engine: self._try(engine, count),
                tell=lambda: progress.say(f"{self.job.stage}: measuring fp32 and bf16"),
            )
            progress.say(f"{self.job.stage}: {self.engine.reason}")
        trained.is_bf16 = self.engine.is_bf16
        self.micro_batches = micro_batches(self.schedule.batch_size, part().count, most)[part().rank]
        wrapped = averaging(self.network, self.engine)
        self.runner: Any = torch.compile(wrapped) if config.compile else wrapped

    @property
    def _images_per_process(self) -> int:
        """Maximum number of images of a step in one process."""
        return math.ceil(self.schedule.batch_size / part().count)

    @property
    def _steps_per_report(self) -> int:
        """Number of steps between two reports."""
        return 1 if self.engine.device.type == "cpu" and part().count == 1 else STEPS_BETWEEN_REPORTS

    @property
    def stopping(self) -> str:
        """When a signal takes effect."""
        count = self._steps_per_report
        return "stopping after this step" if count == 1 else f"stopping within {count} steps"

    def _try(self, engine: Engine, count: int) -> None:
        """Forward and backward pass of a step on a copy of the network, with black images."""
        size_px = self.job.training.resize_px
        indices = np.array(self.schedule.batches(range(1))[0][:count], np.int64)
        pixels = np.zeros((count, 3, size_px, size_px), np.uint8)
        black = Batch(indices, pixels, np.zeros((count, 2), np.int64))
        network = copy.deepcopy(self.network).train()
        self._loss(network, black, self._view(0).of(slice(count)), engine).backward()  # type: ignore[no-untyped-call]

    def run(self, trained: Trained, advance: Callable[[], None]) -> Iterator[Tally]:
        """Train to the end; yield now and then the totals of the last steps, which `trained` already includes."""
        while trained.step < self.schedule.steps:
            epoch = self.schedule.epoch_of(trained.step)
            losses: list[Tensor] = []
            waited, started = 0.0, time.perf_counter()
            for loss, waiting_seconds in self._epoch(range(trained.step, epoch.stop)):
                losses.append(loss)
                waited += waiting_seconds
                advance()
                is_epoch_over = trained.step + len(losses) == epoch.stop
                if len(losses) == self._steps_per_report or is_epoch_over:
                    tally = Tally()
                    values = summed(torch.stack(losses), self.engine).tolist()
                    seconds = time.perf_counter() - started
                    for counter in (trained, tally):
                        counter.add(values, len(values) * self.schedule.batch_size, seconds, waited)
                    self._check(values, trained.step)
                    if is_epoch_over:
                        trained.end_epoch()
                    yield tally
                    losses, waited, started = [], 0.0, time.perf_counter()

    def _check(self, losses: list[float], step: int) -> None:
        if not all(map(math.isfinite, losses)):
            rates = self.job.training
            raise WsolError(
                f"{self.job.stage}: the loss at step {step} is {losses[-1]}",
                expected="a finite number",
                remedy=f"Lower the learning rates (lr_backbone {rates.lr_backbone}, lr_new {rates.lr_new}).",
            )

    def _epoch(self, steps: range) -> Iterator[tuple[Tensor, float]]:
        """Run steps of one epoch; yield this process's part of each loss, and the seconds of waiting for data."""
        self.network.train()
        for module in self.fixed:
            module.eval()
        orders = [batch[images] for batch in self.schedule.batches(steps) for images in self.micro_batches]
        batches = self.loader.batches(orders, self.job.usable)
        for step in steps:
            torch.manual_seed(seed_of(self.job.seed, step, 2 + part().rank))  # dropout
            yield self._step(step, batches)

    def _step(self, step: int, batches: Iterator[Batch]) -> tuple[Tensor, float]:
        view, waiting_seconds = self._view(step), 0.0
        total = torch.zeros((), device=self.engine.device)
        self._set_rates(step)
        self.optimizer.zero_grad(set_to_none=True)
        for images in self.micro_batches:
            started = time.perf_counter()
            batch = next(batches)
            waiting_seconds += time.perf_counter() - started
            fraction = len(batch.indices) / self.schedule.batch_size
            with gradients_kept_apart(self.runner, apart=images is not self.micro_batches[-1]):
                loss = self._loss(self.runner, batch, view.of(images), self.engine) * fraction
                (loss * part().count).backward()  # type: ignore[no-untyped-call]  # the mean over processes follows
            total += loss.detach()
        self.optimizer.step()
        return total, waiting_seconds

    def _set_rates(self, step: int) -> None:
        # Computed from the step alone, so that a resumed training has the same rates.
        if self.job.training.rates == "linear":
            rates = self.job.training.lr_backbone, self.job.training.lr_new
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * (1 - step / self.schedule.steps)

    def _view(self, step: int) -> View:
        generator = torch.Generator().manual_seed(seed_of(self.job.seed, step, 1))
        sizes_px = self.job.training.resize_px, self.job.training.crop_px
        return random_view(self.schedule.batch_size, *sizes_px, generator, self.engine.device)

    def _loss(self, network: nn.Module, batch: Batch, view: View, engine: Engine) -> Tensor:
        images = standardised(
            view.apply(engine.sent(torch.from_numpy(batch.pixels))),
            self.job.model_config.mean,
            self.job.model_config.std,
        )
        with engine.autocast():
            return self.job.objective(network, images, torch.from_numpy(batch.indices), view)


def frozen_layers(network: nn.Module, new_layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Return the batch norm layers with pretrained statistics, which are those outside the new layers."""
    new = {module for layer in new_layers for module in layer.modules()}
    return [module for module in network.modules() if isinstance(module, _BatchNorm) and module not in new]


def _synchronised(network: nn.Module, batch_norm: BatchNorm, engine: Engine) -> nn.Module:
    if batch_norm != "sync":
        return network
    if engine.device.type != "cuda":
        raise WsolError(
            "batch norm over all processes needs GPUs",
            expected="cuda",
            got=f"{engine.device}",
            remedy="Use `live` or `frozen`.",
        )
    synchronised: nn.Module = convert_sync_batchnorm(network)
    return synchronised


def _optimizer(network: nn.Module, new_layers: Sequence[nn.Module], training: Training) -> torch.optim.Optimizer:
    new = [parameter for layer in new_layers for parameter in layer.parameters()]
    is_new = {id(parameter) for parameter in new}
    pretrained = [one for one in network.parameters() if one.requires_grad and id(one) not in is_new]
    groups = [{"params": pretrained, "lr": training.lr_backbone}, {"params": new, "lr": training.lr_new}]
    if isinstance(training, MethodTraining) and training.optimizer == "adam":
        return torch.optim.Adam(groups, weight_decay=training.weight_decay)
    return torch.optim.SGD(
        groups, momentum=training.momentum, nesterov=training.momentum > 0, weight_decay=training.weight_decay
    )
