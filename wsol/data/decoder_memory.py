"""A limit for the memory of all image decoders together: a small file may hold gigabytes of pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Condition, Lock

from PIL import Image

from wsol.data.deep_colours import is_deep
from wsol.runtime.processes import part

PARTS = 4
"""All decoders together use at most the machine's memory divided by this number."""
UNKNOWN_BYTES = 4 * 2**30
"""The memory assumed on a system that does not report it (Windows)."""

FORMAT_BYTES = {"WEBP": 12, "AVIF": 12, "GIF": 8, "TIFF": 8}
"""Bytes per pixel that a decoder needs in addition to the pixels it returns: measured, or the worst case."""


class Memory:
    """A number of bytes that threads claim and release; a thread waits until enough bytes are free."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._freed = Condition()
        self._turn = Lock()

    @contextmanager
    def claimed(self, size: int) -> Iterator[None]:
        """Hold `size` bytes, at most `limit`, during the block."""
        if size > self.limit:
            raise ValueError(f"{size} bytes can never be free: the limit is {self.limit}")
        # In order of arrival: otherwise small images could delay a large one for ever.
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._used + size <= self.limit)
            self._used += size
        try:
            yield
        finally:
            with self._freed:
                self._used -= size
                self._freed.notify_all()


def decoder_memory() -> Memory:
    """The memory for the decoders of this process."""
    return _memory_of(os.getpid())  # a forked process must not inherit the claims of its parent's threads


@cache
def _memory_of(process: int) -> Memory:
    return Memory(machine_bytes() // PARTS // part().local_count)


def machine_bytes() -> int:
    """The memory of this machine in bytes, or the limit of its container or cluster job if that is lower."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        physical = UNKNOWN_BYTES
    return min([physical, *cgroup_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def cgroup_limits(own: Path, mounted: Path) -> Iterator[int]:
    """The cgroup memory limits of this process in bytes, of version 2 (`0::/a/b`) and 1 (`9:memory:/a/b`), with those
    of all parent groups.

    In a container the path may be that of the host, of which only the top exists.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            try:
                yield int((folder / name).read_text())
            except (OSError, ValueError):  # no limit is spelt `max`
                continue


WINDOW_BYTES = 12
"""Bytes per pixel that a window needs in addition: the lower bytes of 16-bit colours and both together, or the values
of which percentiles are computed."""


def needed_bytes(image: Image.Image, full_px: int, result_px: int, *, has_window: bool = False) -> int:
    """Memory to decode an opened image and to convert it to `result_px` upright RGB pixels, in bytes.

    `full_px` is the number of pixels in the file; a JPEG decoder may return fewer (`Image.draft`). A window is for deep
    pixels alone.
    """
    is_grey, is_small = image.mode[0] in "IF", image.mode in ("1", "L", "P")
    stored = 1 if is_small else 2 if image.mode.startswith("I;16") else 4
    opaque = 1 if is_grey or (image.mode in ("1", "L") and not image.has_transparency_data) else 4
    copies = 1 if image.mode in ("L", "RGB") else 2  # one rotated upright, another one converted before
    # Progressive JPEGs keep all coefficients, whatever the scale.
    coefficients = 2 * len(image.getbands()) * full_px if "progressive" in image.info else 0
    window = WINDOW_BYTES if has_window and is_deep(image) else 0
    beside = 0 if image.info.get("compression") == "raw" else FORMAT_BYTES.get(image.format or "", 0)
    # An RGB pixel takes 4 bytes in Pillow, 3 in an array and 3 in the copy from which the array is made.
    return image.width * image.height * (stored + copies * opaque + beside + window) + coefficients + 10 * result_px
