"""Only one command at a time writes to a folder. The operating system releases the lock when the process ends, also
after a kill.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from wsol.errors import WsolError
from wsol.runtime.processes import part
from wsol.storage.links import refuse_link

PATIENCE_SECONDS = 0.3
"""For a process that is about to end."""
MAX_NOTE_BYTES = 300
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP}


class Hold:
    """The lock of a folder, and the note in its file about the process that holds it."""

    def __init__(self, doing: str) -> None:
        self.left = ""
        """The note of a killed process. Any user may have written it: it is neither secret nor reliable."""
        self._doing = f"`{doing}`, process {os.getpid()} on {platform.node()}"
        self._file: int | None = None

    def note(self, more: str) -> None:
        """Add to the note, which other commands show when they are refused."""
        self._write(f"{self._doing}, {more}")

    def begin(self, file: int) -> None:
        """The lock is acquired: write the note to its file, which has this descriptor."""
        self._file = file
        with suppress(OSError):
            self.left = _plain(os.read(file, MAX_NOTE_BYTES))
        self._write(self._doing)

    def end(self) -> None:
        """The descriptor is about to be closed."""
        self._file = None

    def _write(self, text: str) -> None:
        if self._file is not None:
            with suppress(OSError):  # the disk is full: the note is lost, the lock is not
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, text.encode("utf-8", "surrogateescape"))


def lock_file(folder: Path) -> Path:
    """The lock file, beside the folder, which may not exist yet; the same for all links to the folder."""
    folder = Path(os.path.realpath(folder))
    return folder.with_name(f".{folder.name}.wsol") if folder.name else folder / ".wsol"


@contextmanager
def held(folder: Path, doing: str, otherwise: str) -> Iterator[Hold]:
    """Lock a folder while a command writes it. If the file system has no locks, continue without.

    If a command runs as several processes, the first one holds the lock for all.

    Args:
        folder: the folder, which may not exist yet.
        doing: the command that writes it, for the messages of others.
        otherwise: an alternative to waiting, such as "name another --out".

    Yields:
        The lock.

    Raises:
        WsolError: another process holds the lock.
    """
    hold = Hold(doing)
    if not part().is_first:
        yield hold
        return
    file = lock_file(folder)
    made = [above for above in file.parents if not above.exists()]
    try:
        lock = _acquired(file, folder, hold, otherwise)
        if lock is None and folder.is_dir():  # the folder above belongs to another user
            lock = _acquired(Path(os.path.realpath(folder), ".wsol"), folder, hold, otherwise)
        try:
            yield hold
        finally:
            hold.end()
            if lock is not None:
                _release(lock)
    finally:
        with suppress(OSError):  # not empty
            for above in made:
                above.rmdir()


def _acquired(file: Path, folder: Path, hold: Hold, otherwise: str) -> FileLock | None:
    """The lock; None if locking is not possible."""
    refuse_link(file)
    lock = FileLock(file, PATIENCE_SECONDS, fallback_to_soft=False, on_acquired=hold.begin)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        return lock
    except Timeout:
        raise WsolError(
            f"{folder} is in use by {_holder(file)}",
            expected="one command at a time",
            remedy=f"Wait for it, stop it, or {otherwise}.",
        ) from None
    except PermissionError:
        if file.exists():
            raise WsolError(
                f"{folder} is in use by another user, or was when that command was killed ({_holder(file)})",
                expected="one command at a time",
                remedy=f"Wait for it, remove {file} if it has ended, or {otherwise}.",
            ) from None
        return None
    except OSError as error:  # no locks, or a full disk: the command reports it if it matters
        if error.errno in _NO_LOCKS:
            with suppress(OSError):
                file.unlink()
        return None


def _release(lock: FileLock) -> None:
    file = Path(lock.lock_file)
    with suppress(OSError):  # the disk is gone, or the file is open on Windows
        file.unlink()  # before the release, after which it may belong to another process
    lock.release()
    if os.name == "nt":
        with suppress(OSError):
            file.unlink()


def _holder(file: Path) -> str:
    with suppress(OSError):
        return _plain(file.read_bytes()[:MAX_NOTE_BYTES]) or "a command that has just begun"
    return "a command that has just ended"


def _plain(note: bytes) -> str:
    return "".join(filter(str.isprintable, note.decode("utf-8", "replace")))
