"""Cost of backbones: a training step of stage 1 and a prediction, for the timm families that a run can use.

    python benchmarks/backbones.py    # the list below, at 224 pixels; about five minutes on two cores
    python benchmarks/backbones.py --only resnet50 --px 252

Weights are random, since the cost does not depend on them. Each network has its own process, so that its memory can be
measured. The table shows the fastest of several steps, as a multiple of the first network's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor

from wsol.config.methods import Cam, Seg
from wsol.errors import WsolError
from wsol.methods.spol.losses import CLASS_LOSSES
from wsol.models.backbone import feature_pyramid, scaled_px
from wsol.models.mffnet import build_mffnet, class_logits
from wsol.models.weights import WHEELS
from wsol.runtime.engine import keep_freed_memory
from wsol.runtime.torch_engine import choose_engine

BACKBONES = (
    *WHEELS,
    "mobilenetv3_large_100",
    "resnet18",
    "resnet50",
    "densenet121",
    "efficientnet_b0",
    "convnext_tiny",
    "vgg16",
    "swin_tiny_patch4_window7_224",
    "vit_small_patch16_224",
    "vit_small_patch14_dinov2",
)
CLASSES, BATCH_SIZE, STEPS = 30, 8, 4
RECIPE = Cam()


def measured(name: str, px: int) -> dict[str, Any]:
    """Measure parameters, strides, seconds per image of a step and of a prediction, and the process's peak memory."""
    keep_freed_memory()
    engine = choose_engine("cpu", "fp32")
    pyramid = feature_pyramid(name, RECIPE.levels, None)
    info: Any = pyramid.feature_info
    network = engine.place(
        build_mffnet(
            pyramid, info.channels(), CLASSES, fusion=RECIPE.fusion, attention=RECIPE.attention, auxiliary=True
        )
    )
    # The size must be a multiple of the stride or patch, such as 14 pixels.
    size_px = px // info.reduction()[-1] * info.reduction()[-1]
    images, labels = photographs(size_px), torch.arange(BATCH_SIZE) % CLASSES

    def step() -> None:
        fused, deep = (class_logits(one, is_rectified=True) for one in network(images))
        CLASS_LOSSES[RECIPE.auxiliary](fused, deep, labels).backward()

    train_s = best(step)
    network.eval()
    larger = photographs(scaled_px(network, size_px, Seg().scale))
    with torch.inference_mode():
        predict_s = best(lambda: network(larger))
    return {
        "parameters": sum(one.numel() for one in pyramid.parameters()),
        "strides": info.reduction(),
        "side_px": size_px,
        "train_s": train_s / BATCH_SIZE,
        "predict_s": predict_s / BATCH_SIZE,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Peak memory of this process in MB of 10^6 bytes."""
    import resource  # not available on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def photographs(size_px: int) -> Tensor:
    """Random images."""
    return torch.randn(BATCH_SIZE, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls."""
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def weights_of(name: str) -> str:
    """Source of the backbone's ImageNet weights."""
    if name in WHEELS:
        return "wheel"
    licence = getattr(timm.get_pretrained_cfg(name), "license", None)
    return f"hub, {licence}" if licence else "hub"


def main() -> None:
    """Measure each backbone in its own process, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="measure only the first and this backbone; may be repeated")
    parser.add_argument("--px", type=int, default=224, help="size of the training images")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, given.px)))
        return
    names = BACKBONES if not given.only else dict.fromkeys([BACKBONES[0], *given.only])
    first: dict[str, Any] = {}
    print("| backbone | weights | million parameters | strides | px | a step | a prediction | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--px", str(given.px)]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            why = said.stderr.strip().splitlines()[-1:] or [f"ended with {said.returncode}"]
            print(f"| {name} | {weights_of(name)} | {why[0]} | | | | | |", flush=True)
            continue
        found = json.loads(said.stdout.splitlines()[-1])
        first = first or found
        ratios = [f"{found[key] / first[key]:.1f}" for key in ("train_s", "predict_s")]
        print(
            f"| {name} | {weights_of(name)} | {found['parameters'] / 1e6:.1f} | {', '.join(map(str, found['strides']))}"
            f" | {found['side_px']} | {ratios[0]} | {ratios[1]} | {found['peak_mb']:.0f} |",
            flush=True,
        )
    if first:
        print(
            f"\n1.0 is {1 / first['train_s']:.1f} images a second in training and {1 / first['predict_s']:.1f} in"
            f" prediction here, {torch.get_num_threads()} threads."
        )


if __name__ == "__main__":
    try:
        main()
    except WsolError as error:
        sys.exit(f"error: {error}")
