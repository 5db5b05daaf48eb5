"""Where the seconds went."""

from __future__ import annotations

import pytest

from wsol.storage.stopwatch import Stopwatch, figures_of


def test_the_speed_is_that_of_all_processes_and_the_seconds_are_those_of_one() -> None:
    first, second = Stopwatch(30), Stopwatch(10)
    first.seconds, second.seconds = {"waiting": 1.0, "network": 5.0}, {"network": 3.0}
    expected = {"images_per_second": 5, "seconds_waiting": 0.5, "seconds_network": 4, "seconds": 8, "processes": 2}
    assert figures_of([first, second], 8.0) == expected


def test_laps_add_up_to_the_time_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.0, 13.0, 16.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    watch = Stopwatch(0)
    for name in ("waiting", "network", "waiting"):
        watch.lap(name)
    assert watch.seconds == {"waiting": 4.0, "network": 2.0}
