"""What a person sees while waiting: a bar with an estimate on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from wsol.runtime.terminal import visible

SECONDS_BETWEEN_LINES = 60


class Progress:
    """Speaks on standard error, so that results on standard output stay clean."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)

    def say(self, line: str) -> None:
        """One line that stays."""
        # As Text: in a str rich would see markup, and an emoji in the file name a:dog:b.jpg.
        self.console.print(Text(visible(line)))

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """Count up to `total`; the yielded function counts one. Without a terminal, a line a minute tells how far it
        is.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bars(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bars:
            bar = bars.add_task(name, total=total, completed=done)
            started = told = time.monotonic()
            begun_with = done

            def advance() -> None:
                nonlocal done, told
                done += 1
                bars.advance(bar)
                if not self.console.is_terminal and time.monotonic() - told >= SECONDS_BETWEEN_LINES:
                    told = time.monotonic()
                    left = (total - done) * (told - started) / (done - begun_with)
                    self.say(f"{name}: {done} of {total}, {timedelta(seconds=round(left))} left")

            yield advance
