"""Results as tables on the terminal, the protocol's name always on them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from wsol.metrics.bootstrap import Rate
from wsol.stages.evaluate import PROTOCOL, Evaluation

NAMES = {
    "gt_known": "GT-known Loc",
    "top1_loc": "Top-1 Loc",
    "top5_loc": "Top-5 Loc",
    "mean_box_iou": "mean box IoU",
    "mask_iou": "mask IoU",
    "gt_known_best_threshold": "GT-known Loc at the best threshold",
}


def with_interval(rate: Rate) -> str:
    """`86.4 (83.9 to 88.7)`, in percent."""
    return f"{rate.value:.1f} ({rate.low:.1f} to {rate.high:.1f})"


def evaluation_table(result: Evaluation) -> Table:
    """One line per metric."""
    what = "masks" if result.which == "seg" else "class activation maps"
    table = Table(
        title=f"protocol {PROTOCOL}, {what}, n = {len(result.judged.iou)}, threshold {result.threshold:.2f}",
        title_justify="left",
    )
    table.add_column("metric")
    table.add_column("%, 95 % interval", justify="right")
    for name, rate in result.judged.metrics().items():
        table.add_row(NAMES[name], with_interval(rate))
    table.caption = f"Best threshold {result.judged.best_threshold():.2f}, chosen with the true boxes: a user without boxes does not have it."
    return table


def print_table(table: Table) -> None:
    """On standard output, wide enough not to wrap in a log."""
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)
