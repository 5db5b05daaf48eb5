"""Which images a step sees: known before the first, whatever happens on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wsol.config.base import Training
from wsol.runtime.engine import seed_of


@dataclass(frozen=True)
class Schedule:
    """Whole batches of shuffled images; the last, smaller one of an epoch is left out."""

    usable: Sequence[int]
    batch_size: int
    steps: int
    seed: int
    classes: Sequence[int] | None = None
    """Of each image by its number, where a batch is to hold two of a class, one in each half, as far as there are
    two."""

    @classmethod
    def of(cls, usable: Sequence[int], training: Training, seed: int, classes: Sequence[int] | None = None) -> Schedule:
        """For at least one image; a batch has at most all of them."""
        batch_size = min(training.batch_size, len(usable))
        steps = training.steps or max(training.epochs * (len(usable) // batch_size), training.least_steps)
        return cls(usable, batch_size, steps, seed, classes)

    @property
    def steps_per_epoch(self) -> int:
        """Of a whole epoch; the last one may end earlier."""
        return len(self.usable) // self.batch_size

    @property
    def epochs(self) -> int:
        """The last one may not be whole."""
        return -(-self.steps // self.steps_per_epoch)

    def epoch_of(self, step: int) -> range:
        """All steps of the epoch of a step."""
        first = step // self.steps_per_epoch * self.steps_per_epoch
        return range(first, min(first + self.steps_per_epoch, self.steps))

    def batches(self, steps: range) -> list[list[int]]:
        """The numbers of the images of some steps of one epoch, for all processes together."""
        if not steps:
            return []
        epoch = self.epoch_of(steps.start)
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch.start // self.steps_per_epoch, 0))
        shuffled = np.asarray(self.usable)[torch.randperm(len(self.usable), generator=generator).numpy()]
        if self.classes is not None:
            shuffled = np.array(in_pairs(shuffled.tolist(), self.classes))
        rows = shuffled[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)
        if self.classes is not None:
            # Halves: whoever takes every second place of a batch, or every fourth, has both of a pair.
            rows = np.concatenate([rows[:, 0::2], rows[:, 1::2]], axis=1)
        return [row.tolist() for row in rows[steps.start - epoch.start : steps.stop - epoch.start]]


def in_pairs(numbers: Sequence[int], classes: Sequence[int]) -> list[int]:
    """The same numbers with two of a class side by side; what is left over, one of a class at most, comes last."""
    waiting, paired = dict[int, int](), list[int]()
    for number in numbers:
        first = waiting.pop(classes[number], None)
        if first is None:
            waiting[classes[number]] = number
        else:
            paired += [first, number]
    return [*paired, *waiting.values()]


def shares(batch_size: int, processes: int, most: int) -> list[list[slice]]:
    """For each process the places of a batch that it takes, in pieces of at most `most`; every process has as many
    pieces.

    No piece is empty: where shares differ by one image, a piece may be one larger than asked.
    """
    largest = math.ceil(batch_size / processes)
    pieces = min(math.ceil(largest / most), batch_size // processes)
    return [
        [slice(rank + processes * piece, None, processes * pieces) for piece in range(pieces)]
        for rank in range(processes)
    ]
