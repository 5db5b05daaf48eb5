"""Ctrl-C and SIGTERM as a question that is asked between two steps, so that work can be saved before it ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """`with Interrupts() as interrupts:`: the first signal only sets `came`, the second raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.came = False

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
        if self.came:
            raise KeyboardInterrupt
        self.came = True
