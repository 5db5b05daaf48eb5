"""A finished run has a learned box threshold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from quick import Cli

from wsol.inference.localizer import Localizer
from wsol.runs.box_threshold import THRESHOLD_FILE, read_threshold
from wsol.runs.run import Run


def test_a_run_learns_its_threshold_and_boxes_are_made_with_it(small_run: Path) -> None:
    learned = read_threshold(small_run / "seg")
    assert learned is not None and 1 <= learned.n <= 12
    assert Run.open(small_run).box().threshold == learned.threshold == Localizer.load(small_run).box.threshold
    assert learned.threshold == pytest.approx((learned.box_threshold + learned.mask_threshold) / 2, abs=0.001)


@pytest.fixture
def own_run(small_run: Path, tmp_path: Path) -> Path:
    """A copy whose `seg` a test may change."""
    run = Path(shutil.copytree(small_run, tmp_path / "run", copy_function=os.link))
    for name in ("config.yaml", f"seg/{THRESHOLD_FILE}"):
        kept = (run / name).read_bytes()
        (run / name).unlink()
        (run / name).write_bytes(kept)
    return run


def test_without_its_file_the_error_says_what_to_do_and_the_same_threshold_is_learned_again(
    cli: Cli, own_run: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = (own_run / "seg" / THRESHOLD_FILE).read_text()
    (own_run / "seg" / THRESHOLD_FILE).unlink()
    assert cli("evaluate", own_run, small_set) == 2
    assert "has no box threshold yet" in capsys.readouterr().err
    assert Localizer.load(own_run, threshold=0.3).box.threshold == 0.3
    trained = (own_run / "seg" / "model.safetensors").stat().st_mtime_ns
    assert cli("train-seg", small_set, "--run", own_run) == 0
    assert (own_run / "seg" / THRESHOLD_FILE).read_text() == there
    assert (own_run / "seg" / "model.safetensors").stat().st_mtime_ns == trained, "nothing was trained again"


def test_the_error_about_an_unfinished_run_has_the_command_that_continues_it(
    cli: Cli, own_run: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own_run / "seg")
    assert cli("predict", own_run, small_set / "test", "--out", tmp_path / "boxes") == 2
    told = capsys.readouterr().err
    assert f"{own_run} is unfinished: " in told and f"`wsol fit DATA --run {own_run}` continues" in told
    assert "--threshold" not in told
    assert cli("fit", small_set, "--run", own_run) == 0
    assert Localizer.load(own_run).box.threshold == Run.open(own_run).box().threshold


def test_a_given_threshold_takes_precedence(cli: Cli, own_run: Path, small_set: Path) -> None:
    assert cli("train-seg", small_set, "--run", own_run, "--box.threshold", "0.45") == 0
    assert Run.open(own_run).box().threshold == 0.45
    assert Run.open(own_run).box(0.6).threshold == 0.6
