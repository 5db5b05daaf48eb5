"""Which images each step uses. The schedule depends on the seed alone, so a resumed training has the same one."""

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
    """Full batches of shuffled images; the remainder of an epoch is dropped."""

    usable: Sequence[int]
    """Indices of the images."""
    batch_size: int
    """Images per step, over all processes."""
    steps: int
    seed: int
    classes: Sequence[int] | None = None
    """The class of each image by index, for batches of pairs: two images of a class, one in each half of the batch,
    as far as there are two."""

    @classmethod
    def of(cls, usable: Sequence[int], training: Training, seed: int, classes: Sequence[int] | None = None) -> Schedule:
        """Schedule at least one image; a batch is at most all of them."""
        batch_size = min(training.batch_size, len(usable))
        steps = training.steps or max(training.epochs * (len(usable) // batch_size), training.least_steps)
        return cls(usable, batch_size, steps, seed, classes)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of a full epoch; the last epoch may be shorter."""
        return len(self.usable) // self.batch_size

    @property
    def epochs(self) -> int:
        """Number of epochs; the last one may be incomplete."""
        return -(-self.steps // self.steps_per_epoch)

    def epoch_of(self, step: int) -> range:
        """All steps of the epoch that contains `step`."""
        first = step // self.steps_per_epoch * self.steps_per_epoch
        return range(first, min(first + self.steps_per_epoch, self.steps))

    def batches(self, steps: range) -> list[list[int]]:
        """The image indices of some steps of one epoch, for all processes together."""
        if not steps:
            return []
        epoch = self.epoch_of(steps.start)
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch.start // self.steps_per_epoch, 0))
        shuffled = np.asarray(self.usable)[torch.randperm(len(self.usable), generator=generator).numpy()]
        if self.classes is not None:
            shuffled = np.array(in_pairs(shuffled.tolist(), self.classes))
        rows = shuffled[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)
        if self.classes is not None:
            # One image of a pair in each half: then every second or fourth image of a batch has both of a pair.
            rows = np.concatenate([rows[:, 0::2], rows[:, 1::2]], axis=1)
        return [row.tolist() for row in rows[steps.start - epoch.start : steps.stop - epoch.start]]


def in_pairs(numbers: Sequence[int], classes: Sequence[int]) -> list[int]:
    """Reorder image indices so that two of a class follow each other; the rest, at most one per class, comes last."""
    waiting, paired = dict[int, int](), list[int]()
    for number in numbers:
        first = waiting.pop(classes[number], None)
        if first is None:
            waiting[classes[number]] = number
        else:
            paired += [first, number]
    return [*paired, *waiting.values()]


def micro_batches(batch_size: int, processes: int, most: int) -> list[list[slice]]:
    """Split a batch between processes, and each process's images into micro-batches of at most `most`.

    Every process has the same number of micro-batches, and none is empty. If processes have unequal numbers of images,
    a micro-batch may be one image larger than `most`.

    Returns:
        For each process the slices of the batch, one per micro-batch.
    """
    largest = math.ceil(batch_size / processes)
    count = min(math.ceil(largest / most), batch_size // processes)
    return [
        [slice(rank + processes * number, None, processes * count) for number in range(count)]
        for rank in range(processes)
    ]
