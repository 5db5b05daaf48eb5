"""The result of an evaluation under all protocols, as JSON and as rows of a table."""

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
from wsol.metrics.localization import OF_EMPTY_IMAGES, OF_IMAGE_SCORES, ProtocolResult, Which, gather
from wsol.runtime.terminal import visible
from wsol.text import number_of

COLUMNS = ("protocol", "class", "metric", "value", "low", "high", "n")


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a system on a data set."""

    what: str
    """What was evaluated, in words: "masks", "class activation maps", ..."""
    thresholds: Mapping[ProtocolName, float | None]
    results: Mapping[ProtocolName, ProtocolResult]
    """The result of each protocol."""
    class_names: tuple[str, ...]
    left_out: tuple[str, ...]
    """Why test images were not evaluated: broken, or without an annotated box."""
    mistakes: tuple[Mistake, ...]
    """The mistakes in the ground truth."""
    notes: tuple[str, ...] = ()
    """Notes on the results for the reader of the metrics."""

    def as_json(self) -> list[dict[str, Any]]:
        """One object per protocol, as `--json` writes them."""
        return [
            {
                "protocol": name,
                "n": image_count(result),
                **({"n_without_object": result.empty()} if result.empty() else {}),
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
        """The number of evaluated images and the rates of each class, at the best thresholds of all images. For a class
        without objects it is the number of images without one.
        """
        result = self.results[name]
        by_class = {}
        for label, class_name in enumerate(self.class_names):
            which = result.label == label
            if which.any():
                n = image_count(result, which) if (which & result.has_object).any() else int(which.sum())
                by_class[class_name] = n, result.rates_of(which)
        return by_class

    def as_csv(self, *, per_class: bool) -> str:
        """One line per protocol, class and metric; for all images together the class is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, result in self.results.items():
            writer.writerows(_lines(name, "", result, None, result.rates))
            if per_class:
                for class_name, (_, rates) in self.per_class(name).items():
                    which = result.label == self.class_names.index(class_name)
                    writer.writerows(_lines(name, class_name, result, which, rates))
        return text.getvalue()


def image_count(result: ProtocolResult, which: Which | None = None) -> int:
    """The number of images in the rates of localization: those with an annotated box, or all with an object if the
    ground truth has only masks.

    Args:
        result: of one protocol.
        which: count only these images.
    """
    is_counted = result.is_evaluated() if result.has_ground_truth.any() else result.has_object
    return int((is_counted if which is None else is_counted & which).sum())


def _lines(
    name: str, class_name: str, result: ProtocolResult, which: Which | None, rates: Mapping[str, Rate]
) -> Iterable[tuple[object, ...]]:
    with_object, empty = image_count(result, which), result.empty(which)
    both = len(result.image_ids) if which is None else int(which.sum())
    n_of = dict.fromkeys(OF_EMPTY_IMAGES, empty) | dict.fromkeys(OF_IMAGE_SCORES, both)
    return (
        (name, guarded(visible(class_name)), metric, rate.value, rate.low, rate.high, n_of.get(metric, with_object))
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
    """Combine the rows of all images.

    Args:
        what: what was evaluated, in words.
        evaluator: it made the rows.
        rows: one per image, by protocol.
        expected: the number of images; each must be in `rows` or in `left_out`, once.
        class_names: by label.
        left_out: why images were not evaluated, one text per image.
        mistakes: of the ground truth.
        notes: for the reader of the metrics.

    Raises:
        WsolError: every image was left out.
    """
    if not rows:
        reason = left_out[0].rstrip(".") if left_out else "there is no image"
        raise WsolError(
            f"none of {number_of(expected, 'image')} could be evaluated",
            expected="at least one",
            remedy=f"The first was left out because of this: {reason}. Fix that.",
        )
    results = {
        one.name: gather(one, [row[one.name] for row in rows], evaluator.grid(one)) for one in evaluator.protocols
    }
    for name, result in results.items():
        if len(result.image_ids) + len(left_out) != expected:
            raise RuntimeError(
                f"{name}: {len(result.image_ids)} images evaluated and {len(left_out)} left out of {expected}: an image"
                " was lost or counted twice"
            )
    return Evaluation(what, evaluator.thresholds, results, class_names, tuple(left_out), tuple(mistakes), tuple(notes))
