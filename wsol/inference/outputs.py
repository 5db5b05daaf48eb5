"""Outputs of a run's networks, and the interface of the networks for PyTorch and onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8

from wsol.geometry.contrast import Colours
from wsol.runtime.engine import Engine

Heatmap = Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class Outputs:
    """Outputs of a run's networks for a batch."""

    heatmaps: Float32[np.ndarray, "batch height width"] | None
    """Foreground probability of each position; None for a method without maps."""
    probabilities: Float[np.ndarray, "batch classes"] | None
    """Class probabilities; None for a run without them."""
    boxes: Float32[np.ndarray, "batch 4"] | None = None
    """For a method without maps: x0, y0, x1, y1 of each image as fractions of width and height."""
    colours: Sequence[Colours] | None = None
    """Colours of the images, for a method with maps; None if the images are not available."""
    of_classes: Sequence[Mapping[int, Heatmap]] | None = None
    """The map of each class that is in an image, by label, the most probable first; None for a run that was trained on
    images with one label each."""


@runtime_checkable  # the tests check arguments as they run
class Networks(Protocol):
    """The networks of a run, computed by PyTorch or by onnxruntime."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""

    @property
    def no_object(self) -> frozenset[int]:
        """Labels of the classes whose images contain no object."""

    @property
    def size_px(self) -> int:
        """Height and width in pixels of the input squares: the larger input size of the networks."""

    @property
    def has_maps(self) -> bool:
        """Whether the networks compute heatmaps; if not, `outputs` has boxes."""

    @property
    def engine(self) -> Engine:
        """Device of the tensors that processes exchange."""

    def outputs(self, pixels: UInt8[np.ndarray, "batch 3 size size"]) -> Outputs:
        """Compute the networks' outputs, before any threshold."""

    def heatmaps(
        self, pixels: UInt8[np.ndarray, "batch 3 size size"], margin_fraction: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """Compute foreground probabilities; only for networks with maps.

        Args:
            pixels: RGB squares of `size_px`.
            margin_fraction: fraction of the image size to cut off at each edge.
        """
