"""Networks in one ONNX file that says of itself what goes in, what comes out, and how boxes are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from wsol.config.base import Config
from wsol.config.options import Box
from wsol.errors import WsolError
from wsol.geometry.image_threshold import ImageThreshold
from wsol.storage.folders import parse_json
from wsol.storage.schema import check_schema

FILE = "model.onnx"
"""In the run, unless another place is named."""
VERSION: Literal[1] = 1
OPSET = 20
"""Of the default domain; onnxruntime 1.17 is the first that runs it."""
EXPORTING, RUNNING = ("onnx", "onnxscript"), ("onnxruntime",)
PIXELS = (
    "uint8 RGB [batch, 3, height, width] of the upright image, squashed to resize_px x resize_px; other sizes will do."
    " Do not normalise: the graph does."
)


class InputMetadata(Config):
    """What one of the networks looks at."""

    name: str
    """Of the graph's input."""
    resize_px: Annotated[int, Field(ge=1, le=16_384)]
    """Side of the squares that it was trained for."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of pixels as fractions; for information, the graph holds them."""


class OnnxMetadata(Config):
    """The file's metadata: one entry a field, each as JSON."""

    kind: Literal["wsol"] = "wsol"
    version: Literal[1] = VERSION
    pixels: str = PIXELS
    heatmap: InputMetadata
    """Of the output `heatmap`: foreground probability [batch, rows, columns], smaller than the image. A method without
    maps has
    `boxes` in its place: x0, y0, x1, y1 as shares of the image's sides [batch, 4]."""
    probabilities: InputMetadata | None
    """Of the output `probabilities` [batch, classes]; None where the boxes go without names, and the graph without that
    output."""
    class_names: tuple[str, ...]
    """By label."""
    box: Box
    """How a heatmap, interpolated to the image's size, becomes boxes."""
    image_threshold: ImageThreshold | None = None
    """By which wsol shifts a heatmap that comes out, so that the image's own threshold stands at the run's. None where
    all have the same."""
    licence: str
    wsol: str
    """The version that wrote the file."""
    weights: dict[str, str]
    """SHA-256 of the weights of each part of the run that went in."""

    def as_metadata(self) -> dict[str, str]:
        """Names to texts, as ONNX has it; ASCII, so that no class name can be too odd for it."""
        return {name: json.dumps(value) for name, value in self.model_dump(mode="json").items()}


def read_metadata(metadata: Mapping[str, str], path: Path) -> OnnxMetadata:
    """The card in the metadata of the file `path`.

    Raises:
        WsolError: the file is not ours, of another version, or was changed.
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
            f"{path} does not say what its networks are for ({why})",
            expected="a file that `wsol export-model RUN --format onnx` wrote",
            remedy="Make one, or name another file.",
        ) from None


def check_installed(packages: tuple[str, ...]) -> None:
    """See that the packages of the extra are there, without importing them.

    Raises:
        WsolError: one is not.
    """
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise WsolError(
            f"ONNX needs {' and '.join(absent)}",
            expected="what the extra `export` brings",
            remedy="Run `pip install 'wsol[export]'`.",
        )
