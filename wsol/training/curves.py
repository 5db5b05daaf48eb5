"""The loss curves of a run's training stages as one image."""

from __future__ import annotations

import csv
from pathlib import Path

from wsol.config.groups import stage_folders
from wsol.runs.run import Run
from wsol.storage.folders import remove_left, whole_file

CURVES_FILE = "curves.png"


def write_training_curves(run: Path) -> Path | None:
    """Draw the loss curves of all stages to `curves.png`.

    Args:
        run: folder of the run; the losses are read from the stages' `results.csv`.

    Returns:
        The path of the image; None if no training has finished an epoch.
    """
    losses = training_losses(run)
    if not losses:
        return None
    from matplotlib.figure import Figure  # seconds to import

    figure = Figure(figsize=(3.6 * len(losses), 3.2), layout="constrained")
    for axes, (stage, values) in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses.items(), strict=True):
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3)
        axes.set(title=stage, xlabel="epoch", ylabel="loss", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    remove_left(run / CURVES_FILE)
    with whole_file(run / CURVES_FILE) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return run / CURVES_FILE


def training_losses(run: Path) -> dict[str, list[float]]:
    """Return the mean loss of each epoch by stage, in training order; stages without a finished epoch are left out."""
    losses = {name: _losses(run / name / "results.csv") for name in stage_folders(Run.open(run).config)}
    return {name: values for name, values in losses.items() if values}


def _losses(path: Path) -> list[float]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]
