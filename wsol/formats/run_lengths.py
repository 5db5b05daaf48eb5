"""Run lengths row by row; COCO's run down the columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> list[int]:
    """Lengths of the alternating runs of background and object, row by row; the first is background and may be 0."""
    flat = mask.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1:].any()))
    return [int(length) for length in np.diff(edges, prepend=0)]
