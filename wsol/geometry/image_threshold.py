"""Each image's own threshold around the one that its run has learned.

A threshold is good for all images where it reproduces the pseudo masks, and for one image where the colours of its
object differ from those around it (`wsol.geometry.contrast`). The map of each image is shifted so that its own
threshold comes to stand at the run's.
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
"""Twice and three times as many choose no better."""
WEIGHT = 0.5
"""Of a contrast between 0 and 1 beside a mean IoU. On five kinds of images 0.3 to 0.8 are as good
(studies/recipes.md)."""
SOFTNESS = 0.02
"""Differences of the two together that hardly count: thresholds are weighed by exp(sum / SOFTNESS), so that no rounding
makes the choice jump."""

Curve = Float[np.ndarray, "*thresholds"]
Heatmaps = Float32[np.ndarray, "batch height width"]
Heatmap = Float32[np.ndarray, "height width"]


def _log_odds(probability: Curve | float) -> Curve:
    share = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(share) - np.log1p(-share))


class ImageThreshold(Config):
    """What a run has learned of all images."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    """Where each image's own threshold is brought to."""
    fits: Annotated[tuple[Fraction, ...], Field(min_length=len(THRESHOLDS), max_length=len(THRESHOLDS))]
    """The mean IoU with the pseudo masks at each of `THRESHOLDS`."""

    def shifted(self, heatmaps: Heatmaps, colours: Sequence[Colours]) -> Heatmaps:
        """The probabilities with each image's own threshold at the run's; their order in an image, 0 and 1 stay."""
        return np.stack([self._shifted(*one) for one in zip(heatmaps, colours, strict=True)])

    def of(self, heatmap: Heatmap, colours: Colours) -> float:
        """The image's own threshold."""
        goodness = np.array(self.fits) + WEIGHT * contrasts(heatmap, colours)
        weights = np.exp((goodness - goodness.max()) / SOFTNESS)
        return _probability(float(weights @ _log_odds(THRESHOLDS) / weights.sum()))

    def _shifted(self, heatmap: Heatmap, colours: Colours) -> Heatmap:
        if not np.isfinite(heatmap).all():
            return heatmap
        factor = np.float32(np.exp(_log_odds(self.threshold) - _log_odds(self.of(heatmap, colours))))
        return np.asarray(heatmap * factor / (heatmap * factor + (1 - heatmap)))


OTSU_STEEPNESS = 0.4
"""0.2 is as good, 0.1 is worse."""
AROUND_OTSU = ImageThreshold(
    threshold=0.5, fits=tuple(float(fit) for fit in (1 - OTSU_STEEPNESS * _log_odds(THRESHOLDS) ** 2).clip(0, 1))
)
"""For maps that nothing was learned of, and whose Otsu's threshold stands at 0.5: thresholds far from it are the
worse."""


def brought(image_threshold: ImageThreshold | None, heatmaps: Heatmaps, colours: Iterable[Colours]) -> Heatmaps:
    """The heatmaps, shifted where each image has its own threshold."""
    return heatmaps if image_threshold is None else image_threshold.shifted(heatmaps, [*colours])


def contrasts(heatmap: Heatmap, colours: Colours) -> Curve:
    """At each threshold, how the colours of the largest component differ from those around it."""
    fine = cv2.resize(heatmap, colours.shape[::-1], interpolation=cv2.INTER_LINEAR)
    found = np.zeros(len(THRESHOLDS))
    for k, threshold in enumerate(THRESHOLDS):
        above = fine > threshold
        x, y, width, height = cv2.boundingRect(above.astype(np.uint8))
        if not width:
            break
        ring = ring_px(width * height)  # nothing further away can count
        window = np.s_[max(y - ring, 0) : y + height + ring, max(x - ring, 0) : x + width + ring]
        found[k] = contrast(largest_part(above[window]), colours[window])
    return found


def _probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
