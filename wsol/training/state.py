"""The state of a training, and the checkpoint file that restores it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from wsol.errors import WsolError
from wsol.storage.folders import differences
from wsol.storage.tensors import write_tensors


@dataclass
class Tally:
    """Totals of some steps: losses, images and time."""

    steps: int = 0
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0
    """The part of `seconds` spent waiting for images."""

    def add(self, losses: Sequence[float], images: int, seconds: float, waiting_seconds: float) -> None:
        """Add some steps."""
        self.steps += len(losses)
        for loss in losses:  # one by one, so that a resumed training adds in the same order
            self.loss_sum += loss
        self.images += images
        self.seconds += seconds
        self.waiting_seconds += waiting_seconds

    def include(self, other: Tally) -> None:
        """Add the steps of another tally."""
        self.steps += other.steps
        self.loss_sum += other.loss_sum
        self.images += other.images
        self.seconds += other.seconds
        self.waiting_seconds += other.waiting_seconds

    def figures(self) -> dict[str, float]:
        """Mean loss, images per second, and the fraction of the time spent waiting for data."""
        seconds = max(self.seconds, 1e-9)
        return {
            "loss": self.loss_sum / max(self.steps, 1),
            "images_per_second": round(self.images / seconds, 2),
            "waiting_share": round(self.waiting_seconds / seconds, 4),
        }


@dataclass
class Trained:
    """Progress of a training: finished epochs, and the current one."""

    step: int = 0
    is_bf16: bool | None = None
    """None until the precision is chosen."""
    epochs: list[Tally] = field(default_factory=list)
    current: Tally = field(default_factory=Tally)
    broken: dict[str, str] = field(default_factory=dict)
    """Indices of the images that could not be decoded so far, with the reason."""

    def add(self, losses: Sequence[float], images: int, seconds: float, waiting_seconds: float) -> None:
        """Add some steps."""
        self.step += len(losses)
        self.current.add(losses, images, seconds, waiting_seconds)

    def end_epoch(self) -> None:
        """Move the current epoch to the finished ones."""
        self.epochs.append(self.current)
        self.current = Tally()

    def figures(self) -> dict[str, Any]:
        """Losses, counts and times for the manifest."""
        return {
            "losses": [epoch.figures()["loss"] for epoch in self.epochs],
            "steps": self.step,
            "images": sum(epoch.images for epoch in self.epochs),
            "seconds": sum(epoch.seconds for epoch in self.epochs),
            "waiting_seconds": sum(epoch.waiting_seconds for epoch in self.epochs),
        }


OPTIMIZER = "optimizer."
"""Prefix of the optimizer's tensors."""
_DAMAGE = (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""Errors from reading a file that is incomplete, or not a checkpoint."""


def _read(report: dict[str, Any]) -> Trained:
    epochs, current = [Tally(**epoch) for epoch in report.pop("epochs")], Tally(**report.pop("current"))
    return Trained(**report, epochs=epochs, current=current)


def _fit(tensors: Mapping[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Whether the tensors are all of the network's, and the optimizer's for its parameters."""
    needed = {f"network.{name}": value.shape for name, value in network.state_dict().items()}
    shapes = {name: value.shape for name, value in tensors.items() if not name.startswith(OPTIMIZER)}
    states = _states(tensors)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return shapes == needed and all(
        0 <= i < len(parameters) and value.shape in (parameters[i].shape, ())
        for i, state in states.items()
        for value in state.values()
    )


def _states(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimizer's tensors by parameter number and name, such as momentum_buffer."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            number, key = name.removeprefix(OPTIMIZER).split(".")
            states.setdefault(int(number), {})[key] = value
    return states


class Checkpoint:
    """A file with weights, the optimizer's state and progress, replaced atomically.

    Args:
        path: of the file.
        identity: settings and input hashes; a checkpoint with others is refused.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.identity = identity

    def save(self, network: nn.Module, optimizer: torch.optim.Optimizer, trained: Trained) -> None:
        """Write the state after a step."""
        tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors |= {
            f"{OPTIMIZER}{i}.{key}": value
            for i, state in optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }
        write_tensors(
            self.path,
            tensors,
            {"identity": json.dumps(self.identity, default=str), "trained": json.dumps(asdict(trained))},
        )

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Trained:
        """Load the last saved step into network and optimizer.

        Returns:
            The progress; at step 0 if there is no checkpoint or it is damaged.

        Raises:
            WsolError: the checkpoint has other settings or inputs.
        """
        if not self.path.exists():
            return Trained()
        try:
            with safe_open(self.path, "pt") as file:
                notes = file.metadata()
                self._check(json.loads(notes["identity"]))
                trained = _read(json.loads(notes["trained"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
            is_fitting = _fit(tensors, network, optimizer)
        except _DAMAGE:
            return Trained()
        if not is_fitting:
            return Trained()
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        )
        optimizer.load_state_dict(optimizer.state_dict() | {"state": _states(tensors)})
        return trained

    def check(self) -> None:
        """Check that a training with these settings and inputs can start or continue.

        Raises:
            WsolError: the checkpoint has other settings or inputs.
        """
        if self.path.exists():
            with suppress(*_DAMAGE), safe_open(self.path, "pt") as file:
                self._check(json.loads(file.metadata()["identity"]))

    def _check(self, stored: dict[str, Any]) -> None:
        changed = differences(stored, self.identity)
        if changed:
            raise WsolError(
                "\n".join([f"{self.path.parent} contains an unfinished training with other settings:", *changed]),
                remedy=f"Use those settings to continue it, choose another run, or remove {self.path.parent} to start"
                " again.",
            )
