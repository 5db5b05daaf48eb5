"""A folder that several processes make together, on one machine or on several with a shared disk."""

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
"""Network file systems show others' files with a delay."""


@contextmanager
def new_shared_folder(folder: Path, engine: Engine) -> Iterator[Path]:
    """As `folders.new_folder`: the first process makes the folder and gives it its name, the others come in and out
    with it.

    Raises:
        WsolError: a process does not see the folder; something that is not ours already stands there.
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
    """Everybody sees what the first has just written."""
    mine = part()
    token = uuid.uuid4().hex
    if mine.is_first:
        write_text(scratch / TOKEN, token)
    expected = gathered([token], engine)[0]
    blind = [who for who, sees in gathered([(mine.rank, _sees(scratch / TOKEN, expected))], engine) if not sees]
    if blind:
        machines = ", ".join(sorted(set(gathered([platform.node()], engine))))
        raise WsolError(
            f"processes {', '.join(map(str, blind))} do not see {scratch}",
            expected=f"a folder that all machines ({machines}) share",
            remedy="Name one on a shared disk.",
        )


def _sees(path: Path, token: str) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if path.is_file() and path.read_text() == token:
            return True
        time.sleep(0.05)
    return False
