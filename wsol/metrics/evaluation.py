"""A whole judgement: every protocol, with what is needed to read it, as JSON and as rows of a table."""

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
    """What a system is worth on a data set."""

    what: str
    """What was judged, for people: "masks", "class activation maps", ..."""
    thresholds: Mapping[ProtocolName, float | None]
    judged: Mapping[ProtocolName, ProtocolResult]
    class_names: tuple[str, ...]
    left_out: tuple[str, ...]
    """Why test images were not judged: broken, or without an annotated box."""
    mistakes: tuple[Mistake, ...]
    """What is wrong with the ground truth."""
    notes: tuple[str, ...] = ()
    """What else somebody who reads the numbers should know of the results."""

    def as_json(self) -> list[dict[str, Any]]:
        """One object per protocol, as `--json` writes them."""
        return [
            {
                "protocol": name,
                "n": counted(judged),
                "left_out": len(self.left_out),
                "threshold": self.thresholds[name],
                "best_threshold": judged.best_threshold() if judged.has_thresholds() else None,
                "best_thresholds": {
                    f"{100 * level:.0f}": judged.best_threshold(level)
                    for level in judged.protocol.levels
                    if judged.has_thresholds()
                },
                "metrics": {metric: rate._asdict() for metric, rate in judged.rates.items()},
                "notes": list(self.notes),
            }
            for name, judged in self.judged.items()
        ]

    def per_class(self, name: ProtocolName) -> dict[str, tuple[int, dict[str, Rate]]]:
        """For each class with judged images how many there are, and its rates at the thresholds of all images."""
        judged = self.judged[name]
        found = {}
        for label, class_name in enumerate(self.class_names):
            which = judged.label == label
            if which.any():
                found[class_name] = counted(judged, which), judged.rates_of(which)
        return found

    def as_csv(self, *, per_class: bool) -> str:
        """One line per protocol, class and metric; the class is empty for all images together."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, judged in self.judged.items():
            writer.writerows(_lines(name, "", counted(judged), judged.rates))
            if per_class:
                for class_name, (n, rates) in self.per_class(name).items():
                    writer.writerows(_lines(name, class_name, n, rates))
        return text.getvalue()


def counted(judged: ProtocolResult, which: Which | None = None) -> int:
    """How many images the rates are means over: those with an annotated box, or all where masks are the only ground truth."""
    counts = judged.counted() if judged.has_ground_truth.any() else ~judged.has_ground_truth
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
    """Gather the rows of all images; `expected` of them must have been judged or left out, each counted once.

    Raises:
        WsolError: every image was left out.
    """
    if not rows:
        raise WsolError(
            f"none of {number_of(expected, 'image')} could be judged",
            expected="one at least",
            remedy=(
                f"The first was left out for this: {left_out[0].rstrip('.') if left_out else 'there is none'}. Fix"
                " that."
            ),
        )
    judged = {
        one.name: gather(one, [row[one.name] for row in rows], evaluator.grid(one)) for one in evaluator.protocols
    }
    for name, one in judged.items():
        if len(one.image_ids) + len(left_out) != expected:
            raise RuntimeError(
                f"{name}: {len(one.image_ids)} images judged and {len(left_out)} left out of {expected}: an image was"
                " lost or counted twice"
            )
    return Evaluation(what, evaluator.thresholds, judged, class_names, tuple(left_out), tuple(mistakes), tuple(notes))
