"""Evaluation results as tables on the terminal; each table names its protocol."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsol.config.base import ProtocolName
from wsol.metrics.bootstrap import Rate
from wsol.metrics.evaluation import Evaluation, image_count
from wsol.metrics.localization import ProtocolResult
from wsol.metrics.ranking import FEW
from wsol.runtime.terminal import visible
from wsol.text import number_of

NAMES = {
    "gt_known": "GT-known Loc",
    "gt_known_30": "GT-known Loc at IoU 0.3",
    "top1_loc": "Top-1 Loc",
    "top5_loc": "Top-5 Loc",
    "max_box_acc": "MaxBoxAcc",
    "max_box_acc_v2": "MaxBoxAccV2",
    "box_acc_30": "BoxAcc at IoU 0.3",
    "box_acc_50": "BoxAcc at IoU 0.5",
    "box_acc_70": "BoxAcc at IoU 0.7",
    "mean_box_iou": "mean box IoU",
    "mask_iou": "mask IoU",
    "pxap": "PxAP",
    "gt_known_best_threshold": "GT-known Loc at the best threshold",
    "gt_known_otsu": "GT-known Loc at Otsu's threshold of each map",
    "pointing_game": "pointing game",
    "score_auc": "AUC of the score",
    "empty_correct": "images without an object: nothing found",
    "false_positives": "images without an object: boxes per image",
    "image_auroc": "AUROC of the image score",
    "image_ap": "average precision of the image score",
    "corloc": "CorLoc",
    "ap_50": "AP at IoU 0.5",
    "recall_50": "recall at IoU 0.5",
    "count_right": "number of objects right",
    "count_within_one": "number of objects right within one",
}


FEW_IN_CLASSES = f"The AUC of a class with fewer than {FEW} correct or {FEW} wrong boxes is not reliable."


def with_interval(rate: Rate, decimals: int = 1) -> str:
    """Format a rate and its 95 % interval.

    Args:
        rate: in percent.
        decimals: the number of decimals.

    Returns:
        Text such as `86.4 (83.9 to 88.7)`.
    """
    return f"{rate.value:.{decimals}f} ({rate.low:.{decimals}f} to {rate.high:.{decimals}f})"


def metric_cell(metric: str, rates: Mapping[str, Rate]) -> str:
    """The cell of a metric in a table in percent; a mean number of boxes has two decimals.

    Args:
        metric: its name.
        rates: the rates by name.

    Returns:
        The value with its interval; empty without the metric.
    """
    return with_interval(rates[metric], 2 if metric == "false_positives" else 1) if metric in rates else ""


def empty_images(empty: int) -> str:
    """The end of a title that states the number of images without an object.

    Args:
        empty: the number of images.

    Returns:
        Text such as ` and 12 images without an object`; empty for none.
    """
    return f" and {number_of(empty, 'image')} without an object" if empty else ""


def evaluation_table(result: Evaluation, protocol: ProtocolName) -> Table:
    """Table of an evaluation under one protocol, one line per metric.

    Args:
        result: the evaluation.
        protocol: one of its protocols.

    Returns:
        The table, in percent with 95 % intervals.
    """
    protocol_result, threshold = result.results[protocol], result.thresholds[protocol]
    where = "" if threshold is None else f", threshold {threshold:.2f}"
    table = Table(
        title=f"protocol {protocol}, {result.what}, n = {image_count(protocol_result)}"
        f"{empty_images(protocol_result.empty())}{where}",
        caption=_caption(result, protocol),
    )
    table.add_column("metric")
    table.add_column("%, 95 % interval", justify="right")
    for name in protocol_result.rates:
        table.add_row(NAMES[name], metric_cell(name, protocol_result.rates))
    return table


def _caption(result: Evaluation, protocol: ProtocolName) -> str | None:
    protocol_result = result.results[protocol]
    few = few_ranked(protocol_result)
    lines = [] if few is None else [f"The AUC compares {few}."]
    n = int(protocol_result.has_object.sum())
    last = f"{masked_of(protocol_result.masked(), n)} " if 0 < protocol_result.masked() < n else ""
    if protocol_result.has_thresholds():
        levels = protocol_result.protocol.levels
        best = {level: f"{protocol_result.best_threshold(level):.2f}" for level in levels}
        shown = best[levels[0]] if len(levels) == 1 else ", ".join(f"{best[level]} for IoU {level}" for level in levels)
        last += f"Best threshold {shown}, chosen with the annotated boxes: it is not available without annotations."
    return "\n".join([*lines, *([last] if last else [])]) or None


def masked_of(masked: int, n: int) -> str:
    """State how many images have an annotated mask.

    Args:
        masked: number of images with a mask.
        n: number of images.

    Returns:
        A sentence.
    """
    return f"{masked} of {number_of(n, 'image')} {'has' if masked == 1 else 'have'} an annotated mask."


def few_ranked(protocol_result: ProtocolResult) -> str | None:
    """State how many boxes the AUC of the score compares, if they are few.

    Args:
        protocol_result: images evaluated under one protocol.

    Returns:
        Text such as `9 correct boxes with 30 wrong`, or None if both are at least `FEW` or there is no AUC.
    """
    right, wrong = protocol_result.ranked()
    if "score_auc" not in protocol_result.rates or min(right, wrong) >= FEW:
        return None
    return f"{number_of(right, 'correct box')} with {wrong} wrong"


def per_class_table(result: Evaluation, protocol: ProtocolName) -> Table:
    """Table of an evaluation by class, lowest rates first.

    Args:
        result: the evaluation.
        protocol: one of its protocols.

    Returns:
        One line per class: its number of images, and the rates in percent at the thresholds of all images.
    """
    rows = result.per_class(protocol)
    label = result.results[protocol].label
    metrics = [name for name in result.results[protocol].rates if any(name in rates for _, rates in rows.values())]
    few = (
        any(min(result.results[protocol].ranked(label == i)) < FEW for i in np.unique(label)) and "score_auc" in metrics
    )
    table = Table(title=f"protocol {protocol}, {result.what}, per class", caption=FEW_IN_CLASSES if few else None)
    table.add_column("class")
    for name in ("n", *(NAMES[metric] for metric in metrics)):
        table.add_column(name, justify="right")
    for class_name, (n, rates) in sorted(rows.items(), key=_rank):
        cells = (metric_cell(metric, rates) for metric in metrics)
        table.add_row(Text(visible(class_name)), str(n), *cells)  # a class name may look like markup
    return table


def _rank(row: tuple[str, tuple[int, dict[str, Rate]]]) -> tuple[bool, list[float]]:
    """Lowest rates first; classes without objects last."""
    _, (_, rates) = row
    return "empty_correct" in rates, [rate.value for rate in rates.values()]


def print_table(table: Table) -> None:
    """Print a table on standard output, wide enough not to wrap in a log; title and caption have lines of their own.

    Args:
        table: the table; its title and caption are removed from it.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(120, 20 + 24 * len(table.columns)))
    title, caption = table.title, table.caption
    table.title = table.caption = None
    for part in (title, table, caption):
        if part is not None:
            # The name of a run's folder may look like markup, too.
            console.print(Text(visible(part)) if isinstance(part, str) else part, highlight=False)
