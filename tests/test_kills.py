"""Killed at any moment, the same command goes on to the same bits."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.pipeline

SETTINGS = [
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4", "--cam.epochs", "8"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4", "--seg.epochs", "8"),
    *("--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4", "--classify.epochs", "8"),
    *("--workers", "0", "--precision", "fp32"),  # auto takes what a busy machine finds faster
]
TRAINED = ("cam", "seg", "classifier")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "wsol", *map(str, words)]


def finish(*words: object) -> str:
    done = subprocess.run(command(*words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def hashes(run: Path) -> dict[str, str]:
    files = [run / part / "model.safetensors" for part in TRAINED] + [run / "pseudo" / "pseudo.npy"]
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def interrupted(
    words: list[str], is_time: Callable[[], bool], delay_seconds: float, number: signal.Signals
) -> tuple[int, str]:
    """Start a command, wait for a moment and a little longer, and send it a signal; its exit code and what it said."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not is_time() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(delay_seconds)
    process.send_signal(number)
    _, said = process.communicate()
    return process.returncode, said


@pytest.fixture(scope="module")
def whole(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finish("fit", small_set, "--run", run, *SETTINGS)
    return run


def test_every_stage_killed_at_random_moments_ends_in_the_same_bits(
    small_set: Path, whole: Path, tmp_path: Path
) -> None:
    chance = random.Random(20210620)
    run = tmp_path / "run"
    words = command("fit", small_set, "--run", run, *SETTINGS, "--checkpoint-seconds", "0")
    kills = 0
    for stage in ("cam", "pseudo", "seg", "classifier"):
        unfinished, finished = run / f".{stage}.partial", run / stage
        for _ in range(2):
            code, _ = interrupted(words, partial(is_there, unfinished, finished), chance.random(), signal.SIGKILL)
            kills += code == -signal.SIGKILL
    assert kills >= 6, "most of them came before the end"
    subprocess.run(words, check=True, capture_output=True)
    assert hashes(run) == hashes(whole)
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_ends_with_a_sentence(
    small_set: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    words = ("train-cam", small_set, "--run", run, *SETTINGS)
    log = run / ".cam.partial" / "log.jsonl"
    code, said = interrupted(command(*words), log.exists, 0.3, number)
    assert code == 130 and "Traceback" not in said
    assert "which is saved; the same command continues" in said
    finish(*words)
    assert hashes_of_cam(run) == hashes_of_cam(whole)


def is_there(*paths: Path) -> bool:
    return any(path.exists() for path in paths)


def hashes_of_cam(run: Path) -> str:
    return hashlib.sha256((run / "cam" / "model.safetensors").read_bytes()).hexdigest()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    small_set: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("train-cam", small_set, "--run", run, *SETTINGS, "--checkpoint-seconds", "0")
    scratch = run / ".cam.partial"
    checkpoint = scratch / "checkpoint.safetensors"

    def is_being_written() -> bool:
        return checkpoint.exists() and any(scratch.glob(".checkpoint.safetensors.*.partial"))

    code, _ = interrupted(command(*words), is_being_written, 0, signal.SIGKILL)
    assert code == -signal.SIGKILL and checkpoint.exists()
    (scratch / ".checkpoint.safetensors.0123456789ab.partial").write_bytes(b"half of it")
    (scratch / ".tmp0a1B2c").write_bytes(b"half of what safetensors writes")
    finish(*words)
    assert hashes_of_cam(run) == hashes_of_cam(whole)
    assert not [*run.rglob("*partial*"), *run.rglob(".tmp*")]


def test_streamed_pictures_killed_within_an_epoch_end_in_the_bits_of_kept_ones(
    small_set: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    nowhere = ("--cache-gb", "0", "--disk-cache-gb", "0", "--checkpoint-seconds", "0")
    words = ("train-cam", small_set, "--run", run, *SETTINGS, *nowhere)
    checkpoint = run / ".cam.partial" / "checkpoint.safetensors"
    for delay_seconds in (0.1, 0.4):
        interrupted(command(*words), checkpoint.exists, delay_seconds, signal.SIGKILL)
    finish(*words)
    assert hashes_of_cam(run) == hashes_of_cam(whole)
