"""The rank of this process, from the environment that `torchrun` and `accelerate launch` set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Part:
    """The current process, one of `count` that do a job together."""

    rank: int
    count: int
    local_rank: int = 0
    """Rank among the processes on the same machine."""
    local_count: int = 1
    """Number of processes on the same machine."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.rank == 0

    def of(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """The things of this process: every `count`-th, so that all processes take a similar time."""
        return things[self.rank :: self.count]


def part() -> Part:
    """The current process; the only one if there is no launcher."""
    names = ("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1")
    return Part(*(int(os.environ.get(name, default)) for name, default in names))
