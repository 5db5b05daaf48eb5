"""A run's networks in an ONNX file, for onnxruntime. Neither the run's folder nor timm is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from wsol.data.images import middle
from wsol.data.pixel_cache import cores
from wsol.errors import WsolError
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import brought
from wsol.inference.no_object import labels_of, predicted_empty, without_objects
from wsol.inference.onnx.metadata import RUNNING, OnnxMetadata, check_installed, read_metadata
from wsol.inference.outputs import Outputs
from wsol.runtime.engine import WITHOUT_TORCH, Engine
from wsol.runtime.processes import part

ERRORS_ONLY = 3


@dataclass(frozen=True)
class OnnxNetworks:
    """The networks of an open ONNX file."""

    session: Any
    metadata: OnnxMetadata
    engine: Engine
    """The CPU, where the session's outputs are, on any device of the session."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.metadata.class_names

    @property
    def no_object(self) -> frozenset[int]:
        """Labels of the classes whose images contain no object."""
        return labels_of(self.metadata.no_object, self.metadata.class_names)

    @property
    def size_px(self) -> int:
        """The larger input size of the networks in pixels."""
        return max(
            metadata.resize_px
            for metadata in (self.metadata.heatmap, self.metadata.probabilities)
            if metadata is not None
        )

    @property
    def has_maps(self) -> bool:
        """Whether the outputs are heatmaps, not boxes."""
        return bool(self.session.get_outputs()[0].name == "heatmap")

    def outputs(self, pixels: UInt8[np.ndarray, "batch 3 size size"]) -> Outputs:
        """Compute the networks' outputs, before any threshold."""
        return self._outputs(pixels, 0.0)

    def heatmaps(
        self, pixels: UInt8[np.ndarray, "batch 3 size size"], margin_fraction: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """Compute foreground probabilities; a margin (fraction of the size) is cut off each edge first."""
        heatmaps = self._outputs(pixels, margin_fraction).heatmaps
        assert heatmaps is not None, "has_maps is False"
        return heatmaps

    def _outputs(self, pixels: np.ndarray, margin_fraction: float) -> Outputs:
        localized, *classified = self.session.run(None, self._inputs(pixels, margin_fraction))
        probabilities = classified[0] if classified else None
        if not self.has_maps:
            return self._emptied(Outputs(None, probabilities, localized))
        colours = [*map(colours_of, middle(pixels, margin_fraction))]
        heatmaps = brought(self.metadata.image_threshold, localized, colours)
        return self._emptied(Outputs(heatmaps, probabilities, colours=colours))

    def _emptied(self, outputs: Outputs) -> Outputs:
        """Remove what was found in images whose predicted class has no object."""
        if not self.metadata.is_emptied_by_class or outputs.probabilities is None:
            return outputs
        return without_objects(outputs, predicted_empty(outputs.probabilities, self.no_object))

    def _inputs(self, pixels: np.ndarray, margin_fraction: float) -> dict[str, np.ndarray]:
        inputs = [one for one in (self.metadata.heatmap, self.metadata.probabilities) if one is not None]
        return {one.name: _prepared(pixels, one.resize_px, margin_fraction) for one in inputs}


def _prepared(pixels: np.ndarray, resize_px: int, margin_fraction: float) -> UInt8[np.ndarray, "batch 3 size size"]:
    if pixels.shape[-1] != resize_px:
        pixels = np.stack([_resized(one, resize_px) for one in pixels])
    return np.ascontiguousarray(middle(pixels, margin_fraction))


def _resized(pixels: UInt8[np.ndarray, "3 given given"], resize_px: int) -> UInt8[np.ndarray, "3 size size"]:
    # The same arithmetic as torchvision's antialiased resize, which imitates Pillow's.
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return np.asarray(image.resize((resize_px, resize_px), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def open_onnx(file: Path, device: str = "auto") -> OnnxNetworks:
    """Open a file of `wsol export-model`.

    Args:
        file: the ONNX file.
        device: auto, cpu, cuda or cuda:1; auto is a GPU if the installed onnxruntime supports it.

    Raises:
        WsolError: onnxruntime is not installed, there is no such file or device, or the file is not an export of wsol.
    """
    check_installed(RUNNING)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    if not file.is_file():
        raise WsolError(
            f"no file {file}", expected="a file of `wsol export-model RUN --format onnx`", remedy="Check the path."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(
            file, options, providers=_providers(device, onnxruntime.get_available_providers())
        )
    except Exception as error:  # its error classes have no narrower base
        raise WsolError(
            f"{file} cannot be opened ({str(error).splitlines()[0]})",
            expected="a file of `wsol export-model RUN --format onnx`",
            remedy="Export it again.",
        ) from None
    if device.startswith("cuda") and "CUDAExecutionProvider" not in session.get_providers():
        raise WsolError(
            f"onnxruntime cannot use {device}, because its CUDA libraries could not be loaded",
            expected="the versions for which onnxruntime-gpu was built",
            remedy="Use `--device cpu`.",
        )
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map, file)
    return OnnxNetworks(session, metadata, WITHOUT_TORCH)


def _threads() -> int:
    """The number of threads that PyTorch would use; a launcher of several processes sets it."""
    return int(os.environ.get("OMP_NUM_THREADS") or cores())


def _providers(device: str, available: list[str]) -> list[str | tuple[str, dict[str, int]]]:
    has_cuda = "CUDAExecutionProvider" in available
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (kind == "cuda" and not has_cuda):
        raise WsolError(
            f"device {device!r} cannot be used by this onnxruntime ({', '.join(available)})",
            expected="auto, cpu, or cuda with `pip install onnxruntime-gpu`",
            remedy="Use `--device cpu`.",
        )
    gpu: list[str | tuple[str, dict[str, int]]] = [
        ("CUDAExecutionProvider", {"device_id": int(number or part().local_rank)})
    ]
    return [*(gpu if has_cuda and kind != "cpu" else []), "CPUExecutionProvider"]
