"""A child process that runs jobs: a hang, a crash or a broken library ends it and not the parent."""

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

from wsol.doctor.lines import Finding, first_line
from wsol.text import number_of

SINGLE_PROCESS = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
"""Replaces the variables of a launcher such as torchrun, which did not start the worker."""
OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""No job downloads anything."""


class Worker:
    """Holds a child process, started with the first job and restarted after a job that failed.

    After a failed import, the next job would fail for another reason: a half-imported torch cannot be imported again.
    """

    def __init__(self, environment: dict[str, str] = SINGLE_PROCESS) -> None:
        self.environment = os.environ | OFFLINE | environment
        self.process: subprocess.Popen[str] | None = None
        self.errors: IO[str] | None = None

    def run_job(self, job: str, *words: str, limit_s: float) -> list[Finding]:
        """Run a job in the child process.

        Args:
            job: a key of `jobs.JOBS`.
            words: arguments of the job.
            limit_s: time limit in seconds.

        Returns:
            The results of the job; one with the state fail if it raised, crashed or exceeded the limit.
        """
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        started = time.monotonic()
        timer = Timer(limit_s, _end, [self.process])
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it crashed at its start; its response is empty
                self.process.stdin.write(json.dumps([job, limit_s, *words]) + "\n")
                self.process.stdin.flush()
            response = self.process.stdout.readline()
        finally:
            timer.cancel()
        if response:
            findings = [Finding(*row) for row in json.loads(response)]
        else:
            is_late = time.monotonic() - started >= limit_s
            how = f"no response within {limit_s:g} s{_busy()}" if is_late else self._end_of_process()
            findings = [Finding("fail", how + self._last_output())]
        if any(one.state == "fail" for one in findings):
            self.close()
        return findings

    def _start(self) -> None:
        # The same sys.path as ours: `-m` and `-c` alone would put the current folder first.
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

    def _last_output(self) -> str:
        assert self.errors is not None
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return f"; its last output: {lines[-1]}" if lines else ""

    def close(self) -> None:
        """End the process and its children."""
        if self.process is not None and self.errors is not None:
            _end(self.process)
            # Closes its pipes and waits. A job that the killed process has not read is still in the buffer and breaks
            # the pipe.
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
    """Run jobs in the child: one job per line on standard input, its findings as one line on standard output.

    It ends when the parent ends, for whatever reason.
    """
    from wsol.doctor.jobs import JOBS

    jobs: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=[jobs], daemon=True).start()
    responses = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries is not a response
    while True:
        job, limit_s, *words = json.loads(jobs.get())
        if hasattr(signal, "alarm"):  # if a job hangs and blocks all threads, the system ends the process
            signal.alarm(math.ceil(limit_s) + 1)
        try:
            findings = JOBS[job](*words)
        except Exception as error:
            findings = [Finding("fail", first_line(error))]
        print(json.dumps(findings), file=responses, flush=True)


def _listen(jobs: SimpleQueue[bytes]) -> None:
    # Unbuffered: the lock of a buffer, held here, would break the interpreter's shutdown.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            jobs.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # the parent has ended: end this process and its children
    os._exit(1)


def _busy() -> str:
    """Note for a busy machine, where a late response is no fault."""
    load, count = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    return (
        f" (the machine is busy, load {load:.0f} on {number_of(count, 'core')}: try again when it is idle)"
        if load > 2 * count
        else ""
    )
