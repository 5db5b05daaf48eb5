"""Where a run would be kept: room, the right to write, shared memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from wsol.config.options import RunConfig
from wsol.doctor.lines import Seen
from wsol.storage.arrays import claimed_memmap
from wsol.storage.folders import new_folder, write_manifest, write_text

LITTLE_GB, TOO_LITTLE_GB = 5.0, 0.5
SHARED = Path("/dev/shm")  # Linux
LITTLE_SHARED_MB = 256


def above(folder: Path) -> Path:
    """The folder itself, or the nearest one above that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def free_space(folder: Path) -> list[Seen]:
    """Room on the disk, GB of 10^9 bytes."""
    free_gb = shutil.disk_usage(above(folder)).free / 1e9
    what = (
        f"{free_gb:.1f} GB free in {above(folder)}; kept images may take up to {RunConfig().disk_cache_gb:g}"
        " (`--disk-cache-gb`)"
    )
    return [Seen("fail" if free_gb < TOO_LITTLE_GB else "warn" if free_gb < LITTLE_GB else "ok", what)]


def writing(folder: Path) -> list[Seen]:
    """What every stage does: files written, renamed and mapped into memory in a folder that then takes its name."""
    if not above(folder).is_dir():
        return [Seen("fail", f"{above(folder)} is a file: expected a folder there")]
    scratch = Path(tempfile.mkdtemp(prefix=".wsol-doctor-", dir=above(folder)))
    try:
        with new_folder(scratch / "run") as partial:
            write_text(partial / "text", "wsol")
            records = claimed_memmap(partial / "pixels.npy", np.dtype("u1"), 4096)
            records[:] = 7
            records.flush()
            write_manifest(partial, "doctor", {}, {}, {})
        text, kept = (scratch / "run/text").read_text(), np.load(scratch / "run/pixels.npy")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if text != "wsol" or not (kept == 7).all():
        return [Seen("fail", f"files in {above(folder)} do not come back as they were written")]
    return [Seen("ok", f"files and folders in {above(folder)} are written, renamed and mapped into memory")]


def shared_memory() -> list[Seen]:
    """Room for what the processes of several GPUs send one another; no line where the system has no limit of its own
    for it.
    """
    if not SHARED.is_dir():
        return []
    free_mb = shutil.disk_usage(SHARED).free / 1e6
    advice = "`docker run --shm-size=2g`, or `mount -o remount,size=2g /dev/shm`, if several GPUs are to work together"
    return [Seen("ok" if free_mb >= LITTLE_SHARED_MB else "warn", f"{free_mb:.0f} MB free in {SHARED}", advice)]
