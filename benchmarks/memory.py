"""Memory of a prediction as a function of the number of images.

    python benchmarks/memory.py --run RUN                       # 1,000, 5,000, 10,000 and 20,000 generated images
    python benchmarks/memory.py --run RUN --counts 1000,50000

For each number, `wsol predict` runs in its own process with RUN's networks at the size of the images (96 px), which
takes minutes. The peak is of the resident memory, sampled twenty times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import psutil

from wsol.config.groups import networks_of
from wsol.runs.saved_config import load_config

COUNTS = (1_000, 5_000, 10_000, 20_000)
SIZE_PX = 96
THRESHOLD = 0.01
"""Low, so that the generated images give objects, whose masks take memory."""
SECONDS_BETWEEN_LOOKS = 0.05


def peak_mb_of(command: Sequence[str | Path]) -> float:
    """Run a command; return its peak memory in MB of 10^6 bytes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    process = psutil.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            peak = max(peak, process.memory_info().rss)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1e6


def write_images(folder: Path, counts: Sequence[int], size_px: int) -> list[Path]:
    """For each of the rising `counts` a folder with that many images, the smaller ones' by links: soft blots, none like
    another.
    """
    random = np.random.default_rng(0)
    parts = []
    for start, stop in pairwise((0, *counts)):
        part = folder / "images" / f"{start:07}"
        part.mkdir(parents=True)
        for i in range(start, stop):
            blots = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            cv2.imwrite(str(part / f"{i:07}.jpg"), cv2.resize(blots, (size_px, size_px), interpolation=cv2.INTER_CUBIC))
        parts.append(part)
    folders = []
    for number, count in enumerate(counts, start=1):
        folders.append(folder / f"{count}")
        folders[-1].mkdir()
        for part in parts[:number]:
            (folders[-1] / part.name).symlink_to(part)
    return folders


def copy_networks(run: Path, copy: Path) -> Path:
    """Copy the files of a finished run that prediction needs."""
    copy.mkdir()
    shutil.copy(run / "config.yaml", copy)
    for part in networks_of(load_config(run)):
        if (run / part).exists():
            shutil.copytree(run / part, copy / part)
    return copy


def take_images_of(size_px: int, run: Path) -> None:
    """Set another image size for the networks of a run; as convolutions they take any."""
    for model_config in run.glob("*/model.json"):
        model_config.write_text(json.dumps(json.loads(model_config.read_text()) | {"resize_px": size_px}))


def print_memory(run: Path, counts: Sequence[int], scratch: Path, size_px: int = SIZE_PX) -> None:
    """Print one row per number of images."""
    small = copy_networks(run, scratch / "run")
    take_images_of(size_px, small)
    first: float | None = None
    print("| images | seconds | peak, MB | growth |\n|---|---|---|---|")
    for count, folder in zip(counts, write_images(scratch, counts, size_px), strict=True):
        started = time.perf_counter()
        command = [sys.executable, "-m", "wsol", "predict", small, folder, "--out", scratch / f"out{count}"]
        peak = peak_mb_of([*command, "--threshold", str(THRESHOLD)])
        seconds = time.perf_counter() - started
        first = first or peak
        print(f"| {count} | {seconds:.0f} | {peak:.0f} | {peak / first - 1:+.1%} |", flush=True)


def counts_of(text: str) -> list[int]:
    """Parse increasing numbers, separated by commas."""
    counts = [int(word) for word in text.split(",")]
    if not all(a < b for a, b in pairwise((0, *counts))):
        raise argparse.ArgumentTypeError(f"expected rising positive numbers like 1000,5000, got {text}")
    return counts


def main() -> None:
    """Measure in a temporary folder, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run")
    parser.add_argument("--counts", type=counts_of, default=list(COUNTS), help="rising numbers of images")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print_memory(given.run, given.counts, Path(scratch))


if __name__ == "__main__":
    main()
