"""Which of several processes this one is: `torchrun` and `accelerate launch` say so in the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Part:
    """One of `count` processes that do a job together."""

    rank: int
    count: int
    local_rank: int = 0
    """Among those on the same machine, ..."""
    local_count: int = 1
    """... which are so many."""

    @property
    def is_first(self) -> bool:
        """Whether this one writes and prints for all."""
        return self.rank == 0

    def of(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """The share of this process: every `count`-th, so that no share is much slower than another."""
        return things[self.rank :: self.count]


def part() -> Part:
    """The process that asks; one by itself unless a launcher says otherwise."""
    names = ("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1")
    return Part(*(int(os.environ.get(name, default)) for name, default in names))
