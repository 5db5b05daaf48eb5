"""How the time of a long job is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence


class Stopwatch:
    """Seconds of a process by activity, and the number of items it did."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the seconds since the last lap to the activity `name`."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def figures_of(watches: Sequence[Stopwatch], seconds: float) -> dict[str, float]:
    """The speed of a job, for its manifest.

    Args:
        watches: one of each process.
        seconds: the duration of the job.

    Returns:
        Images per second of all processes, and the mean seconds of a process by activity.
    """
    names = dict.fromkeys(name for watch in watches for name in watch.seconds)
    spent = {f"seconds_{name}": sum(watch.seconds.get(name, 0.0) for watch in watches) / len(watches) for name in names}
    return {
        "images_per_second": sum(watch.items for watch in watches) / seconds,
        **spent,
        "seconds": seconds,
        "processes": len(watches),
    }
