"""The one training loop: stages differ in network, data and loss only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from wsol.config import Training
from wsol.data.pictures import Pictures
from wsol.data.views import View, random_view
from wsol.engine import Engine, seed_of
from wsol.errors import WsolError
from wsol.progress import Progress
from wsol.tensors import write_tensors

Images = Float[Tensor, "batch 3 side side"]
Objective = Callable[[nn.Module, Images, Int64[Tensor, " batch"], View], Tensor]
"""The loss of a batch: network, normalised crops, the numbers of their pictures, how they were cropped."""


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, towards what."""

    name: str
    network: nn.Module
    new_layers: Sequence[nn.Module]
    objective: Objective
    pictures: Pictures
    usable: Sequence[int]
    """Numbers of the pictures that may be used."""
    mean: Sequence[float]
    std: Sequence[float]


@dataclass
class Trained:
    """What a training reports."""

    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    images: int = 0
    seconds: float = 0.0


def train(
    job: Job, settings: Training, engine: Engine, seed: int, scratch: Path, identity: str, progress: Progress
) -> Trained:
    """Train `job.network` in place; a checkpoint in `scratch` lets the same call go on after a kill, to the same weights.

    Randomness is drawn anew for each epoch from (seed, epoch), so an epoch does not depend on how the process got there.

    Raises:
        WsolError: no usable pictures, or the loss is no number.
    """
    network = engine.place(job.network)
    optimiser = _optimiser(network, job.new_layers, settings)
    checkpoint = _Checkpoint(scratch / "checkpoint.safetensors", identity)
    trained = checkpoint.restore(network, optimiser)
    usable = [i for i in job.usable if i not in job.pictures.broken]
    if len(usable) < 2:
        raise WsolError(
            f"{job.name}: {len(usable)} usable pictures of {len(job.pictures.paths)}: expected at least two. See what is wrong with the others in skipped.json."
        )
    batch_size = min(settings.batch_size, len(usable))
    steps_per_epoch = len(usable) // batch_size
    steps = settings.steps or settings.epochs * steps_per_epoch
    epochs = -(-steps // steps_per_epoch)
    with progress.task(job.name, steps, done=len(trained.losses) * steps_per_epoch) as advance:
        for epoch in range(len(trained.losses), epochs):
            started = time.perf_counter()
            shuffled = torch.randperm(len(usable), generator=_generator(seed, epoch, 0)).tolist()
            batches = [
                [usable[i] for i in shuffled[at * batch_size : (at + 1) * batch_size]] for at in range(steps_per_epoch)
            ]
            batches = batches[: steps - epoch * steps_per_epoch]
            losses = list(_epoch(network, job, settings, engine, optimiser, batches, seed, epoch, advance))
            trained.losses.append(sum(losses) / max(len(losses), 1))
            trained.images += sum(map(len, batches))
            trained.seconds += time.perf_counter() - started
            if not torch.isfinite(torch.tensor(trained.losses[-1])):
                raise WsolError(
                    f"{job.name}: the loss of epoch {epoch + 1} is {trained.losses[-1]}: expected a number. Lower the learning rates (lr_backbone {settings.lr_backbone}, lr_new {settings.lr_new})."
                )
            checkpoint.save(network, optimiser, trained)
            progress.say(
                f"{job.name}: epoch {epoch + 1}/{epochs}, loss {trained.losses[-1]:.4f}, {len(batches) * batch_size / (time.perf_counter() - started):.0f} images/s"
            )
    checkpoint.path.unlink(missing_ok=True)
    network.eval()
    return trained


def _epoch(
    network: nn.Module, job: Job, settings: Training, engine: Engine, optimiser: torch.optim.Optimizer, batches: list[list[int]], seed: int, epoch: int, advance: Callable[[], None],
) -> Iterator[float]:  # fmt: skip
    network.train()
    views = _generator(seed, epoch, 1)
    torch.manual_seed(seed_of(seed, epoch, 2))  # dropout
    for batch in job.pictures.batches(batches):
        view = random_view(len(batch.indices), settings.resize_px, settings.crop_px, views, engine.device)
        images = standardised(view.apply(batch.pixels.to(engine.device)), job.mean, job.std)
        with engine.autocast():
            loss = job.objective(network, images, batch.indices, view)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        advance()
        yield loss.item()


def standardised(pixels: UInt8[Tensor, "batch 3 side side"], mean: Sequence[float], std: Sequence[float]) -> Images:
    """Pixels as fractions, shifted and scaled the way the backbone was pretrained."""
    centre, spread = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (mean, std))
    return ((pixels.float() / 255 - centre) / spread).contiguous(memory_format=torch.channels_last)


def _generator(*words: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*words))


def _optimiser(network: nn.Module, new_layers: Sequence[nn.Module], settings: Training) -> torch.optim.Optimizer:
    new = [parameter for layer in new_layers for parameter in layer.parameters()]
    is_new = {id(parameter) for parameter in new}
    pretrained = [parameter for parameter in network.parameters() if id(parameter) not in is_new]
    groups = [{"params": pretrained, "lr": settings.lr_backbone}, {"params": new, "lr": settings.lr_new}]
    return torch.optim.SGD(
        groups, momentum=settings.momentum, nesterov=settings.momentum > 0, weight_decay=settings.weight_decay
    )


class _Checkpoint:
    """The state after an epoch in one file that is replaced as a whole."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self.identity = identity

    def save(self, network: nn.Module, optimiser: torch.optim.Optimizer, trained: Trained) -> None:
        """Keep weights, momentum and the report."""
        tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"momentum.{i}": state["momentum_buffer"] for i, state in self._momenta(optimiser) if state}
        write_tensors(self.path, tensors, {"identity": self.identity, "trained": json.dumps(vars(trained))})

    def restore(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> Trained:
        """Go back to the last finished epoch; a checkpoint of another configuration counts for nothing."""
        if not self.path.exists():
            return Trained()
        try:
            with safe_open(self.path, "pt") as file:
                notes = file.metadata()
                if notes["identity"] != self.identity:
                    return Trained()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
        except SafetensorError:
            return Trained()
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        )
        for i, state in self._momenta(optimiser):
            if f"momentum.{i}" in tensors:
                state["momentum_buffer"] = tensors[f"momentum.{i}"].to(next(network.parameters()).device)
        return Trained(**json.loads(notes["trained"]))

    @staticmethod
    def _momenta(optimiser: torch.optim.Optimizer) -> Iterator[tuple[int, dict[str, Tensor]]]:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        return ((i, optimiser.state[parameter]) for i, parameter in enumerate(parameters))
