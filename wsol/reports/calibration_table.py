"""The effect of a calibration, as a table on the terminal."""

from __future__ import annotations

from rich.table import Table

from wsol.commands.calibrate import CalibrationResult, format_threshold
from wsol.reports.table import with_interval


def calibration_table(result: CalibrationResult) -> Table:
    """Compare the run before and after calibration; each image is evaluated with what was learned from the others.

    Args:
        result: the calibration and its leave-one-out evaluation.

    Returns:
        One line per metric, in percent with 95 % intervals.
    """
    table = Table(
        title=(
            f"calibration, n = {result.calibration.n}, threshold {format_threshold(result.own_threshold)} by default,"
            f" {format_threshold(result.calibration.threshold)} chosen"
        ),
        caption=result.verdict() if result.accuracy is None else f"{result.accuracy} {result.verdict()}",
    )
    first = "95 % intervals (bootstrap)"
    for name in (first, "by default", "calibrated, leave-one-out", "difference"):
        table.add_column(name, justify="left" if name == first else "right")
    rows = {
        "GT-known Loc, %": result.gt_known,
        "mean box IoU, %": result.mean_box_iou,
    }
    for name, paired in rows.items():
        table.add_row(name, *map(with_interval, (paired.own, paired.calibrated, paired.difference)))
    # Without a calibration curve the scores do not change, even if curves fit on some of the boxes would change them.
    brier = result.brier if result.calibration.curve else None
    after = ("", "") if brier is None else map(with_interval, (brier.calibrated, brier.difference))
    table.add_row("Brier score, % (lower is better)", with_interval(result.brier.own), *after)
    return table
