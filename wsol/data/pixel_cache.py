"""A cache of decoded images: in memory, or in one memory-mapped file for all processes of a machine."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.images import read_square
from wsol.errors import BrokenImage
from wsol.runtime.processes import Part
from wsol.runtime.threads import in_threads
from wsol.storage.arrays import claimed_memmap, writable_memmap
from wsol.storage.folders import text_hash
from wsol.version import __version__

Storage = Literal["memory", "disk", "nowhere"]
"""From the fastest to the slowest; `nowhere` means that images are decoded each time."""

Records = np.ndarray
"""One per image: `state`, `image_hw` (upright, on disk), `pixels` (3, size, size)."""

ABSENT, WHOLE, BROKEN = range(3)

FREE_SPACE_FACTOR = 2
"""The file is created only if the disk has this many times its size free."""


@dataclass(frozen=True)
class Limits:
    """How much may be stored in memory and on disk, in GB of 10^9 bytes."""

    memory_gb: float
    disk_gb: float
    folder: Path


def record_of(size_px: int) -> np.dtype[Any]:
    """The numpy layout of a cached image of `size_px` x `size_px` pixels."""
    return np.dtype([("state", "u1"), ("image_hw", "<i4", (2,)), ("pixels", "u1", (3, size_px, size_px))])


def slowest(storages: Sequence[Storage]) -> Storage:
    """The slowest of several storages: the fastest that all processes can use."""
    return max(storages, key=get_args(Storage).index)


def storage_for(count: int, size_px: int, limits: Limits, mine: Part, *, exists: bool = False) -> Storage:
    """The storage for `count` images. Processes of a machine that exceed its memory limit together use one file.

    Args:
        count: the number of images.
        size_px: height and width of a cached image, in pixels.
        limits: of memory and disk.
        mine: the part of the work of this process.
        exists: the file exists already and needs no more disk space.
    """
    size = count * record_of(size_px).itemsize
    if size * mine.local_count <= limits.memory_gb * 1e9:
        return "memory"
    above = next(folder for folder in (limits.folder, *limits.folder.absolute().parents) if folder.exists())
    has_room = exists or shutil.disk_usage(above).free >= FREE_SPACE_FACTOR * size
    return "disk" if size <= limits.disk_gb * 1e9 and has_room else "nowhere"


def open_cache(
    paths: Sequence[Path],
    size_px: int,
    limits: Limits,
    mine: Part,
    *,
    decoding: Decoding = DEFAULT_DECODING,
    threads: int,
    agree: Callable[[Storage], Storage],
    advance: Callable[[], None],
) -> Records | None:
    """Decode all images into the cache, or return None if they do not fit. Images in the file of a killed process are
    not decoded again.

    Args:
        paths: the images.
        size_px: height and width of a cached image, in pixels.
        limits: of memory and disk.
        mine: the part of the work of this process.
        decoding: how the files become pixels.
        threads: decoding threads.
        agree: returns the slowest storage of all processes when all have called it.
        advance: called after each image.
    """
    file = limits.folder / _name_of(paths, size_px, decoding, mine)
    storage = agree(storage_for(len(paths), size_px, limits, mine, exists=file.exists()))
    if storage == "nowhere":
        return None
    if storage == "memory":
        records: Records = np.zeros(len(paths), record_of(size_px))
        _fill(records, paths, size_px, decoding, range(len(paths)), threads, advance)
        return records
    if agree(_claimed(file, size_px, len(paths)) if mine.local_rank == 0 else "disk") == "nowhere":
        return None
    records = writable_memmap(file)
    _fill(records, paths, size_px, decoding, range(mine.local_rank, len(paths), mine.local_count), threads, advance)
    agree("disk")
    return records


def _claimed(file: Path, size_px: int, count: int) -> Storage:
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            claimed_memmap(file, record_of(size_px), count)
        except OSError:  # the disk is full or read-only: images are decoded each time
            return "nowhere"
    return "disk"


def _name_of(paths: Sequence[Path], size_px: int, decoding: Decoding, mine: Part) -> str:
    """The name of the cache file, equal for the same images; machines with a common folder have files of their own.

    It changes when the machine restarts: the content of a memory-mapped file may be damaged by a crash.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")  # Linux
    lines = chain(
        [__version__, boot.read_text() if boot.exists() else "", f"{decoding.changes()}"],
        (f"{path}\t{_stamp(path)}" for path in paths),
    )
    machine = f"-{platform.node()}" if mine.count > mine.local_count else ""
    return f"{text_hash(lines)[:16]}-{size_px}{machine}.npy"


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"


def _fill(
    records: Records,
    paths: Sequence[Path],
    size_px: int,
    decoding: Decoding,
    rows: Iterable[int],
    threads: int,
    advance: Callable[[], None],
) -> None:
    def decode(row: int) -> None:
        record = records[row]
        if record["state"] == WHOLE:  # a broken image may have been fixed and is read again
            return
        try:
            pixels, image_hw = read_square(paths[row], size_px, decoding)
        except BrokenImage:
            record["state"] = BROKEN
            return
        record["pixels"] = pixels.transpose(2, 0, 1)
        record["image_hw"] = image_hw
        record["state"] = WHOLE  # last: after a kill, records without a state are decoded again

    # Threads are enough: Pillow releases the GIL while it decodes and scales.
    for _ in in_threads(decode, rows, threads=threads):
        advance()


def remove_cache(folder: Path) -> None:
    """Delete the cache folder."""
    shutil.rmtree(folder, ignore_errors=True)


def given_cores() -> int:
    """CPU cores that this process may use: a cluster job may have only some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores() -> int:
    """Decoding threads unless the caller sets another number."""
    return min(given_cores(), 8)
