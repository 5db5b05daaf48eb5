"""Accuracy over the threshold, as a table and as a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from wsol.config.base import ProtocolName
from wsol.errors import WsolError
from wsol.metrics.evaluation import Evaluation
from wsol.metrics.localization import ProtocolResult
from wsol.storage.folders import whole_file, write_text

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = {0.3: "tab:blue", 0.5: "tab:orange", 0.7: "tab:green"}
"""By IoU threshold, the same in every protocol."""


def check_curve_file(path: Path) -> None:
    """Check the file name of a plot before anything is computed.

    Args:
        path: file for the plot.

    Raises:
        WsolError: the suffix is not one of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise WsolError(
            f"--curve {path}",
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            remedy="The numbers are written beside it, with the suffix .csv.",
        )


def write_curve(path: Path, evaluation: Evaluation) -> None:
    """Write the plot to `path` and its numbers beside it as CSV: protocol, IoU, threshold, accuracy in percent.

    Args:
        path: file for the plot; its suffix gives the format.
        evaluation: of a run or of predictions.

    Raises:
        WsolError: there is no threshold to vary (only boxes were evaluated), or there are no annotated boxes.
    """
    swept = {name: one for name, one in evaluation.results.items() if one.has_thresholds()}
    if not swept:
        raise WsolError(
            "no curve",
            expected="maps to threshold, and annotated boxes to compare with",
            remedy="Leave out --curve, or evaluate maps on a data set with boxes.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path.with_suffix(".csv"), _numbers(swept))
    _draw(path, swept, evaluation)


def _numbers(swept: Mapping[ProtocolName, ProtocolResult]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("protocol", "iou", "threshold", "accuracy"))
    for name, result in swept.items():
        for level in result.protocol.levels:
            accuracy = 100 * result.curve(level)
            writer.writerows(
                (name, level, f"{x:.6g}", f"{y:.6g}") for x, y in zip(result.thresholds, accuracy, strict=True)
            )
    return text.getvalue()


def _draw(path: Path, swept: Mapping[ProtocolName, ProtocolResult], evaluation: Evaluation) -> None:
    from matplotlib.figure import Figure  # imported here: it takes half a second; a Figure opens no window

    figure = Figure(figsize=(5 * len(swept), 5), layout="constrained")
    axes = figure.subplots(1, len(swept), sharey=True, squeeze=False)[0]
    for plot, (name, result) in zip(axes, swept.items(), strict=True):
        for level in result.protocol.levels:
            curve, best = 100 * result.curve(level), result.best_threshold(level)
            label = f"IoU {level}: best {curve.max():.1f} at {best:.2f}"
            plot.plot(result.thresholds, curve, color=COLOURS[level], label=label)
            plot.plot(best, curve.max(), "o", color=COLOURS[level])
        own = evaluation.thresholds[name]
        if own is not None:
            whose = "the run's threshold" if result.protocol.threshold == "own" else "the protocol's threshold"
            plot.axvline(own, color="black", linestyle="--", label=f"{whose} {own:.2f}")
        plot.set(title=f"protocol {name}, {evaluation.what}", xlabel="threshold", ylim=(0, 100), xlim=(0, 1))
        plot.grid(alpha=0.3)
        plot.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))
    axes[0].set_ylabel("correct boxes, %")
    with whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower())
