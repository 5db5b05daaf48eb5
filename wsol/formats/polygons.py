"""Masks as polygons along pixel edges; the polygons of `findContours` go through pixel centres."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

Point = tuple[int, int]
"""x, y of a pixel corner."""


def rings(mask: Bool[np.ndarray, "height width"]) -> list[list[Point]]:
    """The outlines of all components (clockwise on the screen) and holes (counter-clockwise).

    Returns:
        The corners of each outline; the last one is not connected to the first.
    """
    edges = _edges(mask)
    outlines = []
    while edges:
        start = next(iter(edges))
        outlines.append(_corners(_walk(edges, start)))
    return outlines


def one_ring(mask: Bool[np.ndarray, "height width"]) -> list[Point]:
    """All rings as one, connected by lines that run forth and back and enclose no area; empty for an empty mask."""
    first, *others = rings(mask) or [[]]
    joined = list(first)
    for ring in others:
        joined += [first[0], *ring, ring[0]]
    return joined


def _edges(mask: Bool[np.ndarray, "height width"]) -> dict[Point, list[Point]]:
    """Edges from each corner to the next: the four sides of every pixel, clockwise, except sides between two object
    pixels.
    """
    padded = np.pad(mask, 1)
    edges: dict[Point, list[Point]] = {}
    sides = (((-1, 0), (0, 0), (1, 0)), ((0, 1), (1, 0), (0, 1)), ((1, 0), (1, 1), (-1, 0)), ((0, -1), (0, 1), (0, -1)))
    for (down, right), (from_x, from_y), (step_x, step_y) in sides:
        beyond = np.roll(padded, (-down, -right), axis=(0, 1))
        rows, columns = np.nonzero((padded & ~beyond)[1:-1, 1:-1])
        for x, y in zip((columns + from_x).tolist(), (rows + from_y).tolist(), strict=True):
            edges.setdefault((x, y), []).append((x + step_x, y + step_y))
    return edges


def _walk(edges: dict[Point, list[Point]], start: Point) -> list[Point]:
    """Follow edges from a corner back to it and remove them. Where four edges meet, both choices enclose the same
    pixels.
    """
    ring = [start]
    while True:
        choices = edges[ring[-1]]
        following = choices.pop()
        if not choices:
            del edges[ring[-1]]
        if following == start:
            return ring
        ring.append(following)


def _corners(ring: list[Point]) -> list[Point]:
    around = zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
    return [here for before, here, after in around if (before[0] == here[0]) != (here[0] == after[0])]
