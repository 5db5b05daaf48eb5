"""What a training asks of its run folder before it writes there."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.launch import part

LOCK = ".training.lock"


def check_outside(run: Path, data: DataSet) -> None:
    """Refuse a run that the next reading of the data set would take for a class, or whose charts for pictures.

    Raises:
        WsolError: it is such a folder, or lies in one.
    """
    listed = {_identity(folder) for folder in data.listed}
    # By its name and by where that leads: a link in the data set is read as what it leads to.
    for path in (Path(os.path.abspath(run)), run.resolve()):
        for above in (*reversed(path.parents), path):
            is_hidden = any(name.startswith(".") for name in path.relative_to(above).parts)
            if above.exists() and not is_hidden and _identity(above) in listed:
                lies = "is" if above == path else "lies in"
                raise WsolError(
                    f"run {run} {lies} the data set {above}, whose folders are its classes: expected a folder outside. Name another --run."
                )


def _identity(folder: Path) -> tuple[int, int]:
    """The same by whatever name."""
    status = folder.stat()
    return status.st_dev, status.st_ino


@contextmanager
def locked(run: Path, option: str = "--run") -> Iterator[None]:
    """Hold a run while it is trained; the system lets go of it with the process. Where a file system has no locks, go on without.

    `option` is the command's, by which another folder is named.

    Of several processes the first holds it for all: the lock of a shared disk would keep out those on other machines.

    Raises:
        WsolError: another training holds it.
    """
    if not part().is_first:
        yield
        return
    was_there, lock = run.exists(), FileLock(run / LOCK, blocking=False, fallback_to_soft=False)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        (run / LOCK).write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
    except Timeout:
        raise WsolError(
            f"another training works in {run} ({_holder(run)}): expected one at a time. Wait for it, stop it, or name another {option}."
        ) from None
    except PermissionError:
        if (run / LOCK).exists():
            raise WsolError(
                f"another user's training works in {run}, or was ended there ({_holder(run)}): expected one at a time. Wait for it, remove {run / LOCK} if it has ended, or name another {option}."
            ) from None
    except OSError:  # no locks, or no room: where that matters, the training tells it
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # the disk is gone, or Windows keeps what is open
                (run / LOCK).unlink()  # before it may be another's
            lock.release()
        if not was_there:
            with suppress(OSError):  # it holds something
                run.rmdir()


def _holder(run: Path) -> str:
    with suppress(OSError):
        return (run / LOCK).read_text(encoding="utf-8") or "it has just begun"
    return "it has just ended"
