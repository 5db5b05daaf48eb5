"""The thresholds that a run learns without annotated boxes, by comparison with its own pseudo masks:
`RUN/seg/threshold.json`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt, ValidationError

from wsol.config.base import Config, Fraction
from wsol.errors import WsolError
from wsol.geometry.image_threshold import ImageThreshold
from wsol.storage.folders import read_json, write_json

THRESHOLD_FILE = "threshold.json"


class LearnedThreshold(Config):
    """The content of the file."""

    threshold: Fraction
    """The box threshold: the midpoint of `box_threshold` and `mask_threshold`."""
    box_threshold: Fraction
    """The threshold with the highest IoU of the largest component's box with the box of the pseudo mask. Rather low,
    since pseudo masks are somewhat too large."""
    box_iou: Fraction
    """Mean IoU of these boxes."""
    mask_threshold: Fraction
    """The threshold with the highest mask IoU with the pseudo mask. Rather high for boxes, since thin parts of
    an object are few pixels."""
    mask_iou: Fraction
    """Mean IoU of these masks, over the pixels where the pseudo masks are not ignored."""
    n: PositiveInt
    """Number of training images that both were learned from."""
    for_images: ImageThreshold | None = None
    """The rule for the threshold of each image; None in runs of older versions."""


def write_threshold(folder: Path, learned: LearnedThreshold) -> None:
    """Write the file, completely or not at all."""
    write_json(folder / THRESHOLD_FILE, learned.model_dump())


def read_threshold(folder: Path) -> LearnedThreshold | None:
    """Read the learned thresholds of a network.

    Args:
        folder: the folder of the network, `RUN/seg`.

    Returns:
        The thresholds; None if they are not learned yet.

    Raises:
        WsolError: the file is damaged.
    """
    path = folder / THRESHOLD_FILE
    if not path.exists():
        return None
    try:
        return LearnedThreshold.model_validate(read_json(path, "wsol train-seg"))
    except (ValidationError, WsolError):
        raise WsolError(
            f"{path} cannot be used",
            expected="what `wsol train-seg` learned",
            remedy=f"Remove it and run `wsol train-seg DATA --run {folder.parent}`, which learns it again.",
        ) from None
