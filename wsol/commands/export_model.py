"""Write a run's networks as one ONNX file, and hold it against PyTorch."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.errors import WsolError
from wsol.inference.onnx.export import Graph, GraphOutputs, load_graph, run_metadata, write_onnx
from wsol.inference.onnx.metadata import EXPORTING, ONNX_FILE, RUNNING, check_installed
from wsol.inference.onnx.networks import open_onnx
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.storage.folders import whole_file
from wsol.storage.locks import held

STAGE = "export-model"
TOLERANCE = 1e-4
"""Of probabilities. Rounding makes some 1e-6; a box edge moves by a pixel where the heatmap changes by about 1e-2."""


@dataclass(frozen=True)
class Difference:
    """The largest distance between PyTorch's and onnxruntime's answer."""

    output: str
    batch: int
    image_hw: tuple[int, int]
    largest: float


class ExportedModel(NamedTuple):
    """The file, and with `check` how far it is from PyTorch."""

    file: Path
    differences: list[Difference]


def export_model(
    run: str | Path, out: str | Path | None = None, *, check: bool = False, quiet: bool = False
) -> ExportedModel:
    """Write a run's networks as one ONNX file that needs neither PyTorch nor the run; whole or not at all.

    Args:
        run: a finished run.
        out: the file; `run/model.onnx` by default, where `predict(..., engine="onnx")` looks for it.
        check: compare the file with PyTorch on three shapes, and write it only if they agree.
        quiet: say nothing on standard error.

    Returns:
        The file and the differences.

    Raises:
        WsolError: not a finished run, no onnx here, a network that cannot be exported, or results too far apart.
    """
    opened = Run.open(run)
    check_installed((*EXPORTING, *(RUNNING if check else ())))
    file = opened.folder / ONNX_FILE if out is None else Path(out)
    graph = load_graph(opened)
    held_run = held(opened.folder, "wsol export-model", "name a file with --out") if out is None else nullcontext()
    with held_run, whole_file(file) as partial:
        write_onnx(graph, run_metadata(opened, graph), partial)
        differences = compared(graph, partial) if check else []
        if not all(one.largest <= TOLERANCE for one in differences):  # NaN is not close either
            raise WsolError(
                "the file answers otherwise than PyTorch",
                expected=f"probabilities within {TOLERANCE:g}",
                got=f"\n{as_table(differences)}\nNothing was written",
                remedy=(
                    "Predict with `--engine torch`, or try other versions of torch and onnxruntime (constraints.txt)."
                ),
            )
    Progress(quiet=quiet).say(f"{STAGE}: {file}, {file.stat().st_size / 1e6:.1f} MB")
    return ExportedModel(file, differences)


def compared(graph: Graph, file: Path) -> list[Difference]:
    """Both answers on one image and on three at the networks' own size, and on two of another size and aspect.

    Raises:
        WsolError: PyTorch does not take that other size.
    """
    session = open_onnx(file, "cpu").session
    differences = []
    for batch, height_share, width_share in ((1, 1.0, 1.0), (3, 1.0, 1.0), (2, 0.77, 1.3)):
        pixels = {
            name: _blots(batch, (round(side * height_share), round(side * width_share)), seed=batch)
            for name, side in graph.inputs.items()
        }
        image_hw = (int(pixels["pixels"].shape[2]), int(pixels["pixels"].shape[3]))
        expected = _by_torch(graph, pixels, image_hw)
        found = session.run(list(graph.outputs), {name: value.numpy() for name, value in pixels.items()})
        differences += [
            Difference(output, batch, image_hw, float((one - torch.from_numpy(other)).abs().max()))
            for output, one, other in zip(graph.outputs, expected, found, strict=True)
        ]
    return differences


@torch.inference_mode()
def _by_torch(graph: Graph, pixels: dict[str, Tensor], image_hw: tuple[int, int]) -> GraphOutputs:
    try:
        answers: GraphOutputs = graph(*pixels.values())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise WsolError(
            f"{' or '.join(graph.backbones)} cannot be checked, PyTorch itself does not take images of {image_hw[0]} x"
            f" {image_hw[1]} ({str(error).strip().splitlines()[0]})",
            expected="networks of convolutions",
            remedy="Predict with `--engine torch`, or train with another `--backbone`.",
        ) from None
    return answers


def _blots(batch: int, image_hw: tuple[int, int], seed: int) -> UInt8[Tensor, "batch 3 _ _"]:
    """Soft random colours: noise of single pixels would look the same everywhere to the networks."""
    coarse = torch.rand(batch, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    return (interpolate(coarse, image_hw, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def as_table(differences: list[Difference]) -> str:
    """One line for each output and shape."""
    lines = [
        f"{one.output:<14}{one.batch:>6} x {one.image_hw[0]} x {one.image_hw[1]:<8}{one.largest:.1e}"
        for one in differences
    ]
    return "\n".join([f"{'output':<14}{'images':>6}, height, width  largest difference", *lines])
