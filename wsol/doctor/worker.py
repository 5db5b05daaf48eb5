"""A process that does jobs for us, so that a hang, a crash or a broken library ends it and not us."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from queue import SimpleQueue
from threading import Thread, Timer
from typing import IO, Any

from wsol.doctor.lines import Seen, first_line
from wsol.text import number_of

ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
"""Whatever launcher started us did not start our workers."""
OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""No job is to download anything."""


class Worker:
    """Holds a child process that is started with the first job, and anew after a job that failed.

    The next job after a failed import would fail for another reason: half of torch cannot be imported again.
    """

    def __init__(self, environment: dict[str, str] = ALONE) -> None:
        self.environment = os.environ | OFFLINE | environment
        self.process: subprocess.Popen[str] | None = None
        self.errors: IO[str] | None = None

    def ask(self, job: str, *words: str, limit_s: float) -> list[Seen]:
        """What a job of `jobs.JOBS` saw; one failure where it raised, crashed, or was ended after `limit_s` seconds."""
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        started = time.monotonic()
        timer = Timer(limit_s, _end, [self.process])
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it crashed at its start; its answer will be empty
                self.process.stdin.write(json.dumps([job, limit_s, *words]) + "\n")
                self.process.stdin.flush()
            answer = self.process.stdout.readline()
        finally:
            timer.cancel()
        if answer:
            seen = [Seen(*row) for row in json.loads(answer)]
        else:
            is_late = time.monotonic() - started >= limit_s
            how = f"no answer within {limit_s:g} s{_busy()}" if is_late else self._end_of_process()
            seen = [Seen("fail", how + self._last_words())]
        if any(one.state == "fail" for one in seen):
            self.close()
        return seen

    def _start(self) -> None:
        # The same modules as ours. Neither `-m` nor `-c` alone would do: both put the current folder in front.
        code = f"import sys; sys.path[:] = {sys.path!r}; from wsol.doctor.worker import serve; serve()"
        # Closed with the process.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )

    def _end_of_process(self) -> str:
        assert self.process is not None
        code = self.process.wait()
        return f"the process ended with {f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'}"

    def _last_words(self) -> str:
        assert self.errors is not None
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return f"; it said last: {lines[-1]}" if lines else ""

    def close(self) -> None:
        """End the process, and those that it started."""
        if self.process is not None and self.errors is not None:
            _end(self.process)
            # Closes its pipes and waits. A question that the killed process has not read is still in the buffer, and
            # breaks the pipe.
            with contextlib.suppress(BrokenPipeError), self.process:
                pass
            self.errors.close()
            self.process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(process: subprocess.Popen[Any]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def serve() -> None:
    """The child's side: a job a line on standard input, a list of what was seen a line on standard output.

    It ends with the process that asks, however that one ends.
    """
    from wsol.doctor.jobs import JOBS

    asked: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=[asked], daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    while True:
        job, limit_s, *words = json.loads(asked.get())
        if hasattr(signal, "alarm"):  # for a job that hangs and lets no thread of ours run: the system ends the process
            signal.alarm(math.ceil(limit_s) + 1)
        try:
            seen = JOBS[job](*words)
        except Exception as error:
            seen = [Seen("fail", first_line(error))]
        print(json.dumps(seen), file=answers, flush=True)


def _listen(asked: SimpleQueue[bytes]) -> None:
    # Unbuffered: a buffer's lock, held here, would break the interpreter's end.
    with open(0, "rb", buffering=0, closefd=False) as questions:
        for line in questions:
            asked.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # the doctor is gone: end, with what the job has started
    os._exit(1)


def _busy() -> str:
    """A busy machine is late too, and nothing is wrong with it."""
    load, count = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    return (
        f" (the machine is busy, load {load:.0f} on {number_of(count, 'core')}: ask again when it is quiet)"
        if load > 2 * count
        else ""
    )
