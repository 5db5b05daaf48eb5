"""The connected components of a map at all thresholds, in one pass over the sorted pixels.

Union-find from the brightest pixel to the darkest (Tarjan 1975; the component tree of Najman and Couprie 2006). A
component with the same pixels over several thresholds is one row of the table. Compiled by numba: the first call on a
machine takes some seconds, the first call of a process loads the compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import no_type_check

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from wsol.geometry.numba_cache import compiled

Levels = UInt8[np.ndarray, "height width"]
Column = Int64[np.ndarray, " rows"]
ByNeighbours = Int32[np.ndarray, "256"]
"""One value for each set of neighbours. The eight neighbours are bits, clockwise from the upper one: even bits touch by
edge, odd bits by corner."""


@dataclass(frozen=True)
class Components:
    """One row per component, with the range of thresholds at which it has the same pixels."""

    first: Column
    """The lowest integer threshold at which it has exactly these pixels."""
    last: Column
    """The highest such threshold."""
    xyxy: Float64[np.ndarray, "rows 4"]
    """The tight box, half-open."""
    pixels: Column
    start: Column
    """Its first pixel in reading order: row times the map's width plus column."""
    solid_twice: Column
    """Twice the area between the centres of its pixels: a 2x2 block has the area 1, three of its pixels have 0.5."""
    holes: Column
    """The number of background components it surrounds, if its pixels also touch by corner."""


def bright_components(levels: Levels) -> Components:
    """The components of `levels > t` for every t of 0 .. 254; pixels touch by edge or corner."""
    return _components(levels, by_corner=True, lowest=1)


def dark_components(levels: Levels, highest: int) -> Components:
    """The components of `levels <= t` for every t of 0 .. `highest` (at most 254); pixels touch by edge only."""
    # levels <= t where 255 - levels > 254 - t.
    rows = _components(255 - levels, by_corner=False, lowest=255 - highest)
    return Components(**vars(rows) | {"first": 254 - rows.last, "last": 254 - rows.first})


def _components(levels: Levels, *, by_corner: bool, lowest: int) -> Components:
    rows = _grow(np.ascontiguousarray(levels), lowest, _leads(by_corner), _SOLID_TWICE, _EULER_FOURFOLD).astype(
        np.int64
    )
    xyxy = np.stack([rows[:, X0], rows[:, Y0], rows[:, X1] + 1, rows[:, Y1] + 1], axis=1).astype(np.float64)
    return Components(
        rows[:, FIRST], rows[:, LAST], xyxy, rows[:, PIXELS], rows[:, START], rows[:, SOLID], 1 - rows[:, EULER] // 4
    )


def _gains() -> tuple[ByNeighbours, ByNeighbours]:
    """What a pixel adds to twice the solid area and to four times the Euler number of its component.

    Each of the four 2x2 blocks around the pixel counts 1 in the latter if it has one pixel, -1 with three, -2 with two
    on a diagonal (Gray 1971, components that touch by corner).
    """
    solid, euler = np.zeros(256, dtype=np.int32), np.zeros(256, dtype=np.int32)
    for neighbours in range(256):
        for corner in (1, 3, 5, 7):
            edge, diagonal, other = (neighbours >> (corner + step) % 8 & 1 for step in (-1, 0, 1))
            count = edge + diagonal + other
            before = (0, 1, -2 if edge and other else 0, -1)[count]
            after = (1, -2 if diagonal else 0, -1, 0)[count]
            euler[neighbours] += after - before
            solid[neighbours] += count >= 2
    return solid, euler


_SOLID_TWICE, _EULER_FOURFOLD = _gains()


@cache
def _leads(by_corner: bool) -> Int32[np.ndarray, "256 5"]:
    """The number of groups of connected neighbours, then one neighbour (0 .. 7) of each group.

    Consecutive neighbours around the pixel are connected. If components touch by corner, so are two edge neighbours
    without the corner between them; if not, a corner alone is not a neighbour.
    """
    leads = np.zeros((256, 5), dtype=np.int32)
    for neighbours in range(256):
        joined = [i for i in range(8) if neighbours >> i & 1 and (by_corner or i % 2 == 0)]
        group = {i: i for i in joined}
        for i in joined:
            is_joined_on = by_corner or neighbours >> (i + 1) % 8 & 1
            for j in ((i + 1) % 8, (i + 2) % 8) if i % 2 == 0 else ((i + 1) % 8,):
                if j in group and is_joined_on:
                    group = {k: group[i] if g == group[j] else g for k, g in group.items()}
        groups = sorted(set(group.values()))
        leads[neighbours, 0] = len(groups)
        leads[neighbours, 1 : 1 + len(groups)] = groups
    return leads


# The columns of a row; in a growing component, LAST is one above the last threshold at which it is complete.
FIRST, LAST, X0, Y0, X1, Y1, PIXELS, START, SOLID, EULER = range(10)


_ABSENT = np.int32(2**31 - 1)


@no_type_check  # numba compiles the bare function; shapes are checked in front of it
@compiled
def _grow(levels, lowest, leads, solid_gain, euler_gain):
    """Rows of finished components, corners inclusive; pixels below `lowest` are skipped."""
    height, width = levels.shape
    wide = width + 2  # a frame around the map, so that no neighbour is outside
    starts, order = _sorted_by_level(levels, wide)
    up, down = -wide, wide
    step_of = np.array([up, up + 1, 1, down + 1, down, down - 1, -1, up - 1])
    # A pixel of the same component; for the root, -1 - the component's row in `growing`.
    parent = np.full((height + 2) * wide, _ABSENT, np.int32)
    growing = np.empty((256, 10), np.int32)
    done = np.empty((256, 10), np.int32)
    born = ended = 0
    position = order.size
    for level in range(255, lowest - 1, -1):
        while position > starts[level]:
            position -= 1
            pixel = order[position]
            neighbours = (
                (parent[pixel + up] != _ABSENT)
                | (parent[pixel + up + 1] != _ABSENT) << 1
                | (parent[pixel + 1] != _ABSENT) << 2
                | (parent[pixel + down + 1] != _ABSENT) << 3
                | (parent[pixel + down] != _ABSENT) << 4
                | (parent[pixel + down - 1] != _ABSENT) << 5
                | (parent[pixel - 1] != _ABSENT) << 6
                | (parent[pixel + up - 1] != _ABSENT) << 7
            )
            root = row = -1
            for lead in range(1, 1 + leads[neighbours, 0]):
                other = _root_of(parent, pixel + step_of[leads[neighbours, lead]])
                other_row = -1 - parent[other]
                if other_row == row:
                    continue
                if growing[other_row, LAST] > level:  # below this level it has more pixels, so a row is complete
                    if ended == len(done):
                        done = _doubled(done)
                    _finish(done[ended], growing[other_row], level)
                    ended += 1
                    growing[other_row, LAST] = level
                if row < 0:
                    root, row = other, other_row
                    continue
                if growing[other_row, PIXELS] > growing[row, PIXELS]:
                    root, other, row, other_row = other, root, other_row, row
                parent[other] = root
                _absorb(growing[row], growing[other_row])
                growing[other_row, PIXELS] = 0
            y = pixel // wide - 1
            x = pixel - (y + 1) * wide - 1
            if row < 0:
                if born == len(growing):
                    growing = _doubled(growing)
                row = born
                born += 1
                _begin(growing[row], level, x, y, y * width + x)
                parent[pixel] = -1 - row
            else:
                parent[pixel] = root
            _add(growing[row], x, y, y * width + x, solid_gain[neighbours], euler_gain[neighbours])
    for row in range(born):
        if growing[row, PIXELS] > 0:
            if ended == len(done):
                done = _doubled(done)
            _finish(done[ended], growing[row], lowest - 1)
            ended += 1
    return done[:ended]


@no_type_check
@compiled
def _root_of(parent, pixel):
    """The root of a pixel's component, with path halving."""
    above = parent[pixel]
    while above >= 0:
        further = parent[above]
        if further >= 0:
            parent[pixel] = further
        pixel = above
        above = further
    return pixel


@no_type_check
@compiled
def _sorted_by_level(levels, wide):
    """The start of each level in the order, and the pixels by ascending level, as indices in the framed map."""
    height, width = levels.shape
    counts = np.zeros(257, np.int64)
    for level in levels.ravel():
        counts[int(level) + 1] += 1  # of an uint8, 255 + 1 is 0 where numba does not widen it
    starts = np.cumsum(counts)
    cursor = starts.copy()
    order = np.empty(height * width, np.int32)
    for y in range(height):
        for x in range(width):
            level = levels[y, x]
            order[cursor[level]] = (y + 1) * wide + x + 1
            cursor[level] += 1
    return starts, order


@no_type_check
@compiled
def _doubled(table):
    more = np.empty((2 * table.shape[0], table.shape[1]), table.dtype)
    more[: len(table)] = table
    return more


@no_type_check
@compiled
def _begin(row, level, x, y, start):
    row[LAST], row[X0], row[Y0], row[X1], row[Y1], row[START] = level, x, y, x, y, start
    row[PIXELS] = row[SOLID] = row[EULER] = 0


@no_type_check
@compiled
def _add(row, x, y, start, solid_twice, euler_fourfold):
    row[X0], row[Y0] = min(row[X0], x), min(row[Y0], y)
    row[X1], row[Y1] = max(row[X1], x), max(row[Y1], y)
    row[START] = min(row[START], start)
    row[PIXELS] += 1
    row[SOLID] += solid_twice
    row[EULER] += euler_fourfold


@no_type_check
@compiled
def _absorb(row, other):
    row[X0], row[Y0] = min(row[X0], other[X0]), min(row[Y0], other[Y0])
    row[X1], row[Y1] = max(row[X1], other[X1]), max(row[Y1], other[Y1])
    row[START] = min(row[START], other[START])
    row[PIXELS] += other[PIXELS]
    row[SOLID] += other[SOLID]
    row[EULER] += other[EULER]


@no_type_check
@compiled
def _finish(done, growing, first):
    done[:] = growing
    done[FIRST] = first
    done[LAST] = growing[LAST] - 1
