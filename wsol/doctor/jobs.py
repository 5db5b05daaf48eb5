"""What a worker is asked to do: each job uses one thing as a run would, and says what it saw.

Libraries are imported inside the jobs: one that cannot be imported is a finding, and belongs to the job that needs it.
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

from wsol.doctor.lines import Seen, first_line
from wsol.text import number_of

if TYPE_CHECKING:
    from wsol.runtime.engine import Engine

Seens = list[Seen]

NVIDIA = Path("/proc/driver/nvidia/version")
"""There where a driver for NVIDIA's GPUs is loaded (Linux)."""
BATCH, SIZE_PX = 16, 256
"""Of the default configuration."""


def pair() -> Seens:
    """Whether torch and torchvision are of one build: the second's compiled operators need the very first."""
    import torch
    import torchvision
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    versions = f"Python {sys.version.split()[0]}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    if kept != [0, 2]:
        return [Seen("fail", f"{versions}: nms keeps boxes {kept} of three, expected [0, 2]")]
    return [Seen("ok", f"{versions}: nms is right")]


def steps() -> Seens:
    """A training step on each device; all of them begin with the same weights and images."""
    import torch

    reference = training_step("cpu")
    seen = [_as_seen("cpu", reference, reference)]
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    for device in [*gpus, *(["mps"] if torch.backends.mps.is_available() else [])]:
        print(f"trying {device}", file=sys.stderr)  # noqa: T201, its last words if that device hangs
        try:
            seen.append(_as_seen(device, training_step(device), reference))
        except Exception as error:  # the others are still worth a try
            seen.append(Seen("fail", f"{device}: {first_line(error)}"))
    if NVIDIA.exists() and not gpus:
        what = f"an NVIDIA driver is loaded, but torch {torch.__version__} finds no GPU"
        seen.append(
            Seen(
                "warn",
                what,
                "`pip install --force-reinstall torch torchvision` if this torch is for CPUs only, else update the"
                " driver, or start the container with its GPUs",
            )
        )
    return seen


Losses = dict[str, tuple[float, float]]
"""By precision: the loss, and the seconds that the step took."""


def training_step(device: str) -> Losses:
    """Forward, backward and optimiser of a tiny MFF-Net on random images; in bf16 too where the hardware has it."""
    import torch

    from wsol.runtime.torch_engine import choose_engine, has_bf16

    engine = choose_engine(device, "fp32")
    engines = {"fp32": engine} | ({"bf16": engine.with_bf16(True)} if has_bf16(torch.device(device)) else {})
    found: Losses = {}
    for precision, one in engines.items():
        started = time.perf_counter()
        loss = _step(one)
        found[precision] = loss, time.perf_counter() - started
    return found


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
        ).train()  # without dropout, which is another on each device
    numbers = torch.Generator().manual_seed(0)
    pixels = torch.randint(
        256, (4, 3, model_config.resize_px, model_config.resize_px), generator=numbers, dtype=torch.uint8
    )
    view = random_view(len(pixels), model_config.resize_px, 64, numbers, engine.device)
    images = standardised(view.apply(engine.sent(pixels)), model_config.mean, model_config.std)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    before = network.class_layer.weight.detach().clone()
    with engine.autocast():
        scores = network(images)
        fused, deep = (class_logits(maps, is_rectified=True).float() for maps in (scores.fused, scores.deep))
        loss = joint(fused, deep, torch.tensor([0, 1, 2, 0], device=engine.device))
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    has_moved = bool((network.class_layer.weight.detach() != before).any())
    return loss.item() if has_moved else math.nan


AGREE = {"fp32": 0.02, "bf16": 0.2}
"""Relative differences of losses that rounding explains, TF32's included."""


def _as_seen(device: str, losses: Losses, reference: Losses) -> Seen:
    expected = reference["fp32"][0]
    told = ", ".join(f"{name} {seconds:.2f} s" for name, (_, seconds) in losses.items())
    wrong = {name: loss for name, (loss, _) in losses.items() if not abs(loss - expected) <= AGREE[name] * expected}
    if wrong:
        given = ", ".join(f"{name} {loss:.4g}" for name, loss in wrong.items())
        return Seen("fail", f"{device}: the loss of the first step is {given}, expected {expected:.4g}")
    return Seen("ok", f"{device}: a step of a tiny network in {told}; loss {losses['fp32'][0]:.3f}")


def backbone(name: str, source: str, weights: str) -> Seens:
    """Whether the backbone can be built as the default network wants it, with its weights where they are on this
    machine.
    """
    from wsol.config.methods import Seg
    from wsol.models.backbone import feature_pyramid, pretrained_state

    state = None if source == "reachable" else pretrained_state(name, Path(weights) if weights else None)
    feature_pyramid(name, Seg().levels, state)
    fits = "" if state is None else f"; {len(state)} tensors fit"
    return [Seen("ok", f"{name}: {source}{fits}")]


def reading() -> Seens:
    """Batches of the default size, decoded by two threads."""
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
    return [Seen("ok", what) if is_right else Seen("fail", f"{what}, not as they were")]


def summed_up() -> Seens:
    """One process's part of a sum over all of them."""
    import torch

    from wsol.runtime.processes import part
    from wsol.runtime.torch_engine import choose_engine, summed

    mine = part()
    total = summed(torch.tensor([mine.rank + 1.0]), choose_engine("cpu", "fp32")).item()
    expected = mine.count * (mine.count + 1) / 2
    what = f"{mine.count} processes sum up to {total:g} over gloo on 127.0.0.1"
    return [Seen("ok", what) if total == expected else Seen("fail", f"{what}, expected {expected:g}")]


def opencv() -> Seens:
    """The box of a drawn contour."""
    import cv2

    from wsol.geometry.threshold_sweep import drawn_largest_contour

    mask = np.zeros((40, 60), dtype=bool)
    mask[10:30, 5:25] = mask[2:6, 40:50] = True
    box = drawn_largest_contour(mask)
    what = f"OpenCV {cv2.__version__}: box {box} of a contour"
    return [Seen("ok", what) if box == (5, 10, 25, 30) else Seen("fail", f"{what}, expected (5, 10, 25, 30)")]


def masks() -> Seens:
    """A mask to COCO's run lengths and back."""
    from wsol.predictions.records import PredictedObject, encode

    mask = np.random.default_rng(0).random((17, 23)) > 0.5
    back = PredictedObject((0.0, 0.0, 23.0, 17.0), 1.0, encode(mask)).mask()
    is_same = np.array_equal(mask, back)
    return [
        (
            Seen("ok", "pycocotools: a mask comes back the same")
            if is_same
            else Seen("fail", "pycocotools: a mask comes back as another")
        )
    ]


def onnx() -> Seens:
    """A graph of one operator, made and run."""
    absent = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if absent:
        return [_not_installed(" and ".join(absent), "export")]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    import onnxruntime
    from onnx import TensorProto, helper

    from wsol.inference.onnx.metadata import OPSET

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.array([-1, 0, 2], dtype=np.float32)})
    what = f"onnxruntime {onnxruntime.__version__} computes {found.tolist()}"
    is_right = found.tolist() == [0, 0, 2]
    return [Seen("ok", what) if is_right else Seen("fail", f"{what}, expected [0, 0, 2]")]


def tensorboard() -> Seens:
    """One number written where `--track tensorboard` would write many."""
    if find_spec("tensorboard") is None:
        return [_not_installed("tensorboard", "track")]
    from torch.utils.tensorboard.writer import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as board:
            board.add_scalar("loss", 1.0, 1)
        written = sum(path.stat().st_size for path in Path(folder).iterdir())
    return [Seen("ok" if written else "fail", f"tensorboard: {written} bytes written")]


def _not_installed(names: str, extra: str) -> Seen:
    return Seen("warn", f"{names} not installed", f"`pip install 'wsol[{extra}]'` if you want it")


JOBS: dict[str, Callable[..., Seens]] = {
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
