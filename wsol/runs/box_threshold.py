"""The thresholds that a run learns without boxes: where its boxes and masks fit its own pseudo masks best. `RUN/seg/threshold.json`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32
from pydantic import PositiveInt, ValidationError

from wsol.config.options import Box, Config, Fraction
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.image_threshold import AROUND_OTSU, ImageThreshold
from wsol.geometry.image_threshold import THRESHOLDS as OF_IMAGES
from wsol.geometry.threshold_sweep import largest_component, layers_at
from wsol.runs.saved_config import load_config
from wsol.storage.folders import read_json, text_hash, write_json

FILE = "threshold.json"
THRESHOLDS = np.arange(1, 100) / 100
ONE_HALF = np.array([0.5])

Plane = Float32[np.ndarray, "side side"]
Mask = Bool[np.ndarray, "side side"]
Fits = Float[np.ndarray, " thresholds"]
"""Of one picture, the IoU at each of `THRESHOLDS`."""


class Best(NamedTuple):
    """A threshold and the mean IoU over pictures that it reaches."""

    threshold: float
    mean_iou: float


class LearnedThreshold(Config):
    """The content of the file."""

    threshold: Fraction
    """Of the boxes: midway between the two below."""
    box_threshold: Fraction
    """Where the box of the largest component fits that of the pseudo mask best. Rather low: pseudo masks are somewhat wide."""
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
            f"{path} cannot be used: expected what `wsol train-seg` learned. Remove it and run `wsol train-seg DATA --run {folder.parent}`, which learns it again."
        ) from None


def image_threshold(run: Path) -> ImageThreshold | None:
    """By which each image of a run gets its own threshold; None where all have the same: it was given, the run is from before, or of another method.

    Raises:
        WsolError: not a run, or the file is damaged.
    """
    config = load_config(run)
    if config.method == "instant":
        return AROUND_OTSU
    if config.method != "spol" or config.box.threshold is not None:
        return None
    learned = read_threshold(run / "seg")
    return None if learned is None else learned.for_images


def shift_of(run: Path) -> str:
    """What the maps of a run depend on beside its weights, as a hash; empty where it is nothing."""
    found = image_threshold(run)
    return "" if found is None else text_hash(iter([found.model_dump_json()]))


def own_box(run: Path, threshold: float | None = None) -> Box:
    """How a run makes boxes: with the threshold that is given here, or it was told, or it learned.

    Raises:
        WsolError: not a run, or it has not come to learning its threshold.
    """
    choice = load_config(run).box
    threshold = choice.threshold if threshold is None else threshold
    if threshold is None:
        learned = read_threshold(run / "seg")
        if not (run / "seg").exists():
            raise WsolError(
                f"{run} is unfinished: expected stage 3's network in {run / 'seg'}. `wsol fit DATA --run {run}` goes on with it."
            )
        if learned is None:
            raise WsolError(
                f"{run} has no box threshold yet: expected {run / 'seg' / FILE}. The command that made the run goes on and learns it; or name one with `--threshold`."
            )
        threshold = learned.threshold
    return Box(threshold=threshold, objects=choice.objects, min_area=choice.min_area)


def box_fits(heatmap: Plane, inside: Mask) -> Fits:
    """IoU of the box of the largest component above each of `THRESHOLDS` with that of `inside`; 0 where nothing is above it."""
    fits = np.zeros(len(THRESHOLDS))
    found = largest_component(layers_at(heatmap, THRESHOLDS))
    if len(found) and inside.any():
        fits[: len(found)] = iou(
            Boxes(found), Boxes(largest_component(layers_at(inside.astype(np.float32), ONE_HALF)))
        )[:, 0]
    return fits


def mask_fits(heatmap: Plane, inside: Mask, known: Mask) -> Fits:
    """IoU of what is above each of `THRESHOLDS` with `inside`, among the pixels that are known. Needs a known pixel inside."""
    places = np.searchsorted(THRESHOLDS.astype(np.float32), heatmap)  # how many thresholds a pixel is above
    above = [_above(places[known & side]) for side in (inside, ~inside)]
    return np.asarray(above[0] / ((known & inside).sum() + above[1]))


def _above(places: np.ndarray) -> Float[np.ndarray, " thresholds"]:
    """How many pixels are above each threshold."""
    counts = np.bincount(places, minlength=len(THRESHOLDS) + 1)
    return counts[::-1].cumsum()[::-1][1:].astype(np.float64)


def learned_of(boxes: list[Fits], masks: list[Fits]) -> LearnedThreshold:
    """What images teach, of which each has how its boxes and its masks fit."""
    box, mask = best_of(boxes), best_of(masks)
    threshold = round((box.threshold + mask.threshold) / 2, 3)
    means = (np.mean(boxes, axis=0) + np.mean(masks, axis=0)) / 2
    fits = tuple(round(float(fit), 4) for fit in np.interp(OF_IMAGES, THRESHOLDS, means))
    return LearnedThreshold(
        threshold=threshold, box_threshold=box.threshold, box_iou=box.mean_iou, mask_threshold=mask.threshold, mask_iou=mask.mean_iou,
        n=len(boxes), for_images=ImageThreshold(threshold=threshold, fits=fits),
    )  # fmt: skip


def best_of(rows: list[Fits]) -> Best:
    """The threshold of the highest mean over pictures; of equal ones the middle."""
    means = np.mean(rows, axis=0)
    best = np.flatnonzero(means >= means.max() - 1e-12)
    place = int(best[len(best) // 2])
    return Best(float(THRESHOLDS[place]), float(means[place]))
