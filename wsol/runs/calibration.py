"""What a few drawn boxes teach a finished run: its box threshold, and how often a box of some score is right.
`RUN/calibration.json`.
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

FILE = "calibration.json"
VERSION: Literal[2] = 2
"""1 had the curve of another score."""
PRIOR_IMAGES = 2.0
"""What the scores say by themselves counts as much as so many images; Platt's smoothed targets have the same weight."""
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
    """From the scores of boxes at this threshold to the probability of an IoU of at least 0.5; None leaves them as they
    are."""
    n: PositiveInt
    """Images with drawn boxes that it was learned from."""
    boxes: str
    """Where these were."""
    made: str
    """When, in UTC."""
    wsol: str = __version__
    weights: str
    """SHA-256 of the weights that found the boxes."""


def new_calibration(weights: str, boxes: Path, threshold: float, curve: ScoreCurve | None, n: int) -> Calibration:
    """What was learned, with when and from what. `weights` are `Run.calibrated_weights`."""
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
    """Write the file, whole or not at all."""
    write_json(run / FILE, calibration.model_dump())


def reset_calibration(run: Path) -> bool:
    """Remove the file; whether there was one."""
    is_there = (run / FILE).exists()
    (run / FILE).unlink(missing_ok=True)
    return is_there


def read_calibration(run: Path) -> Calibration | None:
    """The calibration in a run folder, whatever weights it belongs to (`Run.calibration` looks at that); None if there
    is none.

    Raises:
        WsolError: the file is damaged, or of another version.
    """
    path = run / FILE
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
        return read_json(run / FILE, "wsol calibrate")
    except WsolError:
        raise _unusable(run) from None


def _unusable(run: Path) -> WsolError:
    return WsolError(
        f"{run / FILE} cannot be used",
        expected="what `wsol calibrate` writes",
        remedy=f"Run `wsol calibrate {run} --boxes FEW` again, or remove it with `--reset`.",
    )


def chosen_threshold(fits: Fits, thresholds: Float[np.ndarray, " thresholds"], own: float) -> int:
    """The place of the threshold nearest to the run's `own` that is as good as the best one, as far as these images can
    tell.

    `fits` is the IoU of each image's box at each threshold. As good: the mean IoU is within one standard error, of the
    paired differences, of the best mean (the rule of Breiman et al. 1984, sec. 3.4.3). Of two equally near the better
    one.
    """
    means = fits.mean(axis=0)
    behind = fits[:, [int(means.argmax())]] - fits
    error = behind.std(axis=0, ddof=1) / len(fits) ** 0.5
    # A difference in one image alone is one standard error exactly, and no reason to move; rounding must not decide it.
    as_good = np.flatnonzero(behind.mean(axis=0) <= error + 1e-9)
    distance = np.abs(thresholds[as_good] - own).round(9)  # 0.49 and 0.51 are equally far from 0.5
    return int(as_good[np.lexsort((-means[as_good], distance))[0]])


def probability(curve: ScoreCurve, score: float) -> float:
    """The probability that a box of this score is right."""
    return 0.5 + 0.5 * math.tanh((curve.intercept + curve.slope * score) / 2)  # overflows nowhere


def fitted_curve(scores: Float[np.ndarray, " n"], is_right: Bool[np.ndarray, " n"]) -> ScoreCurve | None:
    """Logistic regression of right and wrong on the score, by Newton's method (Platt 1999); None where it does not
    rise.

    Few images must not make a step function of it: as if `PRIOR_IMAGES` more had been seen at scores from 0 to 1, right
    as often as their score says.
    """
    x = np.concatenate([scores, PRIOR_SCORES])
    targets = np.concatenate([is_right.astype(float), PRIOR_SCORES])
    weights = np.concatenate([np.ones(len(scores)), np.full(len(PRIOR_SCORES), PRIOR_IMAGES / len(PRIOR_SCORES))])
    intercept, slope = _newton(np.stack([np.ones(len(x)), x], axis=1), targets, weights)
    # A flat one would give every box the same score, and a falling one show the surest boxes first to who looks for
    # doubtful ones.
    return ScoreCurve(slope=slope, intercept=intercept) if slope > _FLAT else None


_STEPS = 100
_FLAT = 1e-6
"""A slope up to this is rounding."""


def _newton(
    inputs: Float[np.ndarray, "n parameters"], targets: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> list[float]:
    """The parameters of the least weighted cross entropy. From 0, where the curve is gentlest, no step overshoots: the
    prior sees to it.
    """
    found = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        p = 0.5 + 0.5 * np.tanh(inputs @ found / 2)
        gradient = inputs.T @ (weights * (p - targets))
        curvature = (inputs * (weights * p * (1 - p))[:, None]).T @ inputs
        step = np.linalg.solve(curvature, gradient)
        found = found - step
        if np.abs(step).max() < 1e-10:
            break
    return [float(one) for one in found]
