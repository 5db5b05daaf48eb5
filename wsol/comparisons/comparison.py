"""The result of a comparison: an evaluation of each run, and its differences from the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wsol.config.base import ProtocolName
from wsol.metrics.bootstrap import Rate
from wsol.metrics.evaluation import Evaluation
from wsol.metrics.paired import Difference, differences
from wsol.runs.run import Run

Metric = tuple[ProtocolName, str]
"""A metric under a protocol."""


@dataclass(frozen=True)
class ComparedRun:
    """A run and its evaluation."""

    name: str
    """The end of its path that distinguishes it from the others."""
    run: Run
    evaluation: Evaluation

    def rate(self, metric: Metric) -> Rate | None:
        """The rate of a metric in percent; None if the run does not have it."""
        protocol, name = metric
        return self.evaluation.results[protocol].rates.get(name)


@dataclass(frozen=True)
class Comparison:
    """Runs that were evaluated on the same images; every run is compared with the first."""

    runs: tuple[ComparedRun, ...]
    """At least two."""
    page: Path
    """The page that was written."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that are means over images and that at least one run has, in the order of the protocols."""
        first = self.runs[0].evaluation.results
        return tuple(
            dict.fromkeys(
                (protocol, name)
                for protocol in first
                for name in _merged([[*one.evaluation.results[protocol].per_image] for one in self.runs])
            )
        )

    @cached_property
    def differences(self) -> tuple[Mapping[Metric, Difference], ...]:
        """For each run but the first: its metrics minus those of the first run, paired by image."""
        first, *others = (one.evaluation.results for one in self.runs)
        return tuple(
            {
                (protocol, name): one
                for protocol in first
                for name, one in differences(results[protocol], first[protocol]).items()
            }
            for results in others
        )

    def as_json(self) -> dict[str, Any]:
        """The metrics of each run and the differences, as `--json` writes them."""
        return {
            "runs": [
                {
                    "name": one.name,
                    "folder": str(one.run.folder),
                    "method": one.run.config.method,
                    "protocols": one.evaluation.as_json(),
                }
                for one in self.runs
            ],
            "differences": [
                {
                    "run": one.name,
                    "minus": self.runs[0].name,
                    "protocol": protocol,
                    "metric": name,
                    **difference.points._asdict(),
                    **{key: value for key, value in asdict(difference).items() if key != "points"},
                }
                for one, of_run in zip(self.runs[1:], self.differences, strict=True)
                for (protocol, name), difference in of_run.items()
            ],
        }


def _merged(lists: Sequence[Sequence[str]]) -> list[str]:
    """The names of all lists, once; in the order of the longest list, then the rest."""
    longest_first = sorted(lists, key=len, reverse=True)
    return list(dict.fromkeys(name for names in longest_first for name in names))
