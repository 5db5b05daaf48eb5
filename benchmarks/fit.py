"""How long `wsol fit` takes from nothing to boxes, stage by stage, and how much memory it needs at its peak.

    python benchmarks/fit.py DATA --run runs/benchmark [options of wsol fit]

Seconds belong to one machine, so the last column compares: a stage's images per second as a share of the bare backbone's
forward and backward pass on random pictures, measured in the same call.
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

BARE = """
import time, timm, torch
from wsol.engine import choose_engine
engine = choose_engine("cpu", "fp32")
network = engine.place(timm.create_model("{backbone}", features_only=True, out_indices=(-3, -2, -1))).train()
images = torch.randn(16, 3, 224, 224).contiguous(memory_format=torch.channels_last)
best = 1e9
for _ in range(6):
    started = time.perf_counter()
    sum(level.mean() for level in network(images)).backward()
    best = min(best, time.perf_counter() - started)
print(16 / best)
"""


def main() -> None:
    """Run the command, then read what the stages say of themselves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    given, options = parser.parse_known_args()  # what is not ours is for wsol fit
    if given.run.exists():
        parser.error(f"{given.run} exists: expected a free name, so that nothing is already done")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "wsol", "fit", given.data, "--run", given.run, *options], check=True)
    seconds = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    backbone = json.loads((given.run / "cam" / "model.json").read_text())["backbone"]
    bare = float(
        subprocess.run(
            [sys.executable, "-c", BARE.format(backbone=backbone)], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
    )
    print(
        f"{seconds / 60:.1f} minutes in all, peak memory {peak_gb:.1f} GB, {os.cpu_count()} cores; bare backbone {bare:.1f} images/s\n"
    )
    print("| stage | seconds | images/s in training | of the bare backbone |\n|---|---|---|---|")
    for stage in ("cam", "pseudo", "seg", "classifier"):
        path = given.run / stage / "manifest.json"
        if path.exists():
            figures = json.loads(path.read_text())["figures"]
            speed = figures["images"] / figures["seconds"] if "images" in figures else None
            print(
                f"| {stage} | {figures['seconds']:.0f} |"
                + (f" {speed:.1f} | {speed / bare:.0%} |" if speed else " | |")
            )


if __name__ == "__main__":
    main()
