"""The log files of a training."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest

from wsol.config.base import Track
from wsol.errors import WsolError
from wsol.training.log import LINES, ROWS, TrainingLog
from wsol.training.state import Tally, Trained


def logged(folder: Path, first: int, steps: int, *, trained: Trained | None = None, track: Track = "none") -> Trained:
    """Steps of loss 1, 2, ... in epochs of 25, one report each."""
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


def test_a_resumed_training_removes_the_lines_after_its_checkpoint(tmp_path: Path) -> None:
    report = logged(tmp_path, 1, 20)
    with (tmp_path / LINES).open("a") as file:  # killed after the next line, before the next checkpoint
        file.write(json.dumps({"step": 30}) + "\n" + '{"step": 3')
    logged(tmp_path, 21, 10, trained=report)
    assert [one["step"] for one in lines(tmp_path)] == [10, 20, 25]


def test_reports_of_several_steps_are_counted(tmp_path: Path) -> None:
    report = Trained()
    with TrainingLog(tmp_path, "train-cam", "none", report) as log:
        for _ in range(2):
            report.add([1.0] * 5 + [2.0], images=24, seconds=3.0, waiting_seconds=0.0)
            log.add(report, Tally(6, 7.0, 24, 3.0, 0.0), is_epoch_over=False)
    assert [(one["step"], one["loss"], one["images_per_second"]) for one in lines(tmp_path)] == [(12, 14 / 12, 8.0)]


def scalars(folder: Path) -> list[tuple[int, float]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_tensorboard_has_the_same_values_and_none_twice(tmp_path: Path) -> None:
    scratch = tmp_path / ".cam.partial"
    scratch.mkdir()
    report = logged(scratch, 1, 20, track="tensorboard")
    saved = copy.deepcopy(report)
    logged(scratch, 21, 15, trained=report, track="tensorboard")  # killed before the next checkpoint
    logged(scratch, 21, 5, trained=saved, track="tensorboard")
    assert scalars(tmp_path / "tensorboard" / "train-cam") == [(10, 5.5), (20, 15.5), (25, 23.0)]


def test_without_tensorboard_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(WsolError, match=r"pip install 'wsol\[track\]'"):
        TrainingLog(tmp_path, "train-cam", "tensorboard", Trained())
