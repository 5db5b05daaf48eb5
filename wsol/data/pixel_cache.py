"""Decoded images, kept: in memory, or in one memory-mapped file that all processes of a machine share."""

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

from wsol.data.images import read_square
from wsol.errors import BrokenImage
from wsol.runtime.processes import Part
from wsol.runtime.threads import in_threads
from wsol.storage.arrays import claimed_memmap, writable_memmap
from wsol.storage.folders import text_hash
from wsol.version import __version__

Place = Literal["memory", "disk", "nowhere"]
"""From the best to the poorest."""

Records = np.ndarray
"""One per image: `state`, `image_hw` (upright, on disk), `pixels` (3, side, side)."""

ABSENT, WHOLE, BROKEN = range(3)

FREE_SPACE_FACTOR = 2
"""The file is made only where the disk has that many times its size free."""


@dataclass(frozen=True)
class Limits:
    """How much may be kept where, in GB of 10^9 bytes."""

    memory_gb: float
    disk_gb: float
    folder: Path


def record_of(size_px: int) -> np.dtype[Any]:
    """The layout of a kept image."""
    return np.dtype([("state", "u1"), ("image_hw", "<i4", (2,)), ("pixels", "u1", (3, size_px, size_px))])


def poorest(places: Sequence[Place]) -> Place:
    """What all of several processes can do."""
    return max(places, key=get_args(Place).index)


def place_for(count: int, size_px: int, limits: Limits, mine: Part, *, is_there: bool = False) -> Place:
    """Where so many images can be kept; the processes of a machine share its memory, so they go to one file together.

    A file that `is_there` already needs no more room.
    """
    size = count * record_of(size_px).itemsize
    if size * mine.local_count <= limits.memory_gb * 1e9:
        return "memory"
    above = next(folder for folder in (limits.folder, *limits.folder.absolute().parents) if folder.exists())
    has_room = is_there or shutil.disk_usage(above).free >= FREE_SPACE_FACTOR * size
    return "disk" if size <= limits.disk_gb * 1e9 and has_room else "nowhere"


def open_cache(
    paths: Sequence[Path],
    size_px: int,
    limits: Limits,
    mine: Part,
    *,
    threads: int,
    agree: Callable[[Place], Place],
    advance: Callable[[], None],
) -> Records | None:
    """All images decoded, or None where they have no place. What a killed process has put into the file is not done
    again.

    `agree` returns when all processes have called it, with the poorest place; `advance` is told of every image.
    """
    file = limits.folder / _name_of(paths, size_px, mine)
    place = agree(place_for(len(paths), size_px, limits, mine, is_there=file.exists()))
    if place == "nowhere":
        return None
    if place == "memory":
        records: Records = np.zeros(len(paths), record_of(size_px))
        _fill(records, paths, size_px, range(len(paths)), threads, advance)
        return records
    if agree(_claimed(file, size_px, len(paths)) if mine.local_rank == 0 else "disk") == "nowhere":
        return None
    records = writable_memmap(file)
    _fill(records, paths, size_px, range(mine.local_rank, len(paths), mine.local_count), threads, advance)
    agree("disk")
    return records


def _claimed(file: Path, size_px: int, count: int) -> Place:
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            claimed_memmap(file, record_of(size_px), count)
        except OSError:  # full after all, or read-only: images can be decoded anew
            return "nowhere"
    return "disk"


def _name_of(paths: Sequence[Path], size_px: int, mine: Part) -> str:
    """The same for the same images; machines that share a folder do not share the file.

    After the machine has started anew it is another one: what a crash left of a memory-mapped file cannot be trusted.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")  # Linux
    lines = chain(
        [__version__, boot.read_text() if boot.exists() else ""], (f"{path}\t{_stamp(path)}" for path in paths)
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
    rows: Iterable[int],
    threads: int,
    advance: Callable[[], None],
) -> None:
    def decode(row: int) -> None:
        record = records[row]
        if record["state"] == WHOLE:  # a broken one may have been fixed
            return
        try:
            pixels, image_hw = read_square(paths[row], size_px)
        except BrokenImage:
            record["state"] = BROKEN
            return
        record["pixels"] = pixels.transpose(2, 0, 1)
        record["image_hw"] = image_hw
        record["state"] = WHOLE  # last: a killed process redoes what has no state

    # Threads are enough: Pillow releases the GIL while it decodes and scales.
    for _ in in_threads(decode, rows, threads=threads):
        advance()


def remove_cache(folder: Path) -> None:
    """Give the disk back."""
    shutil.rmtree(folder, ignore_errors=True)


def given_cores() -> int:
    """Cores that this process may use: a job on a cluster may have been given some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores() -> int:
    """Threads that decode unless the caller sets another number."""
    return min(given_cores(), 8)
