"""Masks as polygons: the outline of the pixel edges, not `findContours`' polygon through pixel centres."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

Point = tuple[int, int]
"""x, y of a pixel corner."""


def rings(mask: Bool[np.ndarray, "height width"]) -> list[list[Point]]:
    """The outlines of all parts (clockwise on the screen) and holes (the other way), corners only, not closed."""
    ahead = _edges(mask)
    found = []
    while ahead:
        start = next(iter(ahead))
        found.append(_corners(_walk(ahead, start)))
    return found


def one_ring(mask: Bool[np.ndarray, "height width"]) -> list[Point]:
    """All rings as one, joined by lines that go there and back, so that they enclose nothing; empty for an empty
    mask.
    """
    first, *others = rings(mask) or [[]]
    joined = list(first)
    for ring in others:
        joined += [first[0], *ring, ring[0]]
    return joined


def _edges(mask: Bool[np.ndarray, "height width"]) -> dict[Point, list[Point]]:
    """From each corner to the next: the four sides of every pixel, clockwise, without those between two object
    pixels.
    """
    padded = np.pad(mask, 1)
    ahead: dict[Point, list[Point]] = {}
    sides = (((-1, 0), (0, 0), (1, 0)), ((0, 1), (1, 0), (0, 1)), ((1, 0), (1, 1), (-1, 0)), ((0, -1), (0, 1), (0, -1)))
    for (down, right), (from_x, from_y), (step_x, step_y) in sides:
        beyond = np.roll(padded, (-down, -right), axis=(0, 1))
        rows, columns = np.nonzero((padded & ~beyond)[1:-1, 1:-1])
        for x, y in zip((columns + from_x).tolist(), (rows + from_y).tolist(), strict=True):
            ahead.setdefault((x, y), []).append((x + step_x, y + step_y))
    return ahead


def _walk(ahead: dict[Point, list[Point]], start: Point) -> list[Point]:
    """Follow edges from a corner back to it, using them up. Where four meet, either way on encloses the same pixels."""
    ring = [start]
    while True:
        onward = ahead[ring[-1]]
        following = onward.pop()
        if not onward:
            del ahead[ring[-1]]
        if following == start:
            return ring
        ring.append(following)


def _corners(ring: list[Point]) -> list[Point]:
    around = zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
    return [here for before, here, after in around if (before[0] == here[0]) != (here[0] == after[0])]
