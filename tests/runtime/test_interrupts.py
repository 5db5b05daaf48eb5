"""Signals: as a question between two steps, and as the end of a command, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from wsol.runtime.interrupts import EndedBySignals, Interrupts

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_the_first_signal_is_noted_and_another_one_later_ends_the_work(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        assert not interrupts.came
        os.kill(os.getpid(), number)
        assert interrupts.came
        os.kill(os.getpid(), number)  # the same one again, by way of the launcher
        monkeypatch.setattr(time, "monotonic", lambda: 1e9)
        os.kill(os.getpid(), number)
        pytest.fail("it must not come this far")
    assert signal.getsignal(number) is before


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with EndedBySignals(), Interrupts() as interrupts:
            seen.append(interrupts.came)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False] and signal.getsignal(signal.SIGINT) is before


@SIGNALS
def test_a_signal_raises_once_and_what_follows_is_not_cut_short(number: signal.Signals) -> None:
    before, wakeup = signal.getsignal(number), signal.set_wakeup_fd(-1)
    with pytest.MonkeyPatch.context() as patch, EndedBySignals() as signals:
        patch.setattr("wsol.runtime.interrupts.SECONDS_TO_END", 1e6)  # this process goes on
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(10)
        for again in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), again)
        assert signals.is_ending
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(wakeup) == -1


def test_a_background_job_of_a_shell_is_not_ended_by_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with EndedBySignals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


BEGIN = """
import sys, time
from hashlib import pbkdf2_hmac
from wsol.runtime import interrupts
from wsol.runtime.interrupts import EndedBySignals, Interrupts

def library(rounds):  # a long computation: meanwhile no handler of Python's runs
    pbkdf2_hmac("sha256", b"", b"", rounds)

def say(*words):
    print(*words, flush=True)
"""

LONG_STEP = """
with EndedBySignals(), Interrupts(lambda: say("stopping", time.monotonic())) as seen:
    say("ready")
    library(1_000_000)
    say("step over", time.monotonic())
    sys.exit(7 if seen.came else 0)
"""

STUCK = """
interrupts.SECONDS_TO_END = 1.0
with EndedBySignals():
    while True:
        try:
            say("ready")
            library(2**31 - 1)
        except KeyboardInterrupt:  # the signal came before the computation began
            pass
"""

STUCK_IN_A_TRAINING = """
interrupts.SECONDS_TO_END = 1.0
interrupts.SECONDS_OF_ONE_CTRL_C = 0.2
with EndedBySignals(), Interrupts(lambda: say("stopping")):
    say("ready")
    library(2**31 - 1)
"""


def started(code: str) -> subprocess.Popen[str]:
    """It has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@SIGNALS
def test_the_message_appears_before_a_long_step_is_over(number: signal.Signals) -> None:
    process = started(LONG_STEP)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    (said, at), (step, over, later) = (line.split() for line in out.splitlines())
    assert (said, step, over) == ("stopping", "step", "over") and float(at) < float(later)
    assert process.returncode == 7, "the step was not cut short, and the signal was noted"


@SIGNALS
def test_a_process_that_cannot_end_in_peace_is_ended(number: signal.Signals) -> None:
    process = started(STUCK)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("error: still busy") and "Traceback" not in said


def test_the_second_ctrl_c_ends_a_training_that_is_stuck_in_a_step() -> None:
    process = started(STUCK_IN_A_TRAINING)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None and process.stdout.readline() == "stopping\n"
    time.sleep(0.5)
    assert process.poll() is None, "the first one waits for the step"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.startswith("error: still busy")


LAUNCHER = """
import os, subprocess, sys, time
words = [sys.executable, "-c", sys.argv[1]]
subprocess.Popen(words, env=os.environ | {"RANK": "0", "WORLD_SIZE": "2"})
time.sleep(60)
"""

RANK = """
import time
from wsol.runtime.interrupts import EndedBySignals
with EndedBySignals():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process does not learn that its parent died")
def test_a_process_that_works_with_others_ends_with_their_launcher() -> None:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, RANK], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None and launcher.stdout.readline() == "ready\n"
    launcher.kill()
    assert launcher.communicate(timeout=30)[0] == "interrupted\n"
