"""Lines over axes, worked out for the page's own SVG: no library, and the page's colours in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsol.metrics.localization import CORRECT_IOU, ProtocolResult

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 308, 12, 146
"""The edges of the plot, in the units of the view box."""
WIDEST_WORDS = 60

Tick = tuple[float, str]


@dataclass(frozen=True)
class Chart:
    """One line, ready for the template; positions in the units of the view box."""

    title: str
    summary: str
    """What the line says, for those who cannot see it."""
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: Tick | None = None
    """A place on the x axis to point at, and its words."""

    @property
    def mark_y(self) -> float:
        """Where the words stand: low, or high where the line would run through them."""
        if self.mark is None:
            return BOTTOM
        near = [y for x, y in self.points if abs(x - self.mark[0]) < WIDEST_WORDS]
        return TOP + 9 if max(near, default=TOP) > BOTTOM - 20 else BOTTOM - 7


def loss_chart(name: str, losses: Sequence[float]) -> Chart:
    """The loss of a training, epoch by epoch."""
    whole = [value if math.isfinite(value) else 0.0 for value in losses]
    last = max(len(whole), 2)
    top = max(*whole, 1e-6)
    every = max(1, math.ceil(last / 6))
    return Chart(
        title=f"training {name}",
        summary=f"loss of {name}: {losses[0]:.3g} in epoch 1, {losses[-1]:.3g} in epoch {len(losses)}",
        x_label="epoch",
        y_label="loss",
        points=tuple((_x(epoch, 1, last), _y(value, top)) for epoch, value in enumerate(whole, start=1)),
        x_ticks=tuple((_x(epoch, 1, last), str(epoch)) for epoch in range(1, last + 1, every)),
        y_ticks=tuple((_y(value, top), f"{value:g}") for value in _round_values(top)),
    )


def threshold_chart(result: ProtocolResult, own: float) -> Chart:
    """The share of images found, over the threshold."""
    curve = 100 * result.curve()
    best = result.best_threshold()
    at_own = float(curve[result.thresholds.searchsorted(own)])
    return Chart(
        title="images found, over the box threshold",
        summary=(
            f"{at_own:.1f} % are found at the run's own threshold {own:.2f}; {curve.max():.1f} % at {best:.2f}, the"
            " best"
        ),
        x_label="threshold",
        y_label=f"% with IoU of {CORRECT_IOU} or more",
        points=tuple(
            (_x(x, 0, 1), _y(y, 100)) for x, y in zip(result.thresholds.tolist(), curve.tolist(), strict=True)
        ),
        x_ticks=tuple((_x(x / 5, 0, 1), f"{x / 5:g}") for x in range(6)),
        y_ticks=tuple((_y(y, 100), str(y)) for y in range(0, 101, 25)),
        mark=(_x(own, 0, 1), f"own {own:.2f}"),
    )


def _x(value: float, low: float, high: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)


def _y(value: float, top: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)


def _round_values(top: float) -> list[float]:
    """0 and a few values that people like, up to `top`."""
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [round(step * i, 12) for i in range(int(top / step + 1e-9) + 1)]
