"""Work in threads: the results of a loop, and an end that waits for nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.runtime.threads import in_threads

NUMBERS = st.lists(st.integers(0, 99), max_size=60)


@given(NUMBERS, st.sampled_from([0, 1, 2, 16]), st.sampled_from([None, 0, 1, 7, 100]))
def test_results_are_those_of_a_loop_in_its_order(numbers: list[int], threads: int, ahead: int | None) -> None:
    assert list(in_threads(lambda n: n * n, numbers, threads=threads, ahead=ahead)) == [n * n for n in numbers]


class Oddity(BaseException):
    """No Exception."""


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("error", [RuntimeError("of a decoder"), MemoryError(), SystemExit(3), Oddity()])
def test_an_exception_is_raised_after_the_results_before_it(threads: int, error: BaseException) -> None:
    def work(number: int) -> int:
        if number == 3:
            raise error
        return number

    found = in_threads(work, range(10), threads=threads)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)) as raised:
        next(found)
    assert raised.value is error
    assert list(found) == []


def test_no_more_is_begun_than_may_lie_ahead() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    found = in_threads(lambda n: n, items(), threads=2, ahead=5)
    for given_back in range(20):
        assert next(found) == given_back
        assert len(asked) == given_back + 6, "the one that is asked for, and five"


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_work" in thread.name]


@pytest.mark.parametrize("taken", [1, 10])
def test_threads_end_with_the_results_or_with_whoever_gives_up_on_them(taken: int) -> None:
    assert running() == []
    found = in_threads(lambda n: n, range(10), threads=3)
    for _ in range(taken):
        next(found)
    assert len(running()) == 3
    found.close()
    assert running() == []


def test_what_was_not_begun_when_the_caller_gives_up_is_not_done() -> None:
    done: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        if number > 0:
            gate.wait(10)
        done.append(number)
        return number

    found = in_threads(work, range(50), threads=2, ahead=50)
    next(found)
    threading.Timer(0.1, gate.set).start()
    found.close()
    assert set(done) <= {0, 1, 2}


HANGING = """
import os, sys
from wsol.runtime.interrupts import EndedBySignals
from wsol.runtime.threads import in_threads
silent, _ = os.pipe()

def work(number):
    return os.read(silent, 1) if number else number  # a disk that does not answer

with EndedBySignals():
    for number in in_threads(work, range(9), threads=3):
        print(number, flush=True)
        if sys.argv[1] == "leaves":
            sys.exit(3)
"""


@pytest.mark.parametrize(
    ("caller", "expected"),
    [pytest.param("leaves", {3}, id="the caller leaves"), pytest.param("waits", {1, -signal.SIGINT}, id="SIGTERM")],
)
def test_a_thread_that_never_returns_does_not_block_the_end(caller: str, expected: set[int]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, caller], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "0\n"
    started = time.monotonic()
    if caller == "waits":
        process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode in expected and "still busy" not in said
    assert time.monotonic() - started < 9, "two seconds, and those of a busy machine"


def test_a_result_is_not_kept_by_the_thread_that_made_it() -> None:
    import weakref

    class Big:
        pass

    found = in_threads(lambda n: Big(), range(2), threads=1)
    first = weakref.ref(next(found))
    next(found)
    deadline = time.monotonic() + 5
    while first() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert first() is None
