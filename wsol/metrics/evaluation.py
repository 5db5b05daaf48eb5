"""A whole evaluation: the results under every protocol, as JSON and as rows of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsol.config.base import ProtocolName
from wsol.data.csv_cells import guarded
from wsol.data.ground_truth import Mistake
from wsol.errors import WsolError
from wsol.metrics.bootstrap import Rate
from wsol.metrics.evaluator import Evaluator, Row
from wsol.metrics.localization import ProtocolResult, Which, gather
from wsol.runtime.terminal import visible
from wsol.text import number_of

COLUMNS = ("protocol", "class", "metric", "value", "low", "high", "n")


@dataclass(frozen=True)
class Evaluation:
    """The results of a system on a data set, under one or several protocols."""

    what: str
    """What was evaluated, for people: "masks", "class activation maps", ..."""
    thresholds: Mapping[ProtocolName, float | None]
    results: Mapping[ProtocolName, ProtocolResult]
    class_names: tuple[str, ...]
    left_out: tuple[str, ...]
    """Why test images were not evaluated: broken, or without ground truth."""
    mistakes: tuple[Mistake, ...]
    """What is wrong with the ground truth."""
    notes: tuple[str, ...] = ()
    """Further remarks for the reader of the numbers."""

    def as_json(self) -> list[dict[str, Any]]:
        """One object per protocol, as `--json` writes them."""
        return [
            {
                "protocol": name,
                "n": counted(result),
                "left_out": len(self.left_out),
                "threshold": self.thresholds[name],
                "best_threshold": result.best_threshold() if result.has_thresholds() else None,
                "best_thresholds": {
                    f"{100 * level:.0f}": result.best_threshold(level)
                    for level in result.protocol.levels
                    if result.has_thresholds()
                },
                "metrics": {metric: rate._asdict() for metric, rate in result.rates.items()},
                "notes": list(self.notes),
            }
            for name, result in self.results.items()
        ]

    def per_class(self, name: ProtocolName) -> dict[str, tuple[int, dict[str, Rate]]]:
        """The number of evaluated images of each class, and their rates at the thresholds of all images."""
        result = self.results[name]
        found = {}
        for label, class_name in enumerate(self.class_names):
            which = result.label == label
            if which.any():
                found[class_name] = counted(result, which), result.rates_of(which)
        return found

    def as_csv(self, *, per_class: bool) -> str:
        """One line per protocol, class and metric; the class is empty for all images together."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, result in self.results.items():
            writer.writerows(_lines(name, "", counted(result), result.rates))
            if per_class:
                for class_name, (n, rates) in self.per_class(name).items():
                    writer.writerows(_lines(name, class_name, n, rates))
        return text.getvalue()


def counted(result: ProtocolResult, which: Which | None = None) -> int:
    """How many images the rates are means over: those with annotated boxes, or all if there are only masks."""
    counts = result.counted() if result.has_ground_truth.any() else ~result.has_ground_truth
    return int((counts if which is None else counts & which).sum())


def _lines(name: str, class_name: str, n: int, rates: Mapping[str, Rate]) -> Iterable[tuple[object, ...]]:
    return (
        (name, guarded(visible(class_name)), metric, rate.value, rate.low, rate.high, n)
        for metric, rate in rates.items()
    )


def evaluation_of(
    what: str,
    evaluator: Evaluator,
    rows: Sequence[Mapping[ProtocolName, Row]],
    *,
    expected: int,
    class_names: tuple[str, ...],
    left_out: Sequence[str],
    mistakes: Sequence[Mistake],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Gather the rows of all images; `expected` of them must have been evaluated or left out, each counted once.

    Raises:
        WsolError: every image was left out.
    """
    if not rows:
        raise WsolError(
            f"none of {number_of(expected, 'image')} could be evaluated",
            expected="one at least",
            remedy=(
                f"The first was left out for this: {left_out[0].rstrip('.') if left_out else 'there is none'}. Fix"
                " that."
            ),
        )
    results = {
        one.name: gather(one, [row[one.name] for row in rows], evaluator.grid(one)) for one in evaluator.protocols
    }
    for name, one in results.items():
        if len(one.image_ids) + len(left_out) != expected:
            raise RuntimeError(
                f"{name}: {len(one.image_ids)} images evaluated and {len(left_out)} left out of {expected}: an image"
                " was lost or counted twice"
            )
    return Evaluation(what, evaluator.thresholds, results, class_names, tuple(left_out), tuple(mistakes), tuple(notes))
