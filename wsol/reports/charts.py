"""Line charts for the page's SVG: no plotting library, and colours that follow the light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsol.metrics.localization import CORRECT_IOU, ProtocolResult

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 308, 12, 146
"""Edges of the plot area, in units of the SVG view box."""
LABEL_WIDTH = 60

Tick = tuple[float, str]


@dataclass(frozen=True)
class Chart:
    """One line, ready for the template; positions in units of the SVG view box."""

    title: str
    summary: str
    """Description for screen readers."""
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: Tick | None = None
    """A position on the x axis to mark, and its label."""

    @property
    def mark_y(self) -> float:
        """Position of the mark's label: at the bottom, or at the top if the line would cross it."""
        if self.mark is None:
            return BOTTOM
        near = [y for x, y in self.points if abs(x - self.mark[0]) < LABEL_WIDTH]
        return TOP + 9 if max(near, default=TOP) > BOTTOM - 20 else BOTTOM - 7


def loss_chart(name: str, losses: Sequence[float]) -> Chart:
    """Chart of a training loss by epoch.

    Args:
        name: the stage that was trained.
        losses: mean loss of each epoch, at least one.

    Returns:
        The chart; losses that are not finite are drawn at 0.
    """
    finite = [value if math.isfinite(value) else 0.0 for value in losses]
    last = max(len(finite), 2)
    top = max(*finite, 1e-6)
    every = max(1, math.ceil(last / 6))
    return Chart(
        title=f"training {name}",
        summary=f"loss of {name}: {losses[0]:.3g} in epoch 1, {losses[-1]:.3g} in epoch {len(losses)}",
        x_label="epoch",
        y_label="loss",
        points=tuple((_x(epoch, 1, last), _y(value, top)) for epoch, value in enumerate(finite, start=1)),
        x_ticks=tuple((_x(epoch, 1, last), str(epoch)) for epoch in range(1, last + 1, every)),
        y_ticks=tuple((_y(value, top), f"{value:g}") for value in _round_values(top)),
    )


def threshold_chart(result: ProtocolResult, own: float) -> Chart:
    """Chart of the fraction of images with a correct box, by threshold.

    Args:
        result: images evaluated under one protocol.
        own: the run's threshold, a fraction of the peak.

    Returns:
        The chart, in percent, with the run's threshold marked.
    """
    curve = 100 * result.curve()
    best = result.best_threshold()
    at_own = float(curve[result.thresholds.searchsorted(own)])
    return Chart(
        title="correct boxes by box threshold",
        summary=(
            f"{at_own:.1f} % of the boxes are correct at the run's threshold {own:.2f}; {curve.max():.1f} % at"
            f" {best:.2f}, the best"
        ),
        x_label="threshold",
        y_label=f"% with IoU of {CORRECT_IOU} or more",
        points=tuple(
            (_x(x, 0, 1), _y(y, 100)) for x, y in zip(result.thresholds.tolist(), curve.tolist(), strict=True)
        ),
        x_ticks=tuple((_x(x / 5, 0, 1), f"{x / 5:g}") for x in range(6)),
        y_ticks=tuple((_y(y, 100), str(y)) for y in range(0, 101, 25)),
        mark=(_x(own, 0, 1), f"run {own:.2f}"),
    )


def _x(value: float, low: float, high: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)


def _y(value: float, top: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)


def _round_values(top: float) -> list[float]:
    """0 and a few round values up to `top`."""
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [round(step * i, 12) for i in range(int(top / step + 1e-9) + 1)]
