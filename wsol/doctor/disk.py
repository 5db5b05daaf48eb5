"""Disk checks: free space, write permission, shared memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from wsol.config.options import RunConfig
from wsol.doctor.lines import Finding
from wsol.storage.arrays import claimed_memmap
from wsol.storage.folders import new_folder, write_manifest, write_text

WARN_BELOW_GB, FAIL_BELOW_GB = 5.0, 0.5
SHARED = Path("/dev/shm")  # Linux
WARN_BELOW_SHARED_MB = 256


def nearest_existing(folder: Path) -> Path:
    """Return the folder itself, or its nearest parent that exists."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def free_space(folder: Path) -> list[Finding]:
    """Check the free space of a folder's disk, in GB of 10^9 bytes."""
    free_gb = shutil.disk_usage(nearest_existing(folder)).free / 1e9
    what = (
        f"{free_gb:.1f} GB free in {nearest_existing(folder)}; the image cache takes up to"
        f" {RunConfig().disk_cache_gb:g} (`--disk-cache-gb`)"
    )
    return [Finding("fail" if free_gb < FAIL_BELOW_GB else "warn" if free_gb < WARN_BELOW_GB else "ok", what)]


def writing(folder: Path) -> list[Finding]:
    """Do what every stage does: write, rename and memory-map files in a new folder that then gets its final name."""
    if not nearest_existing(folder).is_dir():
        return [Finding("fail", f"{nearest_existing(folder)} is a file: expected a folder")]
    scratch = Path(tempfile.mkdtemp(prefix=".wsol-doctor-", dir=nearest_existing(folder)))
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
        return [Finding("fail", f"files in {nearest_existing(folder)} do not read back as they were written")]
    return [
        Finding("ok", f"files and folders in {nearest_existing(folder)} can be written, renamed and mapped into memory")
    ]


def shared_memory() -> list[Finding]:
    """Check the shared memory that processes of several GPUs need; no result on systems without `/dev/shm`."""
    if not SHARED.is_dir():
        return []
    free_mb = shutil.disk_usage(SHARED).free / 1e6
    advice = "`docker run --shm-size=2g`, or `mount -o remount,size=2g /dev/shm`, to train on several GPUs"
    return [Finding("ok" if free_mb >= WARN_BELOW_SHARED_MB else "warn", f"{free_mb:.0f} MB free in {SHARED}", advice)]
