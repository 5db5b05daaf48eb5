"""The one training loop: stages differ in network, data and loss only."""

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
from wsol.training.schedule import Schedule, shares
from wsol.training.state import Checkpoint, Tally, Trained

Images = Float[Tensor, "batch 3 side side"]
Objective = Callable[[nn.Module, Images, Int64[Tensor, " batch"], View], Tensor]
"""The loss of a batch, a mean over its images: network, normalised crops, the numbers of their images, how they were
cropped."""

STEPS_BETWEEN_LOOKS = 10
"""A GPU is asked for its losses, and other processes for their signals, this seldom: both make it wait."""

MEASURED_IMAGES = 4
"""So many tell on a CPU in which precision a step is faster."""


@dataclass(frozen=True)
class Job:
    """What is to be trained, on which images, towards what."""

    stage: str
    network: nn.Module
    model_config: ModelConfig
    """What builds the network again."""
    new_layers: Sequence[nn.Module]
    objective: Objective
    usable: Sequence[int]
    """Numbers of the images that may be used."""
    training: Training
    seed: int
    settings: dict[str, Any]
    inputs: dict[str, str]
    """With the settings, all that determines the result."""
    classes: Sequence[int] | None = None
    """Of each image, where batches are to consist of pairs of a class."""

    @property
    def identity(self) -> dict[str, Any]:
        """A training goes on only from a checkpoint of the same."""
        return {"settings": self.settings, "inputs": self.inputs}


def train(
    job: Job, loader: ImageLoader, config: RunConfig, engine: Engine, scratch: Path, progress: Progress
) -> Trained:
    """Train `job.network` in place; a checkpoint in `scratch` lets the same call go on after a kill, to the same
    weights.

    Randomness is drawn anew for each step from (seed, step), so a step does not depend on how the process got there.
    Launched as several processes, each takes its share of every batch, and gradients are means over the whole batch.

    Raises:
        WsolError: too few usable images, fewer images in a batch than processes, or the loss is no number.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; everything done so far is saved.
    """
    schedule = _schedule(job, loader)
    if job.training.steps is None and schedule.epochs > job.training.epochs:
        progress.say(
            f"{job.stage}: {schedule.epochs} epochs in place of {job.training.epochs}, since an epoch of these images"
            f" is {number_of(schedule.steps_per_epoch, 'step')} and at least {job.training.least_steps} are taken"
            " (`least-steps`; naming the epochs takes exactly those)"
        )
    network = engine.place(_synchronised(job.network, job.training.batch_norm, engine))
    backbone = getattr(network, "backbone", network)
    early = freeze(backbone, job.training.freeze, job.training.crop_px)
    fold(backbone, early, job.training.crop_px)
    optimiser = _optimiser(network, job.new_layers, job.training)
    checkpoint = Checkpoint(scratch / CHECKPOINT, job.identity)
    trained = checkpoint.restore(network, optimiser)
    loader.broken |= {int(i): reason for i, reason in trained.broken.items()}
    steps = _Steps(job, loader, schedule, network, early, optimiser, engine)
    steps.settle(config, trained, progress)
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
        for tally in steps.looks(trained, advance):
            is_epoch_over = trained.current.steps == 0
            has_to_stop = bool(summed(torch.tensor(float(interrupts.came), device=engine.device), engine))
            if log is not None:
                log.add(trained, tally, is_epoch_over=is_epoch_over)
            is_due = has_to_stop or is_epoch_over or time.monotonic() - saved >= config.checkpoint_seconds
            if is_due and writes:
                trained.broken = {str(i): reason for i, reason in loader.broken.items()}
                checkpoint.save(network, optimiser, trained)
                saved = time.monotonic()
            if is_epoch_over:
                progress.say(_epoch_line(job.stage, schedule, trained))
            if has_to_stop:
                wait_for_all(engine)  # the first may still be saving
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
            remedy="See what is wrong with the others with `wsol check DATA`.",
        )
    schedule = Schedule.of(job.usable, job.training, job.seed, job.classes)
    if schedule.batch_size < part().count:
        raise WsolError(
            f"{job.stage}: {number_of(schedule.batch_size, 'image')} a step for {part().count} processes",
            expected="one each at least",
            remedy="Start fewer, or raise the batch size.",
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
    """The steps of a training: what they need, and the network and optimiser that they change."""

    def __init__(
        self,
        job: Job,
        loader: ImageLoader,
        schedule: Schedule,
        network: nn.Module,
        early: Sequence[nn.Module],
        optimiser: torch.optim.Optimizer,
        engine: Engine,
    ) -> None:
        self.job = job
        self.loader = loader
        self.schedule = schedule
        self.network = network
        self.still = [*early]
        """Modules whose statistics stay."""
        if job.training.batch_norm == "frozen":
            self.still += frozen_layers(network, job.new_layers)
        self.optimiser = optimiser
        self.engine = engine

    def settle(self, config: RunConfig, trained: Trained, progress: Progress) -> None:
        """Choose what depends on the machine: the precision, once for a whole training, and how many images go in at a
        time.
        """
        most = config.micro_batch or self._most
        # Statistics over all processes make them wait for each other, even where one has run out of memory.
        is_alone = self.job.training.batch_norm != "sync" or part().count == 1
        if config.micro_batch is None and self.engine.device.type == "cuda" and is_alone:
            most = min(gathered([largest_that_fits(lambda count: self._try(self.engine, count), most)], self.engine))
        if trained.is_bf16 is not None:
            self.engine = self.engine.with_bf16(trained.is_bf16)
        elif config.precision == "auto" and has_bf16(self.engine.device):
            # A GPU is slow on few images; a CPU is not, and slow enough on as many as a step has.
            count = min(most, self._most, self._most if self.engine.device.type == "cuda" else MEASURED_IMAGES)
            self.engine = measured(
                self.engine,
                lambda engine: self._try(engine, count),
                tell=lambda: progress.say(f"{self.job.stage}: measuring fp32 and bf16"),
            )
            progress.say(f"{self.job.stage}: {self.engine.reason}")
        trained.is_bf16 = self.engine.is_bf16
        self.places = shares(self.schedule.batch_size, part().count, most)[part().rank]
        wrapped = averaging(self.network, self.engine)
        self.runner: Any = torch.compile(wrapped) if config.compile else wrapped

    @property
    def _most(self) -> int:
        """Images of a step that a process takes, if it takes them at once."""
        return math.ceil(self.schedule.batch_size / part().count)

    @property
    def _every(self) -> int:
        """Steps between two looks."""
        return 1 if self.engine.device.type == "cpu" and part().count == 1 else STEPS_BETWEEN_LOOKS

    @property
    def stopping(self) -> str:
        """When a signal takes effect."""
        return "stopping after this step" if self._every == 1 else f"stopping within {self._every} steps"

    def _try(self, engine: Engine, count: int) -> None:
        """A step's passes on a copy of the network, with black images."""
        size_px = self.job.training.resize_px
        indices = np.array(self.schedule.batches(range(1))[0][:count], np.int64)
        pixels = np.zeros((count, 3, size_px, size_px), np.uint8)
        black = Batch(indices, pixels, np.zeros((count, 2), np.int64))
        network = copy.deepcopy(self.network).train()
        self._loss(network, black, self._view(0).of(slice(count)), engine).backward()  # type: ignore[no-untyped-call]

    def looks(self, trained: Trained, advance: Callable[[], None]) -> Iterator[Tally]:
        """Train to the end; stop now and then with what was done since the last stop, which `trained` holds already."""
        while trained.step < self.schedule.steps:
            epoch = self.schedule.epoch_of(trained.step)
            losses: list[Tensor] = []
            waited, started = 0.0, time.perf_counter()
            for loss, waiting_seconds in self._epoch(range(trained.step, epoch.stop)):
                losses.append(loss)
                waited += waiting_seconds
                advance()
                is_epoch_over = trained.step + len(losses) == epoch.stop
                if len(losses) == self._every or is_epoch_over:
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
                expected="a number",
                remedy=f"Lower the learning rates (lr_backbone {rates.lr_backbone}, lr_new {rates.lr_new}).",
            )

    def _epoch(self, steps: range) -> Iterator[tuple[Tensor, float]]:
        """Steps of one epoch: of each this process's part of the loss, and the seconds without data."""
        self.network.train()
        for module in self.still:
            module.eval()
        orders = [batch[place] for batch in self.schedule.batches(steps) for place in self.places]
        batches = self.loader.batches(orders, self.job.usable)
        for step in steps:
            torch.manual_seed(seed_of(self.job.seed, step, 2 + part().rank))  # dropout
            yield self._step(step, batches)

    def _step(self, step: int, batches: Iterator[Batch]) -> tuple[Tensor, float]:
        view, waiting_seconds = self._view(step), 0.0
        total = torch.zeros((), device=self.engine.device)
        self._set_rates(step)
        self.optimiser.zero_grad(set_to_none=True)
        for place in self.places:
            asked = time.perf_counter()
            batch = next(batches)
            waiting_seconds += time.perf_counter() - asked
            share = len(batch.indices) / self.schedule.batch_size
            with gradients_kept_apart(self.runner, apart=place is not self.places[-1]):
                loss = self._loss(self.runner, batch, view.of(place), self.engine) * share
                (loss * part().count).backward()  # type: ignore[no-untyped-call]  # the mean over processes follows
            total += loss.detach()
        self.optimiser.step()
        return total, waiting_seconds

    def _set_rates(self, step: int) -> None:
        # From the step alone, so that a training that goes on has them too.
        if self.job.training.rates == "linear":
            of_backbone, of_new = self.job.training.lr_backbone, self.job.training.lr_new
            for group, rate in zip(self.optimiser.param_groups, (of_backbone, of_new), strict=True):
                group["lr"] = rate * (1 - step / self.schedule.steps)

    def _view(self, step: int) -> View:
        generator = torch.Generator().manual_seed(seed_of(self.job.seed, step, 1))
        sides = self.job.training.resize_px, self.job.training.crop_px
        return random_view(self.schedule.batch_size, *sides, generator, self.engine.device)

    def _loss(self, network: nn.Module, batch: Batch, view: View, engine: Engine) -> Tensor:
        images = standardised(
            view.apply(engine.sent(torch.from_numpy(batch.pixels))),
            self.job.model_config.mean,
            self.job.model_config.std,
        )
        with engine.autocast():
            return self.job.objective(network, images, torch.from_numpy(batch.indices), view)


def frozen_layers(network: nn.Module, new_layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The batch norms that have statistics from pretraining; those of new layers have none to keep."""
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
            remedy="Take `live` or `frozen`.",
        )
    synchronised: nn.Module = convert_sync_batchnorm(network)
    return synchronised


def _optimiser(network: nn.Module, new_layers: Sequence[nn.Module], training: Training) -> torch.optim.Optimizer:
    new = [parameter for layer in new_layers for parameter in layer.parameters()]
    is_new = {id(parameter) for parameter in new}
    pretrained = [one for one in network.parameters() if one.requires_grad and id(one) not in is_new]
    groups = [{"params": pretrained, "lr": training.lr_backbone}, {"params": new, "lr": training.lr_new}]
    return torch.optim.SGD(
        groups, momentum=training.momentum, nesterov=training.momentum > 0, weight_decay=training.weight_decay
    )
