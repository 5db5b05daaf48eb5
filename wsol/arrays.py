"""Arrays on disk that are read and written through memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def claimed_memmap(path: Path, dtype: np.dtype[Any], count: int) -> np.memmap[Any, Any]:
    """A new .npy file of `count` zero records, its disk space claimed.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=(count,)).flush()
        # A hole in a memory-mapped file turns a full disk into a crash; claimed at once, it is an error that can be told.
        if hasattr(os, "posix_fallocate"):  # Linux
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, path)
    return np.lib.format.open_memmap(path, mode="r+")
