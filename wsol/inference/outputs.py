"""What a run's networks say of a batch, and the door behind which they stand, whoever computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8

from wsol.geometry.contrast import Colours
from wsol.runtime.engine import Engine


@dataclass(frozen=True)
class Outputs:
    """The networks' output for a batch: foreground probability per place, or boxes; probability per class."""

    heatmaps: Float32[np.ndarray, "batch height width"] | None
    probabilities: Float[np.ndarray, "batch classes"] | None
    boxes: Float32[np.ndarray, "batch 4"] | None = None
    """Of a method that has no maps: a box for each image, x0, y0, x1, y1 as shares of its sides."""
    colours: Sequence[Colours] | None = None
    """Of a method that has maps, where the images are at hand."""


@runtime_checkable  # the tests check arguments as they run
class Networks(Protocol):
    """The networks of a run, computed by PyTorch or by onnxruntime."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""

    @property
    def size_px(self) -> int:
        """Images come as squares of this side: the larger of what the networks take."""

    @property
    def has_maps(self) -> bool:
        """Whether the networks make heatmaps; if not, `outputs` has boxes."""

    @property
    def engine(self) -> Engine:
        """The device of what processes exchange."""

    def outputs(self, pixels: UInt8[np.ndarray, "batch 3 side side"]) -> Outputs:
        """What the networks say before any threshold."""

    def heatmaps(
        self, pixels: UInt8[np.ndarray, "batch 3 side side"], margin_fraction: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """The probability of being foreground per place; with a margin, of the middle of the images alone. Only with
        maps.
        """
