"""Ctrl-C and SIGTERM: a command ends within seconds; a training checks for them between two steps."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from wsol.runtime.processes import part

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_OF_ONE_SIGNAL = 3.0
"""A repeated signal within this time is the same one: a cluster signals all processes, and the launcher forwards it."""
SECONDS_OF_ONE_CTRL_C = 1.0
"""The same without a launcher: a wrapper may forward what the terminal has sent to both."""
SECONDS_TO_END = 10.0
"""Maximum time between a signal and the end of the process."""
SECONDS_BETWEEN_CHECKS = 1.0
"""Between two checks that the launcher is alive."""
INTERRUPTED = 130
"""The exit code."""


class EndedBySignals:
    """A context around a whole command: the first Ctrl-C or SIGTERM raises KeyboardInterrupt, later ones do nothing.

    A process that still runs `SECONDS_TO_END` later exits at once: its main thread may read from a disk that does not
    respond, wait for a dead process, or be in a long computation of a library. Finished work is not lost. One of
    several processes ends when their launcher ends.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> EndedBySignals:
        if threading.current_thread() is threading.main_thread():  # only it receives signals
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # Ctrl-C does not concern background jobs of a shell
                    self._stack.callback(signal.signal, number, signal.signal(number, self._interrupt))
            self._stack.enter_context(_heard(_end_hard_later))
            if part().count > 1:
                threading.Thread(target=_follow, args=[os.getppid()], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_ending = True
        self._stack.close()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self.is_ending:  # else it would interrupt the last message
            self.is_ending = True
            raise KeyboardInterrupt


class Interrupts:
    """A context in which the first signal only sets `came`; a second one raises KeyboardInterrupt at once.

    Args:
        tell: called from another thread as soon as the first signal arrives.
    """

    def __init__(self, tell: Callable[[], object] = lambda: None) -> None:
        self.came = False
        self._came_at = 0.0
        self._tell = tell
        self._heard_at: float | None = None
        self._seconds = SECONDS_OF_ONE_CTRL_C if part().count == 1 else SECONDS_OF_ONE_SIGNAL
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # only it receives signals
            for number in _SIGNALS:
                self._stack.callback(signal.signal, number, signal.signal(number, self._note))
            self._stack.enter_context(_heard(self._hear))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came and time.monotonic() - self._came_at > self._seconds:
            raise KeyboardInterrupt
        if not self.came:
            self.came, self._came_at = True, time.monotonic()

    def _hear(self, number: int) -> bool:
        now = time.monotonic()
        if self._heard_at is None:
            self._heard_at = now
            self._tell()
        return now - self._heard_at > self._seconds


@contextlib.contextmanager
def _heard(hear: Callable[[int], bool]) -> Iterator[None]:
    """A context in which `hear` is called with each signal as it arrives, from a thread: Python's own handlers have to
    wait for the main thread.

    If `hear` returns True, the previous listener receives the signal too.
    """
    here, there = socket.socketpair()  # not a pipe: Windows takes sockets only
    there.setblocking(False)
    before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        while numbers := here.recv(64):
            for number in numbers:
                if number in _SIGNALS and hear(number) and before >= 0:
                    with contextlib.suppress(OSError):
                        os.write(before, bytes([number]))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        there.close()
        thread.join(1.0)
        here.close()


def _follow(launcher: int) -> None:
    """Treat the death of the launcher as a SIGTERM: if killed, it cannot forward one."""
    while os.getppid() == launcher:
        time.sleep(SECONDS_BETWEEN_CHECKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _end_hard_later(number: int) -> bool:
    timer = threading.Timer(SECONDS_TO_END, _end_hard)
    timer.daemon = True  # else the interpreter would wait for it at exit
    timer.start()
    return True


LATE = (
    f"error: still busy {SECONDS_TO_END:g} s after the signal: a disk or another process may not respond. Ended at"
    " once; the same command continues, or starts again.\n"
)


def _end_hard() -> None:
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:  # else writing would block
            os.write(2, LATE.encode())
    os._exit(INTERRUPTED)
