"""Ctrl-C and SIGTERM as a question that is asked between two steps, so that work can be saved before it ends."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_OF_ONE_SIGNAL = 3.0


class Interrupts:
    """`with Interrupts() as interrupts:`: the first signal only sets `came`; another one some seconds later raises KeyboardInterrupt at once.

    Sooner it is the same one again: a cluster sends it to all processes, and the launcher hands it on.
    """

    def __init__(self) -> None:
        self.came = False
        self._came_at = 0.0

    def __enter__(self) -> Interrupts:
        # Python lets nobody but the main thread look at signals.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        else:
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came and time.monotonic() - self._came_at > SECONDS_OF_ONE_SIGNAL:
            raise KeyboardInterrupt
        if not self.came:
            self.came, self._came_at = True, time.monotonic()
