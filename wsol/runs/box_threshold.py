"""The thresholds that a run learns without boxes: where its boxes and masks fit its own pseudo masks best.
`RUN/seg/threshold.json`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt, ValidationError

from wsol.config.base import Config, Fraction
from wsol.errors import WsolError
from wsol.geometry.image_threshold import ImageThreshold
from wsol.storage.folders import read_json, write_json

FILE = "threshold.json"


class LearnedThreshold(Config):
    """The content of the file."""

    threshold: Fraction
    """Of the boxes: midway between the two below."""
    box_threshold: Fraction
    """Where the box of the largest component fits that of the pseudo mask best. Rather low: pseudo masks are somewhat
    wide."""
    box_iou: Fraction
    """Mean IoU of these boxes."""
    mask_threshold: Fraction
    """Where the mask fits the pseudo mask best. Rather high for boxes: thin ends are few pixels."""
    mask_iou: Fraction
    """Mean IoU of these masks, where the pseudo masks are known."""
    n: PositiveInt
    """Training images that both were learned from."""
    for_images: ImageThreshold | None = None
    """By which each image gets its own threshold; None in a run from before there were any."""


def write_threshold(folder: Path, learned: LearnedThreshold) -> None:
    """Write the file, whole or not at all."""
    write_json(folder / FILE, learned.model_dump())


def read_threshold(folder: Path) -> LearnedThreshold | None:
    """What was learned for the network in a folder; None if nothing was yet.

    Raises:
        WsolError: the file is damaged.
    """
    path = folder / FILE
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
