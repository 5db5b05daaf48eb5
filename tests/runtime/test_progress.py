"""What a log says while a person waits."""

from __future__ import annotations

import pytest

from wsol.runtime import progress as progresses
from wsol.runtime.progress import Progress


def test_without_a_terminal_a_line_a_minute_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progresses.time, "monotonic", lambda: clock[0])
    with Progress().task("train-cam", total=50, done=10) as advance:
        for _ in range(20):
            clock[0] += 9.0
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["train-cam: 17 of 50, 0:04:57 left", "train-cam: 24 of 50, 0:03:54 left"]


def test_quiet_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progresses, "SECONDS_BETWEEN_LINES", 0)
    quiet = Progress(quiet=True)
    with quiet.task("predict", total=2) as advance:
        advance()
    quiet.say("done")
    assert capsys.readouterr() == ("", "")
