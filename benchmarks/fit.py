"""Time of `wsol fit` from nothing to boxes, by stage, and its peak memory.

    python benchmarks/fit.py DATA --run runs/benchmark [options of wsol fit]
    python benchmarks/fit.py DATA --run runs/benchmark --beside OTHER

Seconds depend on the machine, so the last column is relative: a training's images per second as a fraction of the bare
backbone's forward and backward pass at 224 px; for a stage without training, as a fraction of its backbone's forward
pass at the stage's own size and stride. Both are measured in the same call with the same number of threads, on random
images in memory. Do not use the machine for anything else meanwhile.

OTHER is a checkout of another wsol: its `wsol fit` with its defaults runs at the same time, each with half of the
cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from wsol.methods.instant import rectified_backbone
from wsol.models.backbone import feature_pyramid, pretrained_state
from wsol.models.checkpoint import MethodConfig, read_model_config
from wsol.runs.saved_config import load_config
from wsol.runtime.torch_engine import choose_engine

BATCH_SIZE, TURNS, TRAINING_PX = 16, 6, 224
LOOKING, TRAINED = ("cues", "instant", "pseudo"), ("cam", "seg", "classifier")


def bare_training(backbone: str) -> float:
    """Images per second, forward and backward."""
    network = choose_engine("cpu", "fp32").place(feature_pyramid(backbone, 3, None)).train()
    images = torch.randn(BATCH_SIZE, 3, TRAINING_PX, TRAINING_PX).contiguous(memory_format=torch.channels_last)
    return _best(lambda: sum(level.mean() for level in network(images)).backward())


def bare_look(model_config: MethodConfig) -> float:
    """Images per second, forward only, with the stage's size and stride, without folded layers."""
    state = dict(pretrained_state(model_config.backbone, None))
    network = choose_engine("cpu", "fp32").place(rectified_backbone(model_config, state)).eval()
    images = torch.randn(BATCH_SIZE, 3, model_config.resize_px, model_config.resize_px).contiguous(
        memory_format=torch.channels_last
    )
    with torch.inference_mode():
        return _best(lambda: network(images))


def _best(job: Any) -> float:
    best = float("inf")
    for _ in range(TURNS):
        started = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - started)
    return BATCH_SIZE / best


def begun(data: Path, run: Path, options: list[str], root: Path | None, threads: int) -> subprocess.Popen[bytes]:
    """Start `wsol fit` of this wsol or of another checkout."""
    own = {"OMP_NUM_THREADS": f"{threads}", "MKL_NUM_THREADS": f"{threads}"}
    path = {} if root is None else {"PYTHONPATH": str(root.resolve())}
    command = [sys.executable, "-m", "wsol", "fit", str(data.resolve()), "--run", str(run.resolve()), *options]
    return subprocess.Popen(command, env=os.environ | own | path, cwd=root)


def print_stages(run: Path) -> None:
    """Read the figures in the manifests of the stages."""
    looks = [run / stage / "model.json" for stage in ("cues", "instant")]
    model_config = next((read_model_config(path.parent, MethodConfig) for path in looks if path.exists()), None)
    bare = {
        "train": bare_training(load_config(run).backbone),
        "look": bare_look(model_config) if model_config else None,
    }
    shown = f", forward alone at {model_config.resize_px} px {bare['look']:.1f}" if model_config else ""
    print(f"bare backbone {bare['train']:.1f} images/s forward and backward{shown}\n")
    print("| stage | seconds | images/s | of the bare backbone |\n|---|---|---|---|")
    for stage in (*LOOKING, *TRAINED):
        path = run / stage / "manifest.json"
        if not path.exists():
            continue
        figures = json.loads(path.read_text())["figures"]
        images = figures.get("images") or figures.get("images_per_second", 0) * figures["seconds"]
        speed, of = images / figures["seconds"], bare["train" if stage in TRAINED else "look"]
        share = f"{speed / of:.0%}" if of and speed else ""
        print(f"| {stage} | {figures['seconds']:.0f} | {f'{speed:.1f}' if speed else ''} | {share} |")


def main() -> None:
    """Run the command, then read its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--beside", type=Path, help="a checkout of another wsol")
    given, options = parser.parse_known_args()  # all other options are for wsol fit
    runs = {given.run: None} | ({given.run.with_name(f"{given.run.name}-beside"): given.beside} if given.beside else {})
    for run in runs:
        if run.exists():
            parser.error(f"{run} exists: expected a free name, so that nothing is already done")
    threads = max((os.cpu_count() or 1) // len(runs), 1)
    started = time.perf_counter()
    left = {run: begun(given.data, run, options, root, threads) for run, root in runs.items()}
    seconds: dict[Path, float] = {}
    while left:
        for run, one in list(left.items()):
            if one.poll() is not None:
                seconds[run] = time.perf_counter() - started
                if left.pop(run).returncode:
                    parser.exit(1, f"error: wsol fit of {run} ended with {one.returncode}\n")
        time.sleep(0.2)
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{threads} of {os.cpu_count()} cores each, peak memory {peak_gb:.1f} GB")
    for run, root in runs.items():
        times = f", {seconds[run] / seconds[given.run]:.2f} times as long" if root else ""
        print(f"{run}: {seconds[run] / 60:.1f} minutes{times}")
    torch.set_num_threads(threads)
    print_stages(given.run)


if __name__ == "__main__":
    main()
