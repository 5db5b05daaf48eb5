"""What a calibration is worth, as a table on the terminal."""

from __future__ import annotations

from rich.table import Table

from wsol.commands.calibrate import CalibrationResult, format_threshold
from wsol.reports.table import with_interval


def calibration_table(result: CalibrationResult) -> Table:
    """The run as it is beside the calibrated one, each image judged by what the others taught."""
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
    for name, one in rows.items():
        table.add_row(name, *map(with_interval, (one.own, one.calibrated, one.difference)))
    # Without a curve the scores stay as they are, whatever curves some of the boxes would give.
    brier = result.brier if result.calibration.curve else None
    after = ("", "") if brier is None else map(with_interval, (brier.calibrated, brier.difference))
    table.add_row("Brier score, % (low is good)", with_interval(result.brier.own), *after)
    return table
