"""Killed at any moment, the same command goes on to the same bits."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from wsol.predictions.review_journal import read_journal

pytestmark = pytest.mark.pipeline

SETTINGS = [
    *("--pseudo.masks", "thresholds"),
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4", "--cam.epochs", "8"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4", "--seg.epochs", "8"),
    *("--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4", "--classify.epochs", "8"),
    *("--precision", "fp32"),  # auto takes what a busy machine finds faster
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


def is_there(*paths: Path) -> bool:
    return any(path.exists() for path in paths)


def hashes_of_cam(run: Path) -> str:
    return hashlib.sha256((run / "cam" / "model.safetensors").read_bytes()).hexdigest()


def test_a_training_killed_while_it_saves_and_then_interrupted_ends_in_the_same_bits(
    small_set: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("train-cam", small_set, "--run", run, *SETTINGS)
    scratch = run / ".cam.partial"
    checkpoint, log = scratch / "checkpoint.safetensors", scratch / "log.jsonl"

    def is_being_written() -> bool:
        return checkpoint.exists() and any(scratch.glob(".checkpoint.safetensors.*.partial"))

    def has_come_to(epochs: int) -> bool:
        return log.exists() and log.read_bytes().count(b"\n") >= epochs

    code, _ = interrupted(command(*words, "--checkpoint-seconds", "0"), is_being_written, 0, signal.SIGKILL)
    assert code == -signal.SIGKILL and checkpoint.exists(), "the one before is there"
    (scratch / ".checkpoint.safetensors.0123456789ab.partial").write_bytes(b"half of it")
    (scratch / ".tmp0a1B2c").write_bytes(b"half of what safetensors writes")
    code, said = interrupted(command(*words), lambda: has_come_to(2), 0, signal.SIGINT)
    assert code == 130 and "Traceback" not in said and "train-cam: continues after step" in said
    assert "train-cam: stopping after this step, Ctrl-C again to stop at once" in said
    (step,) = re.findall(r"stopped after (step \d+ of \d+), which is saved; the same command continues", said)
    assert f"train-cam: continues after {step}, in epoch" in finish(*words)
    assert hashes_of_cam(run) == hashes_of_cam(whole)
    assert not [*run.rglob("*partial*"), *run.rglob(".tmp*")]


# Every command, killed at any time, by SIGTERM or SIGKILL, in any of its processes.

KILLS = int(os.environ.get("WSOL_KILLS", "2"))
"""Of each command; thirty take half an hour."""
SECONDS_TO_END = 30.0
"""Ten at most, and the time of a busy machine to get to it."""
IMAGES = 260
"""So many are two shards, and a second or two of work."""
STREAMED = ("--cache-gb", "0", "--disk-cache-gb", "0", "--workers", "2", "--checkpoint-seconds", "0")


@dataclass
class Deaths:
    """What the kills of a command have come to."""

    name: str
    exit_codes: list[int] = field(default_factory=list)
    slowest_seconds: float = 0.0

    def __str__(self) -> str:
        codes = ", ".join(f"{code}: {self.exit_codes.count(code)}" for code in sorted(set(self.exit_codes)))
        return (
            f"{self.name}: {len(self.exit_codes)} kills, exit codes {{{codes}}}, the slowest end after"
            f" {self.slowest_seconds:.1f} s"
        )


def of_session(leader: int) -> list[psutil.Process]:
    """Every process that is left of those that a command has started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_one_of(process: subprocess.Popen[str], chance: random.Random, deaths: Deaths) -> None:
    """Kill the command, or a process that it has started, and see all of them end."""
    number = chance.choice([signal.SIGTERM, signal.SIGKILL])
    victim = chance.choice(of_session(process.pid) or [psutil.Process(process.pid)])
    victim.send_signal(number)
    sent = time.monotonic()
    _, said = process.communicate(timeout=SECONDS_TO_END)
    deaths.slowest_seconds = max(deaths.slowest_seconds, time.monotonic() - sent)
    deaths.exit_codes.append(process.returncode)
    assert "Traceback" not in said and "Exception" not in said, said
    if number == signal.SIGTERM and process.returncode not in (0, -signal.SIGTERM):
        # To a shell both are 130. Python ends by SIGINT where KeyboardInterrupt came out of an `exec`, be it caught
        # later.
        assert process.returncode in (130, -signal.SIGINT), said
        assert re.search("interrupted|stopped after|still busy", said), said
    while of_session(process.pid):
        assert time.monotonic() - sent < SECONDS_TO_END, "a process outlives its command"
        time.sleep(0.02)


def begun(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="looks at sessions of processes")
def test_every_stage_killed_at_random_moments_ends_in_the_same_bits(
    small_set: Path, whole: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The command itself; in the two stages of many steps then any of its processes."""
    run = tmp_path / "run"
    words = ("fit", small_set, "--run", run, *SETTINGS, *STREAMED)
    chance, deaths = random.Random(20210620), Deaths(request.node.name)
    for stage in ("cam", "pseudo", "seg", "classifier"):
        reached = partial(is_there, run / f".{stage}.partial", run / stage)
        code, _ = interrupted(command(*words), reached, chance.random(), signal.SIGKILL)
        deaths.exit_codes.append(code)
        for _ in range((KILLS - 1) * (stage in ("cam", "seg"))):
            process = begun(command(*words))
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(1, 5))  # the imports take most of that
            if process.poll() is None:
                kill_one_of(process, chance, deaths)
            else:
                _, said = process.communicate()
                assert process.returncode == 0, said
    assert sum(code != 0 for code in deaths.exit_codes) >= 4, f"most of them came before the end: {deaths}"
    finish(*words)
    assert hashes(run) == hashes(whole), "streamed or kept, the same bits"
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in whole.iterdir())
    print(deaths)


@dataclass(frozen=True)
class Case:
    """A command, what it leaves, and how to begin anew."""

    words: list[str]
    result: Callable[[], object]
    reset: Callable[[], object]
    known: tuple[object, float] | None = None
    """The result and the seconds of one that nobody interrupts, where there was one."""


@pytest.fixture(scope="module")
def images(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small set again and again: two class folders."""
    root = tmp_path_factory.mktemp("many") / "images"
    originals = sorted(small_set.rglob("*.jpg"))
    for number in range(IMAGES):
        copy = root / f"class{number % 2}" / f"{number:04}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(originals[number % len(originals)], copy)
        with copy.open("ab") as file:
            file.write(str(number).encode())  # else they are duplicates, byte for byte
    return root


@pytest.fixture(scope="module")
def predicted(whole: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Predictions that nobody interrupted, and how many seconds they took."""
    out, started = tmp_path_factory.mktemp("boxes") / "boxes", time.monotonic()
    finish("predict", whole, images, "--out", out)
    return out, time.monotonic() - started


@pytest.fixture(scope="module")
def boxes(predicted: tuple[Path, float]) -> Path:
    return predicted[0]


def tree(root: Path) -> dict[str, str]:
    """Every file, but for the speeds that a prediction notes."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture
def case(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    small_set: Path,
    whole: Path,
    images: Path,
    predicted: tuple[Path, float],
) -> Case:
    boxes, seconds = predicted
    out, file = tmp_path / "out", tmp_path / "out.json"

    def into_folder(*words: object) -> Case:
        return Case(command(*words), lambda: tree(out), lambda: shutil.rmtree(out))

    def into_file(*words: object) -> Case:
        return Case(command(*words, "--json", file), file.read_bytes, file.unlink)

    cases: dict[str, Callable[[], Case]] = {
        "predict": lambda: replace(into_folder("predict", whole, images, "--out", out), known=(tree(boxes), seconds)),
        "check": lambda: into_file("check", images),
        "export": lambda: into_folder("export", boxes, "--format", "yolo", "--out", out),
        "evaluate": lambda: into_file("evaluate", whole, small_set),
        "report": lambda: replace(
            into_folder("report", whole, small_set, "--out", out), result=lambda: sorted(tree(out))
        ),
    }
    return cases[request.param]()


BY_HAND = pytest.mark.skipif("WSOL_KILLS" not in os.environ, reason="one more command that ends as the others do")


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="looks at sessions of processes")
@pytest.mark.parametrize(
    "case",
    ["predict", "check", "export", pytest.param("evaluate", marks=BY_HAND), pytest.param("report", marks=BY_HAND)],
    indirect=True,
)
def test_no_kill_leaves_a_process_and_the_same_command_ends_in_the_same_result(
    case: Case, request: pytest.FixtureRequest
) -> None:
    if case.known is None:
        started = time.monotonic()
        finish(*case.words[3:])
        expected, seconds = case.result(), time.monotonic() - started
        case.reset()
    else:
        expected, seconds = case.known
    chance, deaths = random.Random(19), Deaths(request.node.name)
    while len(deaths.exit_codes) < KILLS:
        process = begun(case.words)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.05, 0.95) * seconds)
        if process.poll() is None:
            kill_one_of(process, chance, deaths)
        else:
            assert process.returncode == 0, process.communicate()[1]
            process.communicate()
            assert case.result() == expected
            case.reset()
    finish(*case.words[3:])
    assert case.result() == expected
    print(deaths)


def decide(url: str, image: int) -> None:
    """Reject an image as the page does; asked again, it is rejected once."""
    host, path = url.removeprefix("http://").split("/", 1)
    body = {
        "image": image,
        "base": 0,
        "is_rejected": True,
        "boxes": [],
        "class_name": None,
        "session": "test",
        "id": f"d{image}",
        "seen": 10**6,
    }
    with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        connection.request("GET", f"/{path}")
        page = connection.getresponse()
        page.read()
        cookie = (page.getheader("set-cookie") or "").partition(";")[0]
        headers = {"Content-Type": "application/json", "Cookie": cookie, "X-Wsol-Review": "1"}
        connection.request("POST", "/api/decide", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
    if answer.status != 200:
        raise ConnectionError(said)


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="looks at sessions of processes")
def test_a_killed_review_has_every_decision_that_it_has_acknowledged(
    boxes: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = shutil.copytree(boxes, tmp_path / "boxes")
    chance, deaths = random.Random(19), Deaths(request.node.name)
    acknowledged = 0
    for _ in range(KILLS):
        process = begun(command("review", out))
        assert process.stdout is not None
        if not (url := process.stdout.readline().strip()):
            pytest.fail(process.communicate()[1])
        with ThreadPoolExecutor(1) as visitor:
            until_then = time.monotonic() + chance.uniform(0, 1)

            def decide_on() -> int:
                for image in range(acknowledged, IMAGES):  # noqa: B023
                    try:
                        decide(url, image)
                    except (OSError, http.client.HTTPException):
                        return image
                return IMAGES

            found = visitor.submit(decide_on)
            time.sleep(max(until_then - time.monotonic(), 0))
            kill_one_of(process, chance, deaths)
            acknowledged = found.result()
        decided = [decision.image for decision in read_journal(out)] if (out / "review.jsonl").exists() else []
        assert acknowledged <= len(set(decided)) == len(decided) <= acknowledged + 1
    print(f"{deaths}, {acknowledged} decisions")
