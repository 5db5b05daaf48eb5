"""The numbers of a comparison as tables of text, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table as TerminalTable
from rich.text import Text

from wsol.comparisons.comparison import ComparedRun, Comparison, Metric
from wsol.config.base import ProtocolName
from wsol.metrics.evaluation import image_count
from wsol.metrics.paired import Difference
from wsol.reports.page import Table
from wsol.reports.table import NAMES, with_interval
from wsol.runtime.terminal import visible
from wsol.text import number_of

BEST = "Best thresholds are chosen with the annotated boxes: they are not available without annotations."
OVER_IMAGES = (
    "An interval without 0 is a difference that the choice of test images does not explain. Metrics also vary between"
    " trainings of the same method, which these intervals do not include."
)


def metrics_table(comparison: Comparison) -> Table:
    """The metrics of the runs side by side.

    Args:
        comparison: the runs.

    Returns:
        One line per metric and protocol, one column per run; empty where a run does not have the metric.
    """
    runs = comparison.runs
    n = image_count(next(iter(runs[0].evaluation.results.values())))
    rows = [
        ("metric", "protocol", *(one.name for one in runs)),
        *_threshold_rows(runs),
        *((NAMES[metric[1]], metric[0], *(_rate(one, metric) for one in runs)) for metric in comparison.metrics),
    ]
    return Table(f"Metrics on {number_of(n, 'image')}, in percent, with 95 % intervals", rows, _caption(runs))


def _caption(runs: Sequence[ComparedRun]) -> str:
    swept = [one for run in runs for one in run.evaluation.results.values() if one.has_thresholds()]
    levels = next((one.protocol.levels for one in swept if len(one.protocol.levels) > 1), ())
    several = f" Under wsol-v1 and wsol-v2 there is one for each IoU: {', '.join(map(str, levels))}." if levels else ""
    return f"{BEST}{several}" if swept else ""


def _threshold_rows(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, ...]]:
    for name in runs[0].evaluation.results:
        own = [one.evaluation.thresholds[name] for one in runs]
        if any(own):
            yield "threshold", name, *("" if value is None else f"{value:.2f}" for value in own)
        best = [_best(one, name) for one in runs]
        if any(best):
            yield "best threshold", name, *best


def _best(run: ComparedRun, protocol: ProtocolName) -> str:
    result = run.evaluation.results[protocol]
    if not result.has_thresholds():
        return ""
    return ", ".join(f"{result.best_threshold(level):.2f}" for level in result.protocol.levels)


def _rate(run: ComparedRun, metric: Metric) -> str:
    rate = run.rate(metric)
    return "" if rate is None else with_interval(rate)


def differences_table(comparison: Comparison) -> Table:
    """Each run minus the first, paired by image.

    Args:
        comparison: the runs.

    Returns:
        One line per metric and protocol, one column for each run but the first; empty where one of the two does not
        have the metric.
    """
    first, *others = (one.name for one in comparison.runs)
    shared = [metric for metric in comparison.metrics if any(metric in one for one in comparison.differences)]
    rows = [
        ("metric", "protocol", *others),
        *(
            (NAMES[metric[1]], metric[0], *(_points(one.get(metric)) for one in comparison.differences))
            for metric in shared
        ),
        *_counts(comparison, first),
    ]
    return Table(f"Difference from {first}, in percentage points, paired bootstrap, 95 % intervals", rows, OVER_IMAGES)


def _points(difference: Difference | None) -> str:
    return "" if difference is None else " ".join(_signed_interval(difference))


def _signed_interval(difference: Difference) -> tuple[str, str]:
    value, low, high = map(_signed, difference.points)
    return value, f"({low} to {high})"


def _signed(value: float) -> str:
    """One decimal with its sign; none for what rounds to 0."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def _counts(comparison: Comparison, first: str) -> Iterator[tuple[str, ...]]:
    """The number of images on which only one of the two runs is correct."""
    metric: Metric = ("original", "gt_known")
    pairs = [one.get(metric) for one in comparison.differences]
    if any(pairs):
        yield (
            f"images: wrong in {first}, correct in this run",
            metric[0],
            *(str(one.better) if one else "" for one in pairs),
        )
        yield (
            f"images: correct in {first}, wrong in this run",
            metric[0],
            *(str(one.worse) if one else "" for one in pairs),
        )


def for_terminal(table: Table) -> TerminalTable:
    """The same table for the terminal.

    Args:
        table: its first row is the header.

    Returns:
        The table with its title and caption.
    """
    shown = TerminalTable(title=table.title, caption=table.caption or None)
    header, *rows = table.rows
    for number, name in enumerate(header):
        shown.add_column(Text(visible(name)), justify="right" if number > 1 else "left")
    for row in rows:
        shown.add_row(*(Text(visible(cell)) for cell in row))  # a name may look like markup
    return shown
