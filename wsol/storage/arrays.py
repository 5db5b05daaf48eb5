"""Arrays on disk that are read and written through memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from wsol.storage.folders import remove_left, whole_file
from wsol.storage.links import open_own


def claimed_memmap(path: Path, dtype: np.dtype[Any], count: int) -> np.memmap[Any, Any]:
    """A new .npy file of `count` zero records, its disk space claimed.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    remove_left(path)
    with whole_file(path) as partial:
        np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=(count,)).flush()
        # A hole in a memory-mapped file turns a full disk into a crash; claimed at once, it is an error that can be
        # told.
        if hasattr(os, "posix_fallocate"):  # Linux
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
    return writable_memmap(path)


def writable_memmap(path: Path) -> np.memmap[Any, Any]:
    """What `claimed_memmap` made, to be written to; never through a link.

    Raises:
        WsolError: a link, or no regular file.
        ValueError: another file.
        OSError: absent, read-only, ...
    """
    with open(open_own(path, os.O_RDWR), "r+b") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path} is no array of ours")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype, "r+", file.tell(), shape)
