"""Export the networks of a run to one ONNX file, and compare its outputs with PyTorch."""

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
"""Largest difference of probabilities. Rounding errors are about 1e-6; a box edge moves by a pixel if the heatmap
changes by about 1e-2."""


@dataclass(frozen=True)
class Difference:
    """The largest difference between an output of PyTorch and of onnxruntime."""

    output: str
    batch: int
    image_hw: tuple[int, int]
    largest: float


class ExportedModel(NamedTuple):
    """The file, and its differences from PyTorch if they were checked."""

    file: Path
    differences: list[Difference]


def export_model(
    run: str | Path, out: str | Path | None = None, *, check: bool = False, quiet: bool = False
) -> ExportedModel:
    """Export the networks of a run to one ONNX file that works without PyTorch and without the run.

    Args:
        run: a finished run.
        out: the file; by default `run/model.onnx`, which `predict(..., engine="onnx")` reads.
        check: compare the outputs with PyTorch for three input shapes, and write the file only if they agree.
        quiet: print nothing to standard error.

    Returns:
        The file and the differences.

    Raises:
        WsolError: not a finished run, onnx is not installed, a network cannot be exported, or the outputs differ.
    """
    opened = Run.open(run)
    check_installed((*EXPORTING, *(RUNNING if check else ())))
    file = opened.folder / ONNX_FILE if out is None else Path(out)
    if file.is_dir():
        raise WsolError(f"{file} is a folder", expected="a file name", remedy="Name a file in that folder.")
    graph = load_graph(opened)
    held_run = held(opened.folder, "wsol export-model", "name a file with --out") if out is None else nullcontext()
    with held_run, whole_file(file) as partial:
        write_onnx(graph, run_metadata(opened, graph), partial)
        differences = compared(graph, partial) if check else []
        if not all(one.largest <= TOLERANCE for one in differences):  # also true for NaN
            raise WsolError(
                "the outputs of the file differ from those of PyTorch",
                expected=f"probabilities within {TOLERANCE:g}",
                got=f"\n{as_table(differences)}\nNothing was written",
                remedy=(
                    "Predict with `--engine torch`, or try other versions of torch and onnxruntime (constraints.txt)."
                ),
            )
    Progress(quiet=quiet).say(f"{STAGE}: {file}, {file.stat().st_size / 1e6:.1f} MB")
    return ExportedModel(file, differences)


def compared(graph: Graph, file: Path) -> list[Difference]:
    """Compare the outputs for one and three images of the networks' own size, and two of another size and aspect ratio.

    Args:
        graph: the networks in PyTorch.
        file: the exported file.

    Returns:
        The largest difference for each output and shape.

    Raises:
        WsolError: the networks do not accept the other size.
    """
    session = open_onnx(file, "cpu").session
    differences = []
    for batch, height_factor, width_factor in ((1, 1.0, 1.0), (3, 1.0, 1.0), (2, 0.77, 1.3)):
        pixels = {
            name: _blots(batch, (round(size_px * height_factor), round(size_px * width_factor)), seed=batch)
            for name, size_px in graph.inputs.items()
        }
        image_hw = (int(pixels["pixels"].shape[2]), int(pixels["pixels"].shape[3]))
        expected = _by_torch(graph, pixels, image_hw)
        outputs = session.run(list(graph.outputs), {name: value.numpy() for name, value in pixels.items()})
        differences += [
            Difference(output, batch, image_hw, float((one - torch.from_numpy(other)).abs().max()))
            for output, one, other in zip(graph.outputs, expected, outputs, strict=True)
        ]
    return differences


@torch.inference_mode()
def _by_torch(graph: Graph, pixels: dict[str, Tensor], image_hw: tuple[int, int]) -> GraphOutputs:
    try:
        outputs: GraphOutputs = graph(*pixels.values())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise WsolError(
            f"{' or '.join(graph.backbones)} cannot be checked: PyTorch itself does not accept images of {image_hw[0]}"
            f" x {image_hw[1]} ({str(error).strip().splitlines()[0]})",
            expected="convolutional networks",
            remedy="Predict with `--engine torch`, or train with another `--backbone`.",
        ) from None
    return outputs


def _blots(batch: int, image_hw: tuple[int, int], seed: int) -> UInt8[Tensor, "batch 3 _ _"]:
    """Smooth random colours: independent pixels would look the same everywhere to the networks."""
    coarse = torch.rand(batch, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    return (interpolate(coarse, image_hw, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def as_table(differences: list[Difference]) -> str:
    """One line per output and shape."""
    lines = [
        f"{one.output:<14}{one.batch:>6} x {one.image_hw[0]} x {one.image_hw[1]:<8}{one.largest:.1e}"
        for one in differences
    ]
    return "\n".join([f"{'output':<14}{'images':>6}, height, width  largest difference", *lines])
