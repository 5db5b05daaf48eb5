"""The ONNX file of a run, which is made if it is absent or outdated. Imports torch only to make it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from wsol.errors import WsolError
from wsol.inference.onnx.metadata import ONNX_FILE, RUNNING, OnnxMetadata, check_installed
from wsol.inference.onnx.networks import OnnxNetworks, open_onnx
from wsol.runs.run import Run
from wsol.runtime.engine import WITHOUT_TORCH, wait_for_all
from wsol.runtime.processes import part
from wsol.storage.folders import whole_file


def fresh_networks(run: Run, device: str) -> OnnxNetworks:
    """Open a run's `model.onnx`; make it first if it is absent, or has other weights than the run.

    One process makes it for all.

    Args:
        run: a finished run.
        device: auto, cpu, cuda or cuda:1.

    Raises:
        WsolError: the run is unfinished, onnxruntime or (to make the file) PyTorch is not installed, or the file is not
            an export of wsol.
    """
    check_installed(RUNNING)
    file = run.folder / ONNX_FILE
    if part().is_first and not (file.exists() and _is_of(open_onnx(file, "cpu").metadata, run)):
        _make(run, file)
    wait_for_all(WITHOUT_TORCH)
    return open_onnx(file, device)


def _is_of(metadata: OnnxMetadata, run: Run) -> bool:
    return (metadata.weights, metadata.image_threshold, metadata.image) == (
        run.weight_hashes,
        run.image_threshold,
        run.config.image,
    )


def _make(run: Run, file: Path) -> None:
    if find_spec("torch") is None:
        state = "has other weights than the run" if file.exists() else "is absent"
        remedy = "Export it on a machine with PyTorch, or run `pip install 'wsol[export]'`."
        if not run.spec.is_exportable:
            remedy = f"Networks of {run.config.method} cannot be exported: run `pip install 'wsol[train]'`."
        raise WsolError(f"{file} {state}", expected="a file of `wsol export-model RUN --format onnx`", remedy=remedy)
    from wsol.inference.onnx.export import load_graph, run_metadata, write_onnx

    graph = load_graph(run)
    with whole_file(file) as partial:
        write_onnx(graph, run_metadata(run, graph), partial)
