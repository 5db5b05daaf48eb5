"""The jobs of a worker: each uses one library or device as a run would, and returns findings.

Libraries are imported inside the jobs, so that a failed import is a finding of the job that needs the library.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsol.doctor.lines import Finding, first_line
from wsol.text import number_of

if TYPE_CHECKING:
    from wsol.runtime.engine import Engine

Findings = list[Finding]

NVIDIA = Path("/proc/driver/nvidia/version")
"""Exists if NVIDIA's GPU driver is loaded (Linux)."""
BATCH, SIZE_PX = 16, 256
"""Values of the default configuration."""


def pair() -> Findings:
    """Check that torch and torchvision match: torchvision's compiled operators need the torch of their build."""
    import torch
    import torchvision
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    versions = f"Python {sys.version.split()[0]}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    if kept != [0, 2]:
        return [Finding("fail", f"{versions}: nms keeps boxes {kept} of three, expected [0, 2]")]
    return [Finding("ok", f"{versions}: nms is correct")]


def steps() -> Findings:
    """Do a training step on each device, from the same weights and images."""
    import torch

    reference = training_step("cpu")
    findings = [_finding("cpu", reference, reference)]
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    for device in [*gpus, *(["mps"] if torch.backends.mps.is_available() else [])]:
        print(f"trying {device}", file=sys.stderr)  # noqa: T201, shown if that device hangs
        try:
            findings.append(_finding(device, training_step(device), reference))
        except Exception as error:  # the other devices are still tried
            findings.append(Finding("fail", f"{device}: {first_line(error)}"))
    if NVIDIA.exists() and not gpus:
        what = f"an NVIDIA driver is loaded, but torch {torch.__version__} finds no GPU"
        findings.append(
            Finding(
                "warn",
                what,
                "`pip install --force-reinstall torch torchvision` if this torch is for CPUs only, else update the"
                " driver, or start the container with GPU access",
            )
        )
    return findings


Losses = dict[str, tuple[float, float]]
"""By precision: the loss, and the duration of the step in seconds."""


def training_step(device: str) -> Losses:
    """Do forward, backward and optimizer step of a tiny MFF-Net on random images, in bf16 too if the hardware has it.

    Args:
        device: as for `--device`.

    Returns:
        Loss and duration by precision.
    """
    import torch

    from wsol.runtime.torch_engine import choose_engine, has_bf16

    engine = choose_engine(device, "fp32")
    engines = {"fp32": engine} | ({"bf16": engine.with_bf16(True)} if has_bf16(torch.device(device)) else {})
    losses: Losses = {}
    for precision, one in engines.items():
        started = time.perf_counter()
        loss = _step(one)
        losses[precision] = loss, time.perf_counter() - started
    return losses


def _step(engine: Engine) -> float:
    import torch

    from wsol.data.crops import random_view, standardised
    from wsol.methods.spol.losses import joint
    from wsol.models.checkpoint import MffConfig, build
    from wsol.models.mffnet import class_logits

    model_config = MffConfig(
        backbone="test_resnet",
        outputs=3,
        fusion="multiply",
        levels=3,
        attention=True,
        auxiliary=True,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        resize_px=72,
        class_names=("a", "b", "c"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = engine.place(
            build(model_config, dropout=0.0)
        ).train()  # without dropout, which differs between devices
    numbers = torch.Generator().manual_seed(0)
    pixels = torch.randint(
        256, (4, 3, model_config.resize_px, model_config.resize_px), generator=numbers, dtype=torch.uint8
    )
    view = random_view(len(pixels), model_config.resize_px, 64, numbers, engine.device)
    images = standardised(view.apply(engine.sent(pixels)), model_config.mean, model_config.std)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    before = network.class_layer.weight.detach().clone()
    with engine.autocast():
        scores = network(images)
        fused, deep = (class_logits(maps, is_rectified=True).float() for maps in (scores.fused, scores.deep))
        loss = joint(fused, deep, torch.tensor([0, 1, 2, 0], device=engine.device))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    has_moved = bool((network.class_layer.weight.detach() != before).any())
    return loss.item() if has_moved else math.nan


AGREE = {"fp32": 0.02, "bf16": 0.2}
"""Largest relative differences of losses that rounding can cause, TF32 included."""


def _finding(device: str, losses: Losses, reference: Losses) -> Finding:
    expected = reference["fp32"][0]
    durations = ", ".join(f"{name} {seconds:.2f} s" for name, (_, seconds) in losses.items())
    wrong = {name: loss for name, (loss, _) in losses.items() if not abs(loss - expected) <= AGREE[name] * expected}
    if wrong:
        got = ", ".join(f"{name} {loss:.4g}" for name, loss in wrong.items())
        return Finding("fail", f"{device}: the loss of the first step is {got}, expected {expected:.4g}")
    return Finding("ok", f"{device}: a step of a tiny network in {durations}; loss {losses['fp32'][0]:.3f}")


def backbone(name: str, source: str, weights: str) -> Findings:
    """Build the backbone as in the default network, with its weights if they are on this machine."""
    from wsol.config.methods import Seg
    from wsol.models.backbone import feature_pyramid, pretrained_state

    state = None if source == "reachable" else pretrained_state(name, Path(weights) if weights else None)
    feature_pyramid(name, Seg().levels, state)
    fits = "" if state is None else f"; {len(state)} tensors fit"
    return [Finding("ok", f"{name}: {source}{fits}")]


def reading() -> Findings:
    """Decode batches of the default size with two threads."""
    from PIL import Image

    from wsol.data.loader import ImageLoader, in_order

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(4 * BATCH)]
        for number, path in enumerate(paths):
            Image.new("L", (2 * SIZE_PX, 2 * SIZE_PX), number).save(path, quality=95)
        started = time.perf_counter()
        images = ImageLoader(paths, SIZE_PX, workers=2)
        means = [
            mean
            for batch in images.batches(in_order(len(paths), BATCH))
            for mean in batch.pixels.mean((1, 2, 3)).tolist()
        ]
        seconds = time.perf_counter() - started
    what = (
        f"two threads read {number_of(len(means), 'image')} in batches of {BATCH} x 3 x {SIZE_PX} x {SIZE_PX},"
        f" {len(means) / seconds:.0f} a second"
    )
    is_right = len(means) == len(paths) and all(abs(mean - number) <= 1 for number, mean in enumerate(means))
    return [Finding("ok", what) if is_right else Finding("fail", f"{what}, with wrong pixel values")]


def summed_up() -> Findings:
    """Add this process's number to a sum over all processes."""
    import torch

    from wsol.runtime.processes import part
    from wsol.runtime.torch_engine import choose_engine, summed

    mine = part()
    total = summed(torch.tensor([mine.rank + 1.0]), choose_engine("cpu", "fp32")).item()
    expected = mine.count * (mine.count + 1) / 2
    what = f"{mine.count} processes sum up to {total:g} over gloo on 127.0.0.1"
    return [Finding("ok", what) if total == expected else Finding("fail", f"{what}, expected {expected:g}")]


def opencv() -> Findings:
    """Compute the box of a contour."""
    import cv2

    from wsol.geometry.threshold_sweep import drawn_largest_contour

    mask = np.zeros((40, 60), dtype=bool)
    mask[10:30, 5:25] = mask[2:6, 40:50] = True
    box = drawn_largest_contour(mask)
    what = f"OpenCV {cv2.__version__}: box {box} of a contour"
    return [Finding("ok", what) if box == (5, 10, 25, 30) else Finding("fail", f"{what}, expected (5, 10, 25, 30)")]


def masks() -> Findings:
    """Encode a mask as COCO run lengths, and decode it."""
    from wsol.predictions.records import PredictedObject, encode

    mask = np.random.default_rng(0).random((17, 23)) > 0.5
    back = PredictedObject((0.0, 0.0, 23.0, 17.0), 1.0, encode(mask)).mask()
    is_same = np.array_equal(mask, back)
    return [
        (
            Finding("ok", "pycocotools: a mask is decoded as it was encoded")
            if is_same
            else Finding("fail", "pycocotools: a mask is not decoded as it was encoded")
        )
    ]


def onnx() -> Findings:
    """Build and run a graph of one operator."""
    absent = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if absent:
        return [_not_installed(" and ".join(absent), "export")]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import
    import onnxruntime
    from onnx import TensorProto, helper

    from wsol.inference.onnx.metadata import OPSET

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (computed,) = session.run(None, {"x": np.array([-1, 0, 2], dtype=np.float32)})
    what = f"onnxruntime {onnxruntime.__version__} computes {computed.tolist()}"
    is_right = computed.tolist() == [0, 0, 2]
    return [Finding("ok", what) if is_right else Finding("fail", f"{what}, expected [0, 0, 2]")]


def tensorboard() -> Findings:
    """Write one number as `--track tensorboard` does."""
    if find_spec("tensorboard") is None:
        return [_not_installed("tensorboard", "track")]
    from torch.utils.tensorboard.writer import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as board:
            board.add_scalar("loss", 1.0, 1)
        written = sum(path.stat().st_size for path in Path(folder).iterdir())
    return [Finding("ok" if written else "fail", f"tensorboard: {written} bytes written")]


def _not_installed(names: str, extra: str) -> Finding:
    return Finding("warn", f"{names} not installed", f"`pip install 'wsol[{extra}]'` if you need it")


JOBS: dict[str, Callable[..., Findings]] = {
    "pair": pair,
    "steps": steps,
    "backbone": backbone,
    "reading": reading,
    "summed_up": summed_up,
    "opencv": opencv,
    "masks": masks,
    "onnx": onnx,
    "tensorboard": tensorboard,
}
