"""Creatures as data: parts on joints, and one random pose of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from wsol.demo.drawing.textures import Coat, Floats
from wsol.demo.drawing.tubes import PROFILES, Tube, tube

Range = tuple[float, float]
FAR_SHADE = 0.62
"""Brightness of the limbs on the far side of the body."""


@dataclass(frozen=True)
class Part:
    """One tube of a creature. Lengths are in lengths of the creature's first part, angles in degrees."""

    name: str
    on: str
    """The part that carries it; "" for the first."""
    at: tuple[float, float]
    """The joint: how far along the carrier (0..1), how far to its right side (-1..1)."""
    profile: str
    length: Range
    width: Range
    """Half of the greatest thickness."""
    coat: Coat
    angle: Range = (0.0, 0.0)
    """Direction, clockwise from that of the carrier at the joint."""
    bend: Range = (0.0, 0.0)
    """Turn from joint to tip."""
    wave: Range = (0.0, 0.0)
    """Swing of an S on top of the bend."""
    depth: float = 0.0
    """Parts are painted from the smallest depth to the greatest."""
    twin: Literal["", "mirror", "far"] = ""
    """Whether there is a second one: on the other side of the carrier, or behind it in the shade."""
    fused: bool = False
    """Grows out of its carrier without a seam."""
    alike: bool = False
    """Mirror twins hold the same pose, as wings do."""


@dataclass(frozen=True)
class Creature:
    """A class of the demo set."""

    parts: tuple[Part, ...]
    palettes: tuple[dict[str, str], ...]
    """Hex colours of each slot; an image takes one palette and varies it."""
    tilt: Range
    """In-plane rotation, degrees."""
    gloss: float = 0.05


@dataclass(frozen=True)
class PosedPart:
    """A part with its joints set."""

    shape: Tube
    coat: Coat
    depth: float
    shade: float
    phase: float
    fused: bool


@dataclass(frozen=True)
class _Draw:
    """The random numbers of one part, in 0..1."""

    angle: float
    length: float
    width: float
    bend: float
    wave: float
    phase: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Draw:
        return cls(*rng.random(6).tolist())


def pose(creature: Creature, rng: np.random.Generator) -> list[PosedPart]:
    """One random pose, in lengths of the first part, back to front."""
    placed: dict[str, Tube] = {}
    posed = []
    for part in creature.parts:
        for name, instance, side, shade, draw in _instances(part, rng):
            placed[name] = _tube_of(instance, placed, name, side, draw)
            depth = part.depth - (10 if shade < 1 else 0)
            posed.append(PosedPart(placed[name], part.coat, depth, shade, draw.phase, part.fused))
    return sorted(posed, key=lambda part: part.depth)


def turned(parts: list[PosedPart], degrees: float, scale: float, mirror: bool) -> list[PosedPart]:
    """The pose rotated about the origin, scaled, and perhaps flipped left to right."""
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = (scale * np.diag([-1.0 if mirror else 1.0, 1.0]) @ rotation).astype(np.float32)
    return [replace(part, shape=_mapped(part.shape, matrix, scale, mirror)) for part in parts]


def moved(parts: list[PosedPart], by_xy: Floats) -> list[PosedPart]:
    """The pose shifted by a vector."""
    return [replace(part, shape=replace(part.shape, spine_xy=part.shape.spine_xy + by_xy)) for part in parts]


def _mapped(shape: Tube, matrix: Floats, scale: float, mirror: bool) -> Tube:
    spine = (shape.spine_xy @ matrix.T).astype(np.float32)
    scaled = Tube(spine, shape.left * np.float32(scale), shape.right * np.float32(scale), shape.flipped)
    return _flipped(scaled) if mirror else scaled


def _flipped(shape: Tube) -> Tube:
    """In a mirror the left side of a tube is its right side."""
    return replace(shape, left=shape.right, right=shape.left, flipped=not shape.flipped)


def _instances(part: Part, rng: np.random.Generator) -> Iterator[tuple[str, Part, int, float, _Draw]]:
    """Name, data, side, shade and random numbers of the part and of its twin."""
    draw = _Draw.random(rng)
    yield part.name, part, 1, 1.0, draw
    other = draw if part.alike else replace(_Draw.random(rng), length=draw.length, width=draw.width)
    if part.twin == "mirror":
        yield part.name + "'", part, -1, 1.0, other
    elif part.twin == "far":
        yield part.name + "'", part, 1, FAR_SHADE, other


def _tube_of(part: Part, placed: dict[str, Tube], name: str, side: int, draw: _Draw) -> Tube:
    start, heading = np.zeros(2, np.float32), 0.0
    if part.on:
        is_twin = name.endswith("'")
        with_twin = is_twin and part.on + "'" in placed
        carrier = placed[part.on + "'" if with_twin else part.on]
        # The far hip is a little ahead of the near one, so that the far leg is not hidden.
        ahead = 0.07 if is_twin and part.twin == "far" and not with_twin else 0.0
        start, heading = _joint(carrier, part.at[0] + ahead, part.at[1] * side)
    length, width = _between(part.length, draw.length), _between(part.width, draw.width)
    angle, bend, wave = (
        side * math.radians(_between(limits, fraction))
        for limits, fraction in ((part.angle, draw.angle), (part.bend, draw.bend), (part.wave, draw.wave))
    )
    shape = tube(
        start,
        heading + angle,
        length,
        width,
        PROFILES[part.profile],
        bend=bend,
        wave=wave,
        phase=draw.phase,
        nodes=28 if length > 0.35 else 14,
    )
    return _flipped(shape) if side < 0 else shape


def _joint(carrier: Tube, u: float, v: float) -> tuple[Floats, float]:
    """Position on a carrier, and the direction of its spine there."""
    position = min(max(u, 0.0), 1.0)
    # Nodes are cosine-spaced; see tubes.tube.
    node = math.acos(1 - 2 * position) / math.pi * (len(carrier.spine_xy) - 1)
    low = min(int(node), len(carrier.spine_xy) - 2)
    fraction = np.float32(node - low)
    step = carrier.spine_xy[low + 1] - carrier.spine_xy[low]
    widths = carrier.right if v > 0 else carrier.left
    radius = widths[low] + fraction * (widths[low + 1] - widths[low])
    normal = carrier.normals[low]
    point = carrier.spine_xy[low] + fraction * step + normal * radius * np.float32(v)
    return point.astype(np.float32), math.atan2(step[1], step[0])


def _between(limits: Range, fraction: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * fraction
