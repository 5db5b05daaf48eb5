"""The files that a training leaves for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsol.config import Track
from wsol.training.log import LINES, ROWS, TrainingLog
from wsol.training.state import Tally, Trained


def logged(folder: Path, first: int, steps: int, *, trained: Trained | None = None, track: Track = "none") -> Trained:
    """Steps of loss 1, 2, ... in epochs of 25, one look each."""
    report = trained or Trained()
    with TrainingLog(folder, "train-cam", track, report) as log:
        for step in range(first, first + steps):
            report.add([float(step)], images=4, seconds=0.5, waiting_seconds=0.1)
            tally = Tally(1, float(step), 4, 0.5, 0.1)
            is_epoch_over = step % 25 == 0
            if is_epoch_over:
                report.end_epoch()
            log.add(report, tally, is_epoch_over=is_epoch_over)
    return report


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / LINES).read_text().splitlines()]


def test_a_line_per_ten_steps_and_at_the_end_of_an_epoch_a_row_per_epoch(tmp_path: Path) -> None:
    logged(tmp_path, 1, 52)
    found = lines(tmp_path)
    assert [(one["epoch"], one["step"]) for one in found] == [(1, 10), (1, 20), (1, 25), (2, 35), (2, 45), (2, 50)]
    assert [one["loss"] for one in found] == [5.5, 15.5, 23.0, 30.5, 40.5, 48.0]
    assert found[0]["images_per_second"] == 8 and found[0]["waiting_share"] == 0.2
    assert (tmp_path / ROWS).read_text().splitlines() == [
        "epoch,steps,seconds,loss,images_per_second,waiting_share",
        "1,25,12.5,13.0,8.0,0.2",
        "2,25,12.5,38.0,8.0,0.2",
    ]


def test_a_training_that_goes_on_takes_back_the_lines_after_its_step(tmp_path: Path) -> None:
    report = logged(tmp_path, 1, 20)
    with (tmp_path / LINES).open("a") as file:  # killed after the next line, before the next checkpoint
        file.write(json.dumps({"step": 30}) + "\n" + '{"step": 3')
    logged(tmp_path, 21, 10, trained=report)
    assert [one["step"] for one in lines(tmp_path)] == [10, 20, 25]


def test_tensorboard_has_the_same_figures(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    scratch = tmp_path / ".cam.partial"
    scratch.mkdir()
    logged(scratch, 1, 20, track="tensorboard")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "train-cam"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 5.5), (20, 15.5)]
