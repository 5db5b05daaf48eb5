"""Results as tables on the terminal, the protocol's name always on them."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsol.config.base import ProtocolName
from wsol.metrics.bootstrap import Rate
from wsol.metrics.evaluation import Evaluation, counted
from wsol.metrics.localization import ProtocolResult
from wsol.metrics.ranking import FEW
from wsol.runtime.terminal import visible
from wsol.text import number_of

NAMES = {
    "gt_known": "GT-known Loc",
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
    "score_auc": "AUC of the score",
}


FEW_IN_CLASSES = f"The AUC of a class with fewer than {FEW} right or {FEW} wrong boxes says little."


def with_interval(rate: Rate) -> str:
    """`86.4 (83.9 to 88.7)`, in percent."""
    return f"{rate.value:.1f} ({rate.low:.1f} to {rate.high:.1f})"


def evaluation_table(evaluation: Evaluation, protocol: ProtocolName) -> Table:
    """One line per metric."""
    result, threshold = evaluation.results[protocol], evaluation.thresholds[protocol]
    where = "" if threshold is None else f", threshold {threshold:.2f}"
    table = Table(
        title=f"protocol {protocol}, {evaluation.what}, n = {counted(result)}{where}",
        caption=_caption(evaluation, protocol),
    )
    table.add_column("metric")
    table.add_column("%, 95 % interval", justify="right")
    for name, rate in result.rates.items():
        table.add_row(NAMES[name], with_interval(rate))
    return table


def _caption(evaluation: Evaluation, protocol: ProtocolName) -> str | None:
    result = evaluation.results[protocol]
    few = few_ranked(result)
    lines = [] if few is None else [f"The AUC compares {few}."]
    n = len(result.image_ids)
    last = f"{masked_of(result.masked(), n)} " if 0 < result.masked() < n else ""
    if result.has_thresholds():
        levels = result.protocol.levels
        best = {level: f"{result.best_threshold(level):.2f}" for level in levels}
        shown = best[levels[0]] if len(levels) == 1 else ", ".join(f"{best[level]} for IoU {level}" for level in levels)
        last += f"Best threshold {shown}, chosen with the true boxes: a user without boxes does not have it."
    return "\n".join([*lines, *([last] if last else [])]) or None


def masked_of(masked: int, n: int) -> str:
    """How many images a figure of masks is over, in a sentence."""
    return f"{masked} of {number_of(n, 'image')} {'has' if masked == 1 else 'have'} a true mask."


def few_ranked(result: ProtocolResult) -> str | None:
    """What the AUC of the score rests on, where that is little."""
    right, wrong = result.ranked()
    if "score_auc" not in result.rates or min(right, wrong) >= FEW:
        return None
    return f"{number_of(right, 'right box')} with {wrong} wrong"


def per_class_table(evaluation: Evaluation, protocol: ProtocolName) -> Table:
    """One line per class, the fewest found first: its images, and the rates at the thresholds of all images."""
    rows = evaluation.per_class(protocol)
    result = evaluation.results[protocol]
    metrics, label = list(result.rates), result.label
    few = any(min(result.ranked(label == i)) < FEW for i in np.unique(label)) and "score_auc" in metrics
    table = Table(title=f"protocol {protocol}, {evaluation.what}, per class", caption=FEW_IN_CLASSES if few else None)
    table.add_column("class")
    for name in ("n", *(NAMES[metric] for metric in metrics)):
        table.add_column(name, justify="right")
    for class_name, (n, rates) in sorted(rows.items(), key=lambda row: [rate.value for rate in row[1][1].values()]):
        cells = (with_interval(rates[metric]) if metric in rates else "" for metric in metrics)
        table.add_row(Text(visible(class_name)), str(n), *cells)  # a name may look like markup
    return table


def print_table(table: Table) -> None:
    """On standard output, wide enough not to wrap in a log; title and caption on lines of their own, however narrow the
    table.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(120, 20 + 24 * len(table.columns)))
    title, caption = table.title, table.caption
    table.title = table.caption = None
    for part in (title, table, caption):
        if part is not None:
            # A run's folder may look like markup, too.
            console.print(Text(visible(part)) if isinstance(part, str) else part, highlight=False)
