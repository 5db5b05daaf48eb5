"""Otsu's threshold of one heatmap: a rule without labels that suits maps of any scale."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

LEVELS = 255


def otsu_threshold(heatmap: Float[np.ndarray, "height width"]) -> float:
    """Compute the threshold of a map that maximises the between-class variance (Otsu 1979, Eq. 14).

    Args:
        heatmap: values in [0, 1].

    Returns:
        The threshold, between two levels of 8 bits: pixels above it are foreground.
    """
    levels = (np.nan_to_num(heatmap) * LEVELS).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, LEVELS, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float((level + 1) / LEVELS)
