"""Skins: patterns over the surface of a part, and the coats that layer them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Real = NDArray[np.floating[Any]]
Palette = Mapping[str, Floats]
"""Colour of each slot ("main", "mark", "pale", "accent", ...), RGB in 0..1."""


@dataclass(frozen=True)
class Surface:
    """Surface coordinates of the pixels of one part: flat arrays with one entry per pixel."""

    u: Floats
    """0 at the joint, 1 at the tip."""
    v: Floats
    """-1 at one edge, 0 on the spine, 1 at the other edge."""
    along: Floats
    """`u` in half-widths, so that `along` and `v` share one unit."""
    grain: Floats
    """Smooth noise, about -1..1."""


@dataclass(frozen=True)
class Mark:
    """One pattern painted over a coat, in the colour of a palette slot."""

    pattern: str
    """A key of `PATTERNS`."""
    slot: str
    scale: float = 1.0
    strength: float = 1.0
    span: tuple[float, float] = (0.0, 1.0)
    """Where the mark is on the part: fractions of its length from joint to tip."""
    bump: float = 0.0
    """Height of the marked pixels, in half-widths."""


@dataclass(frozen=True)
class Coat:
    """The skin of a part: a base colour, marks over it, and a roughness."""

    base: str
    marks: tuple[Mark, ...] = ()
    rough: float = 0.16
    """How far the grain moves the brightness."""
    relief: float = 1.0
    """0 is a flat sheet, 1 a round body."""


def _edge(x: Real, sharp: float) -> Floats:
    """0 where x is negative, 1 where it is positive, with a ramp that is steeper the sharper it is."""
    return np.asarray(np.clip(x * np.float32(sharp) + np.float32(0.5), 0, 1), np.float32)


def _cell(a: Real) -> tuple[Real, Real]:
    """Number of the unit cell, and the position in it from -0.5 to 0.5."""
    whole = np.floor(a)
    return whole, a - whole - np.float32(0.5)


def _scatter(a: Real, b: Real) -> Real:
    """A number in 0..1 for each cell, the same for all its pixels."""
    x = np.sin(a * np.float32(12.9898) + b * np.float32(78.233)) * np.float32(437.585)
    return x - np.floor(x)


def _polar(s: Surface) -> tuple[Real, Real]:
    """Angle, and distance from the middle, on a disc."""
    x, y = 2 * s.u - 1, s.v * np.sqrt(np.maximum(4 * s.u * (1 - s.u), 1e-4))
    return np.arctan2(y, x), np.hypot(x, y)


def _bands(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(np.sin((s.along * scale + phase + 0.12 * s.grain) * (2 * math.pi)), 2.5)


def _lines(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(np.sin((s.v * scale + 0.25 + 0.08 * s.grain) * (2 * math.pi)), 2.5)


def _dots(s: Surface, scale: float, phase: float) -> Floats:
    i, x = _cell(s.along * scale + phase)
    j, y = _cell(s.v * scale + 0.5 * np.mod(i, 2) + 0.5)
    luck = _scatter(i, j)
    radius = 0.2 + 0.18 * luck
    return _edge(radius - np.hypot(x + 0.2 * (luck - 0.5), y - 0.2 * (luck - 0.5)), 9)


def _rosettes(s: Surface, scale: float, phase: float) -> Floats:
    i, x = _cell(s.along * scale + phase)
    _, y = _cell(s.v * scale + 0.5 * np.mod(i, 2) + 0.5)
    return _edge(0.09 - np.abs(np.hypot(x, y) - 0.3 + 0.06 * s.grain), 12)


def _scales(s: Surface, scale: float, phase: float) -> Floats:
    i, x = _cell(s.along * scale)
    _, y = _cell(s.v * scale + 0.5 * np.mod(i, 2))
    return _edge(np.hypot(x - 0.5, y * 1.1) - 0.78, 5)


def _plates(s: Surface, scale: float, phase: float) -> Floats:
    a, b = s.along * (scale * math.pi), s.v * (scale * math.pi)
    hexes = np.cos(2 * b) + 2 * np.cos(b) * np.cos(math.sqrt(3) * a)
    return _edge(hexes * -1.0 - 0.55, 1.6)


def _vane(s: Surface, scale: float, phase: float) -> Floats:
    """Barbs slanting away from the spine: feathers, fins and the veins of leaves."""
    return _edge(np.sin((s.along - 0.9 * np.abs(s.v)) * (scale * 2 * math.pi)) - 0.3, 1.5)


def _fur(s: Surface, scale: float, phase: float) -> Floats:
    hair = np.sin(s.v * (9 * scale) + 5 * s.grain + 2 * np.sin(s.along * (1.7 * scale) + phase))
    return _edge(hair * np.sin(s.along * (4 * scale) + 4 * s.grain + s.v * 3), 1.0)


def _blotches(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(s.grain + 0.35 * np.sin(s.along * (3 * scale) + phase) * np.cos(s.v * 3 * scale) - 0.25, 4)


def _midline(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(0.09 * scale - np.abs(s.v), 25)


def _belly(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(s.v - 0.35 / scale + 0.1 * s.grain, 4)


def _back(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(-s.v - 0.35 / scale + 0.1 * s.grain, 4)


def _rim(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(np.abs(s.v) - 1.0 + 0.2 * scale + 0.05 * s.grain, 8)


def _patch(s: Surface, scale: float, phase: float) -> Floats:
    """All of the span, with a soft and ragged border: tips, collars, socks."""
    return np.ones_like(s.u)


def _eyespot(s: Surface, scale: float, phase: float) -> Floats:
    """A ring with a filled pupil, two thirds of the way out."""
    middle = 0.62 * s.along.max(initial=1e-6)
    far = np.hypot(s.along - middle, s.v) / (0.55 * scale)
    return np.maximum(_edge(0.45 - far, 9), _edge(0.13 - np.abs(far - 0.85), 12)).astype(np.float32)


def _pupil(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(0.5 * scale - np.hypot(2 * s.u - 1, s.v), 8)


def _glint(s: Surface, scale: float, phase: float) -> Floats:
    return _edge(0.22 * scale - np.hypot(2 * s.u - 1.35, s.v + 0.35), 8)


def _spiral(s: Surface, scale: float, phase: float) -> Floats:
    angle, far = _polar(s)
    return _edge(np.sin(angle + scale * 5.2 * np.log(np.maximum(far, 0.03))) - 0.55, 2.2)


def _rays(s: Surface, scale: float, phase: float) -> Floats:
    angle, far = _polar(s)
    return _edge(np.sin(angle * np.float32(round(9 * scale)) + 6 * far), 1.5)


# Each takes the surface, a scale and a phase in 0..1, and returns how much of the mark shows (0..1).
PATTERNS: dict[str, Callable[[Surface, float, float], Floats]] = {
    "back": _back,
    "bands": _bands,
    "belly": _belly,
    "blotches": _blotches,
    "dots": _dots,
    "eyespot": _eyespot,
    "fur": _fur,
    "glint": _glint,
    "lines": _lines,
    "midline": _midline,
    "patch": _patch,
    "plates": _plates,
    "pupil": _pupil,
    "rays": _rays,
    "rim": _rim,
    "rosettes": _rosettes,
    "scales": _scales,
    "spiral": _spiral,
    "vane": _vane,
}


def dye(coat: Coat, surface: Surface, palette: Palette, phase: float) -> tuple[Floats, Floats]:
    """Colour (n x 3) and bump (n, in half-widths) of each pixel of a surface."""
    colour = np.repeat(palette[coat.base][None], len(surface.u), axis=0)
    bump = np.zeros_like(surface.u)
    for mark in coat.marks:
        weight = PATTERNS[mark.pattern](surface, mark.scale, phase)
        first, last = mark.span
        if first > 0:
            weight = weight * _edge(surface.u - first + 0.04 * surface.grain, 14)
        if last < 1:
            weight = weight * _edge(last - surface.u + 0.04 * surface.grain, 14)
        bump += np.float32(mark.bump) * weight
        share = (np.float32(mark.strength) * weight)[:, None]
        colour += share * (palette[mark.slot] - colour)
    colour *= (1 + np.float32(coat.rough) * surface.grain)[:, None]
    return colour.astype(np.float32), bump.astype(np.float32)


def rgb(code: str) -> Floats:
    """Colour of a hex code such as `d9822b`, RGB in 0..1."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def vary(colours: Floats, rng: np.random.Generator, amount: float) -> Floats:
    """Colours (... x 3) in another light: brightness, saturation and tint moved by about `amount` each."""
    luck = rng.uniform(-1, 1, (2, *colours.shape[:-1], 1)).astype(np.float32)
    grey = colours.sum(-1, keepdims=True) / 3
    moved = grey + (colours - grey) * (1 + 1.2 * amount * luck[0])
    moved = moved * (1 + amount * luck[1]) + rng.normal(0, 0.12 * amount, colours.shape)
    return np.asarray(np.clip(moved, 0.02, 0.98), np.float32)
