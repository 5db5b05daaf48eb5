"""Calibration of a finished run with a few annotated boxes: its box threshold, and the probability that a box of a
given score is right. `RUN/calibration.json`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import PositiveFloat, PositiveInt, ValidationError

from wsol.config.base import Config, Fraction
from wsol.errors import WsolError
from wsol.storage.folders import read_json, write_json
from wsol.storage.schema import check_schema
from wsol.version import __version__

CALIBRATION_FILE = "calibration.json"
VERSION: Literal[2] = 2
"""Version 1 had the curve of another score."""
PRIOR_IMAGES = 2.0
"""The prior, that a score is its own probability, weighs as much as this number of images (as Platt's smoothed
targets)."""
PRIOR_SCORES = np.arange(0.05, 1, 0.1)

Fits = Float[np.ndarray, "n thresholds"]


class ScoreCurve(Config, allow_inf_nan=False):
    """The probability that a box is right, as a logistic curve of its score: 1 / (1 + exp(-(intercept + slope *
    score))).
    """

    slope: PositiveFloat
    intercept: float


class Calibration(Config):
    """The content of the file."""

    version: Literal[2] = VERSION
    threshold: Fraction
    """The box threshold, in place of the run's own."""
    curve: ScoreCurve | None
    """From the score of a box at this threshold to the probability of an IoU of at least 0.5; None leaves scores
    unchanged."""
    n: PositiveInt
    """Number of annotated images that it was learned from."""
    boxes: str
    """Path of their boxes."""
    made: str
    """Date and time in UTC."""
    wsol: str = __version__
    weights: str
    """SHA-256 of the weights that found the boxes."""


def new_calibration(weights: str, boxes: Path, threshold: float, curve: ScoreCurve | None, n: int) -> Calibration:
    """A calibration of now.

    Args:
        weights: `Run.calibrated_weights`.
        boxes: path of the annotated boxes.
        threshold: the box threshold, a fraction from 0 to 1.
        curve: from scores to probabilities; None leaves scores unchanged.
        n: number of annotated images.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Calibration(
        threshold=threshold,
        curve=curve,
        n=n,
        boxes=str(boxes),
        made=made,
        weights=weights,
    )


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Write the file, completely or not at all."""
    write_json(run / CALIBRATION_FILE, calibration.model_dump())


def reset_calibration(run: Path) -> bool:
    """Remove the file. True if there was one."""
    existed = (run / CALIBRATION_FILE).exists()
    (run / CALIBRATION_FILE).unlink(missing_ok=True)
    return existed


def read_calibration(run: Path) -> Calibration | None:
    """Read the calibration of a run; `Run.calibration` also checks that it belongs to the weights.

    Args:
        run: the run folder.

    Returns:
        The calibration; None if there is none.

    Raises:
        WsolError: the file is damaged, or of another version.
    """
    path = run / CALIBRATION_FILE
    if not path.exists():
        return None
    values = _values_in(run)
    if isinstance(values, dict):
        check_schema(values.get("version", VERSION), VERSION, path, f"wsol calibrate {run} --boxes FEW")
    try:
        return Calibration.model_validate(values)
    except ValidationError:
        raise _unusable(run) from None


def _values_in(run: Path) -> Any:
    try:
        return read_json(run / CALIBRATION_FILE, "wsol calibrate")
    except WsolError:
        raise _unusable(run) from None


def _unusable(run: Path) -> WsolError:
    return WsolError(
        f"{run / CALIBRATION_FILE} cannot be used",
        expected="what `wsol calibrate` writes",
        remedy=f"Run `wsol calibrate {run} --boxes FEW` again, or remove it with `--reset`.",
    )


def chosen_threshold(fits: Fits, thresholds: Float[np.ndarray, " thresholds"], own: float) -> int:
    """The threshold nearest to the run's own that is as good as the best one, as far as these images can tell.

    As good means: the mean IoU is within one standard error of the best mean (the one-standard-error rule of Breiman et
    al. 1984, sec. 3.4.3), where the standard error is that of the paired differences.

    Args:
        fits: IoU of each image's box at each threshold, shape (n, thresholds).
        thresholds: the thresholds, fractions from 0 to 1.
        own: the run's own threshold.

    Returns:
        The index of the threshold; of two equally near ones, that of the higher mean IoU.
    """
    means = fits.mean(axis=0)
    losses = fits[:, [int(means.argmax())]] - fits
    error = losses.std(axis=0, ddof=1) / len(fits) ** 0.5
    # A difference in a single image is exactly one standard error and no reason to move; rounding must not decide it.
    as_good = np.flatnonzero(losses.mean(axis=0) <= error + 1e-9)
    distance = np.abs(thresholds[as_good] - own).round(9)  # 0.49 and 0.51 are equally far from 0.5
    return int(as_good[np.lexsort((-means[as_good], distance))[0]])


def probability(curve: ScoreCurve, score: float) -> float:
    """The probability that a box of this score has an IoU of at least 0.5."""
    return 0.5 + 0.5 * math.tanh((curve.intercept + curve.slope * score) / 2)  # never overflows


def fitted_curve(scores: Float[np.ndarray, " n"], is_right: Bool[np.ndarray, " n"]) -> ScoreCurve | None:
    """Logistic regression of right and wrong on the score, by Newton's method (Platt 1999).

    A prior keeps few images from giving a step function: `PRIOR_IMAGES` more images with scores from 0 to 1, each right
    with the probability of its score.

    Args:
        scores: score of each image's box, 0 to 1.
        is_right: whether the box has an IoU of at least 0.5.

    Returns:
        The curve; None if it does not rise.
    """
    x = np.concatenate([scores, PRIOR_SCORES])
    targets = np.concatenate([is_right.astype(float), PRIOR_SCORES])
    weights = np.concatenate([np.ones(len(scores)), np.full(len(PRIOR_SCORES), PRIOR_IMAGES / len(PRIOR_SCORES))])
    intercept, slope = _newton(np.stack([np.ones(len(x)), x], axis=1), targets, weights)
    # A flat curve would give every box the same score; a falling one would reverse the order of a review.
    return ScoreCurve(slope=slope, intercept=intercept) if slope > _FLAT else None


_STEPS = 100
_FLAT = 1e-6
"""A slope up to this value is a rounding error."""


def _newton(
    inputs: Float[np.ndarray, "n parameters"], targets: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> list[float]:
    """The parameters of the lowest weighted cross entropy. With the prior, no step from 0 overshoots."""
    parameters = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        p = 0.5 + 0.5 * np.tanh(inputs @ parameters / 2)
        gradient = inputs.T @ (weights * (p - targets))
        curvature = (inputs * (weights * p * (1 - p))[:, None]).T @ inputs
        step = np.linalg.solve(curvature, gradient)
        parameters = parameters - step
        if np.abs(step).max() < 1e-10:
            break
    return [float(one) for one in parameters]
