"""Speed of onnxruntime compared with PyTorch on a run's networks: same images and threads, in turns, best of several.

    python benchmarks/export_model.py RUN            # a finished run; writes nothing into it
    python benchmarks/export_model.py RUN --detail   # also onnxruntime's levels of optimisation

Measures heatmaps and class probabilities of images in memory, at the networks' size, on the CPU, without decoding and
without boxes.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from wsol import Localizer, export_model
from wsol.inference.onnx.networks import open_onnx

COUNT = 32
"""Images per measurement."""
LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def in_batches(run_model: Callable[[np.ndarray], object], pixels: np.ndarray, batch_size: int) -> Callable[[], None]:
    """Run all images in batches."""

    def work() -> None:
        for start in range(0, len(pixels), batch_size):
            run_model(pixels[start : start + batch_size])

    return work


def session_at(file: Path, level: str) -> Callable[[np.ndarray], object]:
    """The ONNX file in onnxruntime at one level of optimisation."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda pixels: session.run(None, dict.fromkeys(names, pixels))


def best_seconds(works: dict[str, Callable[[], None]], repetitions: int) -> dict[str, float]:
    """Minimum seconds of each, measured in turns, so that other work affects all equally; the first turn warms up."""
    best = dict.fromkeys(works, float("inf"))
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if repetition:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def works_of(run: Path, file: Path, *, detail: bool) -> dict[str, Callable[[], None]]:
    """The functions to compare, by name; PyTorch with large batches comes first."""
    torch_networks = Localizer.load(run, device="cpu").networks
    shape = (COUNT, 3, torch_networks.size_px, torch_networks.size_px)
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    works = {f"PyTorch, batch {size}": in_batches(torch_networks.outputs, pixels, size) for size in (32, 8, 1)}
    levels = list(LEVELS) if detail else ["all"]
    for level in levels:
        run_model = session_at(file, level)
        for size in (32, 8, 4, 1):
            works[f"onnxruntime, optimisation {level}, batch {size}"] = in_batches(run_model, pixels, size)
    works["onnxruntime, as `--engine onnx` calls it"] = in_batches(open_onnx(file, "cpu").outputs, pixels, COUNT)
    return works


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--detail", action="store_true", help="all levels of optimisation")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        file = export_model(given.run, Path(scratch) / "model.onnx", check=True, quiet=True)
        seconds = time.perf_counter() - started
        best = best_seconds(works_of(given.run, file, detail=given.detail), given.repetitions)
    base = next(iter(best.values()))
    print(
        f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}), {torch.get_num_threads()} threads, torch"
        f" {torch.__version__}, onnxruntime {onnxruntime.__version__}\n`python {shlex.join(sys.argv)}`; the best of"
        f" {given.repetitions} turns; export and check took {seconds:.0f} s\n"
    )
    print("| | images/s | times as fast |\n|---|---|---|")
    for name, took in best.items():
        print(f"| {name} | {COUNT / took:.1f} | {base / took:.2f} |")


if __name__ == "__main__":
    main()
