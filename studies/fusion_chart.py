"""Fig. 1b of Wei et al. 2021: GT-known Loc of stage 1's maps by number of fused stages, one line for each fusion.

    python studies/fusion_chart.py studies/grids/ablation.yaml --out studies/fusion.png

Reads what `studies/run.py` wrote for the grid, trains nothing, and needs no data. Solid lines are the grid's rows at
their best thresholds; dashed lines are the paper's values, where the grid has them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from run import HERE, Run, read_grid

from wsol import WsolError
from wsol.config.base import Fusion
from wsol.reports.curve import SUFFIXES
from wsol.storage.folders import whole_file

METRIC = "gt_known_best_threshold"
COLOURS: dict[Fusion, str] = {"multiply": "tab:orange", "add": "tab:blue", "concat": "tab:green"}
SHIFT = 0.04
"""Between the lines, so that their intervals can be told apart."""


@dataclass(frozen=True)
class Point:
    """GT-known Loc in percent with a number of fused stages: its mean over seeds, and its interval."""

    levels: int
    value: float | None
    """None where no run of the row is finished."""
    low: float
    high: float
    reference: float | None
    """The paper's value."""


def fusion_lines(runs: Sequence[Run], results: Sequence[dict[str, Any]]) -> dict[Fusion, list[Point]]:
    """Select the rows that differ from the row with one stage in nothing but fusion and number of stages.

    Args:
        runs: all runs of a grid.
        results: what `studies/run.py` wrote for it.

    Returns:
        The points of each fusion by number of stages. With one stage nothing is fused, so all lines begin at the
        same point, as in the paper.

    Raises:
        WsolError: the grid has no such rows.
    """
    rows = {run.row.name: run for run in runs if run.row.which == "cam"}
    first = next((run for run in rows.values() if run.config.cam.levels == 1), None)
    fused = [run for run in rows.values() if run.config.cam.levels > 1 and first and _common(run) == _common(first)]
    if first is None or not fused:
        raise WsolError(
            "the grid compares no fusions",
            expected="rows with `which: cam`, one of them with one level, that differ in `fusion` and `levels` alone",
            remedy="See studies/grids/ablation.yaml.",
        )
    lines: dict[Fusion, list[Point]] = {}
    for fusion in COLOURS:
        of_fusion = [run for run in fused if run.config.cam.fusion == fusion]
        if of_fusion:
            points = [_point(run, results) for run in (first, *of_fusion)]
            lines[fusion] = sorted(points, key=lambda point: point.levels)
    return lines


def _common(run: Run) -> dict[str, Any]:
    """The settings of stage 1 that are the same for all lines."""
    config = run.config
    return {"backbone": config.backbone, "weights": config.weights} | config.cam.model_dump(
        exclude={"fusion", "levels"}
    )


def _point(run: Run, results: Iterable[dict[str, Any]]) -> Point:
    """Mean and standard deviation over seeds, or value and 95 % interval of a single one."""
    found = [
        result["judged"][0]["metrics"][METRIC]
        for result in results
        if (result["row"], result["values"]) == (run.row.name, run.values) and METRIC in result["judged"][0]["metrics"]
    ]
    levels, reference = run.config.cam.levels, run.row.reference
    if not found:
        return Point(levels, None, 0, 0, reference)
    if len(found) == 1:
        return Point(levels, found[0]["value"], found[0]["low"], found[0]["high"], reference)
    values = [rate["value"] for rate in found]
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    return Point(levels, mean, mean - deviation, mean + deviation, reference)


def draw(path: Path, lines: dict[Fusion, list[Point]], title: str) -> None:
    """Write the chart.

    Args:
        path: file for the chart; its suffix gives the format.
        lines: the points of each fusion.
        title: title of the chart.
    """
    from matplotlib.figure import Figure  # imported here, as in wsol.reports.curve; a Figure opens no window

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    plot = figure.subplots()
    for number, (fusion, points) in enumerate(lines.items()):
        colour, shift = COLOURS[fusion], SHIFT * (number - (len(lines) - 1) / 2)
        done = [(one.levels + shift, one.value, one.low, one.high) for one in points if one.value is not None]
        if done:
            x, value, low, high = np.transpose(done)
            plot.errorbar(x, value, (value - low, high - value), color=colour, marker="o", capsize=3, label=fusion)
        paper = [(one.levels, one.reference) for one in points if one.reference is not None]
        if paper:
            plot.plot(*np.transpose(paper), color=colour, ls="--", marker=".", alpha=0.6, label=f"{fusion}, paper")
    levels = sorted({point.levels for points in lines.values() for point in points})
    plot.set_xticks(levels, [f"Fuse{number}" for number in levels])
    plot.set(title=title, ylabel="GT-known Loc at the best threshold, %", ylim=(0, 100))
    plot.grid(axis="y", alpha=0.3)
    handles = dict(sorted(zip(*reversed(plot.get_legend_handles_labels()), strict=True)))  # a column for each fusion
    plot.legend(handles.values(), handles, ncols=len(lines), fontsize="small", loc="lower center")
    with whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=110)


def main() -> None:
    """Read a grid and its results, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--results", type=Path, help="studies/results/<grid>.json by default")
    parser.add_argument("--out", type=Path, required=True, help=f"the chart: {', '.join(SUFFIXES)}")
    given = parser.parse_args()
    try:
        if given.out.suffix.lower() not in SUFFIXES:
            raise WsolError(f"--out {given.out}", expected=f"a name that ends in {', '.join(SUFFIXES)}")
        title, runs = read_grid(given.grid)
        path = given.results or HERE / "results" / f"{given.grid.stem}.json"
        if not path.is_file():
            raise WsolError(f"no results in {path}", remedy=f"Make them with `studies/run.py {given.grid} DATA`.")
        draw(given.out, fusion_lines(runs, json.loads(path.read_text(encoding="utf-8"))), title)
    except WsolError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
