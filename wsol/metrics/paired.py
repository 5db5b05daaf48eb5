"""Two systems on the same images: differences of their metrics with intervals, paired by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wsol.errors import WsolError
from wsol.metrics.bootstrap import Rate, rate
from wsol.metrics.localization import ProtocolResult


@dataclass(frozen=True)
class Difference:
    """A metric of one system minus that of another, on the same images."""

    points: Rate
    """In percentage points, with the 95 % interval of the paired bootstrap."""
    n: int
    """The number of images that count for both."""
    better: int
    """The number of images on which the system is better than the reference."""
    worse: int
    """The number of images on which it is worse."""


def differences(result: ProtocolResult, reference: ProtocolResult) -> dict[str, Difference]:
    """Every metric that is a mean over images and that both systems have: `result` minus `reference`.

    Args:
        result: a system under one protocol.
        reference: another system under the same protocol, on the same images.

    Returns:
        The differences by metric; the best thresholds are those of all images.

    Raises:
        WsolError: the images differ.
    """
    _check_same_images(result, reference)
    return {
        name: difference(values, reference.per_image[name])
        for name, values in result.per_image.items()
        if name in reference.per_image and np.isfinite(values + reference.per_image[name]).any()
    }


def difference(values: Float[np.ndarray, " n"], reference: Float[np.ndarray, " n"]) -> Difference:
    """The difference of two means with the interval of the paired bootstrap (Koehn 2004).

    Each resample takes the same images for both systems. The difference of the two means is then the mean of the
    differences of the images, so it is enough to resample these.

    Args:
        values: one per image in [0, 1], NaN for an image that does not count; at least one image counts for both.
        reference: the same of the other system.
    """
    of_images = values - reference
    of_images = of_images[np.isfinite(of_images)]
    return Difference(rate(of_images), len(of_images), int((of_images > 0).sum()), int((of_images < 0).sum()))


def _check_same_images(result: ProtocolResult, reference: ProtocolResult) -> None:
    if result.image_ids != reference.image_ids:
        odd = sorted(set(result.image_ids) ^ set(reference.image_ids))
        raise WsolError(
            "the systems were evaluated on different images",
            expected="the same for both",
            got=f"{odd[0]} for one of them",
            remedy="If the data set changed meanwhile, give the same command again.",
        )
