"""Metadata of an exported ONNX file: its inputs, its outputs, and how heatmaps are converted to boxes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from wsol.config.base import Config
from wsol.config.image import Decoding
from wsol.config.options import Box
from wsol.errors import WsolError
from wsol.geometry.image_threshold import ImageThreshold
from wsol.storage.folders import parse_json
from wsol.storage.schema import check_schema

ONNX_FILE = "model.onnx"
"""File name of the export in a run, unless another path is given."""
VERSION: Literal[1] = 1
OPSET = 20
"""Version of the default operator set; needs onnxruntime 1.17 or newer."""
EXPORTING, RUNNING = ("onnx", "onnxscript"), ("onnxruntime",)
PIXELS = (
    "uint8 RGB [batch, 3, height, width] of the upright image, squashed to resize_px x resize_px; other sizes will do."
    " Do not normalise: the graph does."
)


class InputMetadata(Config):
    """Input of one of the networks."""

    name: str
    """Name of the graph's input."""
    resize_px: Annotated[int, Field(ge=1, le=16_384)]
    """Height and width in pixels of the squares for which it was trained."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Mean and standard deviation of pixel values in [0, 1]; for information only, the graph applies them."""


class OnnxMetadata(Config):
    """The file's metadata: one JSON entry per field."""

    kind: Literal["wsol"] = "wsol"
    version: Literal[1] = VERSION
    pixels: str = PIXELS
    heatmap: InputMetadata
    """Input for the output `heatmap`: foreground probability [batch, rows, columns], smaller than the image. A method
    without maps has the output `boxes` instead: x0, y0, x1, y1 as fractions of width and height [batch, 4]."""
    probabilities: InputMetadata | None
    """Input for the output `probabilities` [batch, classes]; None for a run without class probabilities, whose graph
    does not have this output."""
    class_names: tuple[str, ...]
    """Class names by label."""
    box: Box
    """How a heatmap, interpolated to the image size, is converted to boxes."""
    image_threshold: ImageThreshold | None = None
    """How wsol shifts heatmaps so that each image's own threshold becomes that of the run; None if all images have the
    same threshold."""
    no_object: tuple[str, ...] = ()
    """The classes whose images contain no object."""
    is_emptied_by_class: bool = False
    """Whether nothing is found in an image whose most probable class is one of those."""
    image: Decoding = Decoding()
    """How image files became the pixels that the networks were trained on."""
    licence: str
    wsol: str
    """The version of wsol that wrote the file."""
    weights: dict[str, str]
    """SHA-256 of the exported weights of each part of the run."""

    def as_metadata(self) -> dict[str, str]:
        """Return the strings for ONNX; ASCII, so that any class name can be stored."""
        return {name: json.dumps(value) for name, value in self.model_dump(mode="json").items()}


def read_metadata(metadata: Mapping[str, str], path: Path) -> OnnxMetadata:
    """Parse and check the metadata of an ONNX file.

    Args:
        metadata: the file's metadata strings.
        path: the file, for messages.

    Raises:
        WsolError: the file is not an export of wsol, of another version, or was changed.
    """
    try:
        values = {
            name: parse_json(metadata[name].encode("utf-8", "surrogateescape"))
            for name in OnnxMetadata.model_fields
            if name in metadata
        }
        if values.get("kind") == "wsol":
            check_schema(values.get("version"), VERSION, path, "wsol export-model RUN --format onnx")
        return OnnxMetadata.model_validate(values)
    except (ValueError, RecursionError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise WsolError(
            f"{path} has no valid metadata of wsol ({why})",
            expected="a file of `wsol export-model RUN --format onnx`",
            remedy="Export the run again, or choose another file.",
        ) from None


def check_installed(packages: tuple[str, ...]) -> None:
    """Check that packages of the extra `export` are installed, without importing them.

    Raises:
        WsolError: a package is absent.
    """
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise WsolError(
            f"ONNX needs {' and '.join(absent)}",
            expected="the extra `export`",
            remedy="Run `pip install 'wsol[export]'`.",
        )
