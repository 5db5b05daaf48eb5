"""A threshold for each image, near the threshold that the run has learned.

A threshold is good for all images if it reproduces the pseudo masks, and for one image if the colours of its object
differ from those around it (`wsol.geometry.contrast`). The map of each image is shifted so that its own threshold
equals that of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Float, Float32
from pydantic import Field

from wsol.config.base import Config, Fraction
from wsol.geometry.contrast import Colours, contrast, ring_px
from wsol.geometry.objects import largest_part

THRESHOLDS = np.round(np.arange(0.05, 0.71, 0.05), 2)
"""Two or three times as many give no better results."""
WEIGHT = 0.5
"""Weight of the contrast (0 to 1) relative to the mean IoU. On five kinds of images 0.3 to 0.8 are as good
(studies/recipes.md)."""
SOFTNESS = 0.02
"""Thresholds are weighted by exp((IoU + weighted contrast) / SOFTNESS), so that rounding errors cannot change the
result abruptly."""

Curve = Float[np.ndarray, "*thresholds"]
Heatmaps = Float32[np.ndarray, "batch height width"]
Heatmap = Float32[np.ndarray, "height width"]


def _log_odds(probability: Curve | float) -> Curve:
    p = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(p) - np.log1p(-p))


class ImageThreshold(Config):
    """The learned threshold of a run, and how well each threshold fits the pseudo masks."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    """The threshold to which each image's own threshold is shifted."""
    fits: Annotated[tuple[Fraction, ...], Field(min_length=len(THRESHOLDS), max_length=len(THRESHOLDS))]
    """The mean IoU with the pseudo masks at each of `THRESHOLDS`."""
    floor: Fraction = 0.0
    """Maps whose maximum is not above this are those of images without an object; 0 if every image contains one."""

    def shifted(self, heatmaps: Heatmaps, colours: Sequence[Colours]) -> Heatmaps:
        """Shift probabilities so that each image's own threshold equals that of the run; 0, 1 and the order of the
        values of an image are unchanged.

        Args:
            heatmaps: foreground probabilities.
            colours: of each image.
        """
        return np.stack([self._shifted(*one) for one in zip(heatmaps, colours, strict=True)])

    def of(self, heatmap: Heatmap, colours: Colours) -> float:
        """The image's own threshold."""
        goodness = np.array(self.fits) + WEIGHT * contrasts(heatmap, colours)
        weights = np.exp((goodness - goodness.max()) / SOFTNESS)
        return _probability(float(weights @ _log_odds(THRESHOLDS) / weights.sum()))

    def _shifted(self, heatmap: Heatmap, colours: Colours) -> Heatmap:
        if not np.isfinite(heatmap).all():
            return heatmap
        if self.floor and heatmap.max() <= self.floor:  # to at most the threshold, so that nothing is above it
            return np.asarray(heatmap * np.float32(min(self.threshold / self.floor, 1)))
        factor = np.float32(np.exp(_log_odds(self.threshold) - _log_odds(self.of(heatmap, colours))))
        return np.asarray(heatmap * factor / (heatmap * factor + (1 - heatmap)))


OTSU_STEEPNESS = 0.4
"""0.2 is as good, 0.1 is worse."""
AROUND_OTSU = ImageThreshold(
    threshold=0.5, fits=tuple(float(fit) for fit in (1 - OTSU_STEEPNESS * _log_odds(THRESHOLDS) ** 2).clip(0, 1))
)
"""For maps without a learned threshold, scaled so that Otsu's threshold is at 0.5: thresholds far from it fit worse."""


def brought(image_threshold: ImageThreshold | None, heatmaps: Heatmaps, colours: Iterable[Colours]) -> Heatmaps:
    """The heatmaps, shifted if each image has its own threshold (`ImageThreshold.shifted`), else unchanged."""
    return heatmaps if image_threshold is None else image_threshold.shifted(heatmaps, [*colours])


def contrasts(heatmap: Heatmap, colours: Colours) -> Curve:
    """The colour contrast of the largest component at each of `THRESHOLDS`."""
    fine = cv2.resize(heatmap, colours.shape[::-1], interpolation=cv2.INTER_LINEAR)
    values = np.zeros(len(THRESHOLDS))
    for k, threshold in enumerate(THRESHOLDS):
        above = fine > threshold
        x, y, width, height = cv2.boundingRect(above.astype(np.uint8))
        if not width:
            break
        ring = ring_px(width * height)  # pixels further away have no influence
        window = np.s_[max(y - ring, 0) : y + height + ring, max(x - ring, 0) : x + width + ring]
        values[k] = contrast(largest_part(above[window]), colours[window])
    return values


def _probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
