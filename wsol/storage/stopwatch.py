"""Where the seconds of a long job went."""

from __future__ import annotations

import time
from collections.abc import Sequence


class Stopwatch:
    """Where the seconds of a process went, and how many items were done in them."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What has passed since the last lap went into this."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def figures_of(watches: Sequence[Stopwatch], seconds: float) -> dict[str, float]:
    """What a manifest says about the speed of the last run alone: items a second of all processes, seconds of one by
    what they went into.
    """
    names = dict.fromkeys(name for watch in watches for name in watch.seconds)
    spent = {f"seconds_{name}": sum(watch.seconds.get(name, 0.0) for watch in watches) / len(watches) for name in names}
    return {
        "images_per_second": sum(watch.items for watch in watches) / seconds,
        **spent,
        "seconds": seconds,
        "processes": len(watches),
    }
