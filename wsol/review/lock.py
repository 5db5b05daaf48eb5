"""One server a folder: a lock that ends with its process, and the address that a killed server leaves to the next one."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from wsol.errors import WsolError

FILE = ".review.lock"


@dataclass(frozen=True)
class Address:
    """Where a page is served."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """What a person opens; the token in it is the key."""
        return f"http://127.0.0.1:{self.port}/review/{self.token}"


class Lock:
    """An exclusively locked file in the folder, readable by its owner alone, since it holds the key to the page."""

    def __init__(self, file: int) -> None:
        self._file = file

    def left(self) -> Address | None:
        """The address of a server that was killed: a page that is still open finds the next one there."""
        try:
            row = json.loads(os.pread(self._file, 1000, 0))
            return Address(int(row["port"]), str(row["token"]))
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, address: Address | None) -> None:
        """Say where the page is; None when it ends in peace."""
        os.ftruncate(self._file, 0)
        if address is not None:
            os.pwrite(self._file, json.dumps(asdict(address)).encode(), 0)


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Hold the folder.

    Raises:
        WsolError: another server has it.
    """
    file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = Lock(file).left()
            at = f" on port {other.port}" if other else ""
            raise WsolError(
                f"{folder} is being reviewed already{at}: expected one `wsol review` a folder, which serves any number of windows. Open its address there, or end it first (Ctrl-C)."
            ) from None
        yield Lock(file)
    finally:
        os.close(file)
