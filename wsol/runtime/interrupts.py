"""Ctrl-C and SIGTERM: the end of a command within seconds; in a training, a question that is asked between two
steps.
"""

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
"""Sooner it is the same one again: a cluster sends it to all processes, and the launcher hands it on."""
SECONDS_OF_ONE_CTRL_C = 1.0
"""The same without a launcher: a key that bounced, or a wrapper that hands on what the terminal sent to both."""
SECONDS_TO_END = 10.0
"""Between a signal and the end of the process, whatever it is doing."""
SECONDS_BETWEEN_LOOKS = 1.0
"""At the launcher."""
INTERRUPTED = 130
"""The exit status."""


class EndedBySignals:
    """`with EndedBySignals():`, around a whole command: the first Ctrl-C or SIGTERM raises KeyboardInterrupt, later
    ones do nothing.

    A process that is still there `SECONDS_TO_END` later is ended hard: its main thread reads from a disk that does not
    answer, waits for a process that died, or is in a library's long computation. A kill loses nothing that was
    finished. One of several processes ends with the launcher that started them.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> EndedBySignals:
        if threading.current_thread() is threading.main_thread():  # only it receives signals
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background job is not asked by Ctrl-C
                    self._stack.callback(signal.signal, number, signal.signal(number, self._interrupt))
            self._stack.enter_context(_heard(_end_hard_later))
            if part().count > 1:
                threading.Thread(target=_follow, args=[os.getppid()], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_ending = True
        self._stack.close()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self.is_ending:  # else it would cut the last sentence short
            self.is_ending = True
            raise KeyboardInterrupt


class Interrupts:
    """`with Interrupts(tell) as interrupts:`: the first signal only sets `came`; another one raises KeyboardInterrupt
    at once.

    `tell` is called in a thread of its own the moment the first one comes.
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
    """Inside, `hear` is called with each signal when it comes, in a thread: a handler runs only when the main thread's
    step is over.

    Where it returns True, the one who listened before hears the signal too.
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
    """Take its death for a SIGTERM: killed, it had no time to hand one on."""
    while os.getppid() == launcher:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _end_hard_later(number: int) -> bool:
    timer = threading.Timer(SECONDS_TO_END, _end_hard)
    timer.daemon = True  # else the end of the interpreter would wait for it
    timer.start()
    return True


LATE = (
    f"error: still busy {SECONDS_TO_END:g} s after the signal: expected a disk and other processes that answer. Ended"
    " at once; the same command continues, or starts again.\n"
)


def _end_hard() -> None:
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:  # else nobody reads, and writing would wait
            os.write(2, LATE.encode())
    os._exit(INTERRUPTED)
