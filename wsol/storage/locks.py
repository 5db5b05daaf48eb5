"""One command at a time writes a folder. The system lets go of the lock with the process that has it, however that
ends.
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
"""For a process that is just ending."""
LONGEST_NOTE = 300
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP}


class Hold:
    """A folder that is held."""

    def __init__(self, doing: str) -> None:
        self.left = ""
        """What a killed process noted of itself. Anybody may have written it: nothing secret, and nothing to rely
        on."""
        self._doing = f"`{doing}`, process {os.getpid()} on {platform.node()}"
        self._file: int | None = None

    def note(self, more: str) -> None:
        """Tell those who are kept out something more about this process."""
        self._write(f"{self._doing}, {more}")

    def begin(self, file: int) -> None:
        """The lock is ours: say so in its file, of which this is the descriptor."""
        self._file = file
        with suppress(OSError):
            self.left = _plain(os.read(file, LONGEST_NOTE))
        self._write(self._doing)

    def end(self) -> None:
        """The descriptor is not ours any more."""
        self._file = None

    def _write(self, text: str) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk: then nobody learns who works here
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, text.encode("utf-8", "surrogateescape"))


def lock_file(folder: Path) -> Path:
    """Beside the folder, which takes its name only when it is complete; the same for all links that lead to it."""
    folder = Path(os.path.realpath(folder))
    return folder.with_name(f".{folder.name}.wsol") if folder.name else folder / ".wsol"


@contextmanager
def held(folder: Path, doing: str, otherwise: str) -> Iterator[Hold]:
    """Hold a folder while a command, which `doing` names, writes it. Where a file system has no locks, go on without.

    Of several processes the first holds it for all: the lock of a shared disk would keep out those on other machines.

    `otherwise` is what to do but for waiting, such as "name another --out".

    Raises:
        WsolError: another process holds it.
    """
    hold = Hold(doing)
    if not part().is_first:
        yield hold
        return
    file = lock_file(folder)
    made = [above for above in file.parents if not above.exists()]
    try:
        lock = _acquired(file, folder, hold, otherwise)
        if lock is None and folder.is_dir():  # the folder above is another user's
            lock = _acquired(Path(os.path.realpath(folder), ".wsol"), folder, hold, otherwise)
        try:
            yield hold
        finally:
            hold.end()
            if lock is not None:
                _release(lock)
    finally:
        with suppress(OSError):  # they hold something
            for above in made:
                above.rmdir()


def _acquired(file: Path, folder: Path, hold: Hold, otherwise: str) -> FileLock | None:
    """The lock; None where there can be none."""
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
    except OSError as error:  # no locks, or no room: where that matters, the command tells it
        if error.errno in _NO_LOCKS:
            with suppress(OSError):
                file.unlink()
        return None


def _release(lock: FileLock) -> None:
    file = Path(lock.lock_file)
    with suppress(OSError):  # the disk is gone, or Windows keeps what is open
        file.unlink()  # before it may be another's
    lock.release()
    if os.name == "nt":
        with suppress(OSError):
            file.unlink()


def _holder(file: Path) -> str:
    with suppress(OSError):
        return _plain(file.read_bytes()[:LONGEST_NOTE]) or "a command that has just begun"
    return "a command that has just ended"


def _plain(note: bytes) -> str:
    return "".join(filter(str.isprintable, note.decode("utf-8", "replace")))
