"""The pixels of many images as square uint8 batches: kept ones, or decoded anew by threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from wsol.data.images import read_square
from wsol.data.pixel_cache import BROKEN, WHOLE, Records, cores
from wsol.errors import BrokenImage, WsolError
from wsol.runtime.threads import in_threads
from wsol.storage.folders import write_json
from wsol.storage.shards import read_skipped
from wsol.text import number_of

Squares = UInt8[np.ndarray, "batch 3 side side"]
Indices = Int64[np.ndarray, " batch"]

BATCH_SIZE = 32
"""Images that networks are shown at a time."""
SKIPPED = "skipped.json"
BROKEN_IN_A_ROW = 100
"""So many broken images one after the other are no accident."""


@dataclass(frozen=True)
class Batch:
    """Some images: where they stand in the list, their pixels, and their upright size on disk."""

    indices: Indices
    pixels: Squares
    image_hw: Int64[np.ndarray, "batch 2"]


class ImageLoader:
    """The images of a list of paths, squashed to `size_px`; broken ones are left out and remembered in `broken`."""

    def __init__(
        self,
        paths: Sequence[Path],
        size_px: int,
        *,
        kept: Records | None = None,
        workers: int | None = None,
    ) -> None:
        self.paths = paths
        self.size_px = size_px
        self.workers = cores() if workers is None else workers
        self.kept = kept
        self.broken: dict[int, str] = {}
        if kept is not None:
            self.broken = {i: _reason(paths[i], size_px) for i in np.flatnonzero(kept["state"] == BROKEN).tolist()}

    def batches(self, orders: Sequence[Sequence[int]], stand_ins: Sequence[int] | None = None) -> Iterator[Batch]:
        """The images of each list of indices in turn. A batch that loses all its images is left out.

        With `stand_ins`, the indices in their order from which all orders are taken, a broken image is replaced by the
        next whole one of them, so that batches keep their size.

        Raises:
            WsolError: an image and all its stand-ins are broken.
        """
        successors = None if stand_ins is None else _Successors(stand_ins)
        found = self._kept(orders, successors) if self.kept is not None else self._streamed(orders, successors)
        for order, batch in zip(orders, found, strict=True):
            if successors is not None and (batch is None or len(batch.indices) < len(order)):
                raise WsolError(
                    f"{len(self.broken)} of {number_of(len(self.paths), 'image')} cannot be decoded, many of them in"
                    " a row",
                    expected="few",
                    remedy="Look at them with `wsol check DATA`.",
                )
            if batch is not None:
                yield batch

    def _kept(self, orders: Sequence[Sequence[int]], successors: _Successors | None) -> Iterator[Batch | None]:
        assert self.kept is not None
        states = self.kept["state"]
        for order in orders:
            firsts = (_first_whole(i, states, successors) for i in order)
            indices = [i for i in firsts if i is not None]
            records = self.kept[indices]
            sizes = records["image_hw"].astype(np.int64)
            yield Batch(np.array(indices, np.int64), records["pixels"], sizes) if indices else None

    def _streamed(self, orders: Sequence[Sequence[int]], successors: _Successors | None) -> Iterator[Batch | None]:
        reader = _Reader(self.paths, self.size_px, successors)
        # Two batches: one is decoded while the network works on the one before, and no more memory is taken than that.
        ahead = 2 * max(map(len, orders), default=0)
        found = in_threads(reader, chain.from_iterable(orders), threads=self.workers, ahead=ahead)
        for order in orders:
            rows = list(chain.from_iterable(islice(found, len(order))))
            whole = [row for row in rows if not isinstance(row[1], str)]
            self.broken |= {row[0]: row[1] for row in rows if isinstance(row[1], str)}
            if not whole:
                yield None
                continue
            indices, pixels, sizes = zip(*whole, strict=True)
            yield Batch(np.array(indices, np.int64), np.stack(pixels), np.array(sizes, np.int64))


Row = tuple[int, UInt8[np.ndarray, "3 side side"], tuple[int, int]] | tuple[int, str]


class _Successors:
    """Which indices may stand in for a broken one: the next in the list, after its end from the start, a hundred at
    most.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = np.asarray(indices)
        self.places = np.argsort(self.indices)

    def __call__(self, index: int) -> Iterator[int]:
        start = self.places[np.searchsorted(self.indices, index, sorter=self.places)]
        for step in range(1, min(len(self.indices), BROKEN_IN_A_ROW)):
            yield int(self.indices[(start + step) % len(self.indices)])


def _first_whole(index: int, states: np.ndarray, successors: _Successors | None) -> int | None:
    if states[index] == WHOLE:
        return index
    return None if successors is None else next((i for i in successors(index) if states[i] == WHOLE), None)


class _Reader:
    """Decodes one image; why it could not, where it could not, and then the one that stands in for it."""

    def __init__(self, paths: Sequence[Path], size_px: int, successors: _Successors | None) -> None:
        self.paths = paths
        self.size_px = size_px
        self.successors = successors

    def __call__(self, index: int) -> list[Row]:
        rows = [self._row(index)]
        others = iter(()) if self.successors is None else self.successors(index)
        while isinstance(rows[-1][1], str) and (other := next(others, None)) is not None:
            rows.append(self._row(other))
        return rows

    def _row(self, index: int) -> Row:
        try:
            pixels, image_hw = read_square(self.paths[index], self.size_px)
        except BrokenImage as broken:
            return index, str(broken)
        return index, pixels.transpose(2, 0, 1).copy(), image_hw


def _reason(path: Path, size_px: int) -> str:
    try:
        read_square(path, size_px)
    except BrokenImage as broken:
        return str(broken)
    return (
        f"cannot decode {path}: it was broken when it was read first. Expected files that do not change in training;"
        " run the same command again."
    )


def write_skipped(folder: Path, image_ids: Sequence[str], images: ImageLoader) -> None:
    """List the broken images and why, in `skipped.json`."""
    write_json(
        folder / SKIPPED,
        [{"image": image_ids[i], "reason": images.broken[i]} for i in sorted(images.broken)],
    )


def told_broken(folder: Path) -> str:
    """How many images a finished stage skipped, the first by name, and where the others are listed."""
    skipped = [row["image"] for row in read_skipped(folder / SKIPPED, "wsol fit")]
    broken = number_of(len(skipped), "broken image")
    return f"{broken}, first {skipped[0]}: see {folder / SKIPPED}" if skipped else broken


def in_order(count: int, batch_size: int) -> list[list[int]]:
    """0 .. count - 1 in consecutive batches."""
    return [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]
