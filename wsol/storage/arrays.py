"""Memory-mapped arrays on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from wsol.storage.folders import remove_left, whole_file
from wsol.storage.links import open_own


def claimed_memmap(path: Path, dtype: np.dtype[Any], count: int) -> np.memmap[Any, Any]:
    """Create a .npy file of zeros and allocate its disk space.

    Args:
        path: the file.
        dtype: type of a record.
        count: number of records.

    Returns:
        The writable array, shape (count,).

    Raises:
        OSError: the disk is full, read-only, ...
    """
    remove_left(path)
    with whole_file(path) as partial:
        np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=(count,)).flush()
        # If the disk fills up, writing to a hole in a memory-mapped file crashes the process; allocating first raises
        # OSError instead.
        if hasattr(os, "posix_fallocate"):  # Linux
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
    return writable_memmap(path)


def writable_memmap(path: Path) -> np.memmap[Any, Any]:
    """Open the file of `claimed_memmap` for writing; never through a link.

    Args:
        path: the file.

    Returns:
        The writable array, shape (count,).

    Raises:
        WsolError: a link, or not a regular file.
        ValueError: a file of another format.
        OSError: absent, read-only, ...
    """
    with open(open_own(path, os.O_RDWR), "r+b") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path} was not written by wsol")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype, "r+", file.tell(), shape)
