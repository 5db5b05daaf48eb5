"""Progress: a bar with an estimate on a terminal, plain lines in a log."""

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
    """Prints to standard error; standard output is for results.

    Args:
        quiet: print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)

    def say(self, line: str) -> None:
        """Print a line."""
        # As Text: in a str, rich would interpret markup, and an emoji in the file name a:dog:b.jpg.
        self.console.print(Text(visible(line)))

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """Show the progress of a task: a bar, or without a terminal one line per minute.

        Args:
            name: description of the task.
            total: number of steps.
            done: number of steps that are done already.

        Yields:
            A function to call after each step.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bars(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bars:
            bar = bars.add_task(name, total=total, completed=done)
            started = last_line = time.monotonic()
            done_before = done

            def advance() -> None:
                nonlocal done, last_line
                done += 1
                bars.advance(bar)
                if not self.console.is_terminal and time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
                    last_line = time.monotonic()
                    left = (total - done) * (last_line - started) / (done - done_before)
                    self.say(f"{name}: {done} of {total}, {timedelta(seconds=round(left))} left")

            yield advance
