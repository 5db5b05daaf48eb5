"""A folder that several processes write together, on one machine or on several with a shared disk."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsol.errors import WsolError
from wsol.runtime.engine import Engine, gathered, wait_for_all
from wsol.runtime.processes import part
from wsol.storage.folders import new_folder, scratch_of, write_text

TOKEN = ".seen"
PATIENCE_SECONDS = 30
"""Network file systems show the files of other machines with a delay."""


@contextmanager
def new_shared_folder(folder: Path, engine: Engine) -> Iterator[Path]:
    """As `folders.new_folder`, for several processes: the first one creates and renames the folder, the others wait.

    Args:
        folder: the final path.
        engine: that of the processes.

    Yields:
        The scratch folder.

    Raises:
        WsolError: a process does not see the folder, or `folder` exists already.
    """
    mine = part()
    if mine.count == 1:
        with new_folder(folder) as scratch:
            yield scratch
        return
    if mine.is_first:
        with new_folder(folder) as scratch:
            _meet(scratch, engine)
            yield scratch
            (scratch / TOKEN).unlink(missing_ok=True)
    else:
        _meet(scratch_of(folder), engine)
        yield scratch_of(folder)
    wait_for_all(engine)


def _meet(scratch: Path, engine: Engine) -> None:
    """Wait until every process sees the file that the first one has written."""
    mine = part()
    token = uuid.uuid4().hex
    if mine.is_first:
        write_text(scratch / TOKEN, token)
    expected = gathered([token], engine)[0]
    blind = [rank for rank, sees in gathered([(mine.rank, _sees(scratch / TOKEN, expected))], engine) if not sees]
    if blind:
        machines = ", ".join(sorted(set(gathered([platform.node()], engine))))
        raise WsolError(
            f"processes {', '.join(map(str, blind))} do not see {scratch}",
            expected=f"a folder that all machines ({machines}) share",
            remedy="Name a folder on a shared disk.",
        )


def _sees(path: Path, token: str) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if path.is_file() and path.read_text() == token:
            return True
        time.sleep(0.05)
    return False
