"""Work on many items in threads: ordered results, a bounded number of items ahead, and an end that does not wait.

Not `concurrent.futures`: an executor waits for its threads, at the end of its block and again at exit, and a thread
that reads from a disk that no longer responds never returns.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS_TO_FINISH = 2.0
"""At the end of the iteration, a thread may take this long to finish its item; then it is abandoned."""


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int | None = None
) -> Iterator[Result]:
    """The results of `work`, in the order of `items`; an exception is raised at the position of its item.

    Args:
        work: called in the threads.
        items: consumed in the calling thread, as results are requested.
        threads: number of threads; with 0, `work` is called in the calling thread.
        ahead: maximum number of items that are started before they are requested; by default four per thread.

    Yields:
        One result per item.
    """
    if threads == 0:
        yield from map(work, items)
        return
    ahead = max(threads, 4 * threads if ahead is None else ahead)
    waiting: SimpleQueue[tuple[Future[Result], Item] | None] = SimpleQueue()
    begun: deque[Future[Result]] = deque()
    crew: list[threading.Thread] = []
    try:
        for _ in range(threads):
            thread = threading.Thread(target=_work, args=(work, waiting), daemon=True)
            thread.start()
            crew.append(thread)
        for item in items:
            if len(begun) == ahead:
                yield begun.popleft().result()
            begun.append(Future())
            waiting.put((begun[-1], item))
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        for _ in crew:
            waiting.put(None)
        until = time.monotonic() + SECONDS_TO_FINISH
        for thread in crew:
            thread.join(max(until - time.monotonic(), 0.0))


def _work(work: Callable[[Item], Result], waiting: SimpleQueue[tuple[Future[Result], Item] | None]) -> None:
    while (one := waiting.get()) is not None:
        future, item = one
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(item))
        except BaseException as error:  # raised again where the result is requested
            future.set_exception(error)
        del one, future, item  # or the last result would stay in memory while the thread waits
