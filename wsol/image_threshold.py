"""Each image's own threshold around the one that its run has learned.

A threshold is good for all images where it reproduces the pseudo masks, and for one image where the colours of its object differ from those
around it (the colour contrast of Alexe et al. 2012, "Measuring the Objectness of Image Windows", sec. 3.2, with a mask in the window's place).
The map of each image is shifted so that its own threshold comes to stand at the run's.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from pydantic import Field

from wsol.config import Config, Fraction

THRESHOLDS = np.round(np.arange(0.04, 0.71, 0.02), 2)
SIDE_PX = 128
COLOURS = 8
"""Bins of each of L, a and b."""
RING_SHARE = 0.25
"""How wide the surroundings are, as a share of the square root of the object's area."""
LEAST_RING_PX = 3
FEWEST_PX = 20
"""Of an object, and of its surroundings: fewer have no colours to speak of."""
WEIGHT = 0.5
"""Of a contrast between 0 and 1 beside a mean IoU. On five kinds of images 0.3 to 0.8 are as good (studies/recipes.md)."""
SOFTNESS = 0.02
"""Differences of the two together that hardly count: thresholds are weighed by exp(sum / SOFTNESS), so that no rounding makes the choice jump."""

Curve = Float[np.ndarray, "*thresholds"]
Heatmaps = Float32[np.ndarray, "batch height width"]
Heatmap = Float32[np.ndarray, "height width"]
Square = UInt8[np.ndarray, "3 _ _"]


class ImageThreshold(Config):
    """What a run has learned of all images."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    """Where each image's own threshold is brought to."""
    fits: Annotated[tuple[Fraction, ...], Field(min_length=len(THRESHOLDS), max_length=len(THRESHOLDS))]
    """The mean IoU with the pseudo masks at each of `THRESHOLDS`."""

    def shifted(self, heatmaps: Heatmaps, pixels: UInt8[np.ndarray, "batch 3 _ _"]) -> Heatmaps:
        """The probabilities with each image's own threshold at the run's; their order in an image, 0 and 1 stay."""
        return np.stack([self._shifted(*one) for one in zip(heatmaps, pixels, strict=True)])

    def of(self, heatmap: Heatmap, pixels: Square) -> float:
        """The image's own threshold."""
        goodness = np.array(self.fits) + WEIGHT * contrasts(heatmap, pixels)
        weights = np.exp((goodness - goodness.max()) / SOFTNESS)
        return _probability(float(weights @ _log_odds(THRESHOLDS) / weights.sum()))

    def _shifted(self, heatmap: Heatmap, pixels: Square) -> Heatmap:
        if not np.isfinite(heatmap).all():
            return heatmap
        factor = np.float32(np.exp(_log_odds(self.threshold) - _log_odds(self.of(heatmap, pixels))))
        return np.asarray(heatmap * factor / (heatmap * factor + (1 - heatmap)))


def contrasts(heatmap: Heatmap, pixels: Square) -> Curve:
    """At each threshold, how the colours of the largest component differ from those around it: 1 less the Bhattacharyya coefficient."""
    fine = cv2.resize(heatmap, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    colours = _colours(pixels)
    return np.array([_contrast(_largest(fine > threshold), colours) for threshold in THRESHOLDS])


def _colours(pixels: Square) -> Int[np.ndarray, "_ _"]:
    """A number for each pixel's colour."""
    small = cv2.resize(
        np.ascontiguousarray(pixels.transpose(1, 2, 0)), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA
    )
    lightness, a, b = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.int64) * COLOURS // 256, 2, 0)
    return np.asarray((lightness * COLOURS + a) * COLOURS + b)


def _largest(above: Bool[np.ndarray, "side side"]) -> Bool[np.ndarray, "side side"]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    if count < 2:
        return above
    return np.asarray(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax())


def _contrast(inside: Bool[np.ndarray, "side side"], colours: Int[np.ndarray, "_ _"]) -> float:
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    around = ~inside & (distance <= max(LEAST_RING_PX, RING_SHARE * inside.sum() ** 0.5))
    if min(inside.sum(), around.sum()) < FEWEST_PX:
        return 0.0
    shares = [np.bincount(colours[where], minlength=COLOURS**3) / where.sum() for where in (inside, around)]
    return float(1 - np.sqrt(shares[0] * shares[1]).sum())


def _log_odds(probability: Curve | float) -> Curve:
    share = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(share) - np.log1p(-share))


def _probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
