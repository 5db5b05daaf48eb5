"""How far a rate would move with another draw of pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000


class Rate(NamedTuple):
    """A mean over images in percent with a 95 % bootstrap percentile interval (Efron 1979)."""

    value: float
    low: float
    high: float


def rate(values: Float[np.ndarray, " n"]) -> Rate:
    """The mean of per-image values in [0, 1], resampling images; the same values give the same interval."""
    n = len(values)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ values / n
    low, high = np.percentile(draws, [2.5, 97.5])
    return Rate(100 * float(values.mean()), 100 * float(low), 100 * float(high))
