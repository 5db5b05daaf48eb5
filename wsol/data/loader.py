"""The pixels of many images as square uint8 batches, from the cache or decoded by threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.images import read_square
from wsol.data.pixel_cache import BROKEN, WHOLE, Records, cores
from wsol.errors import BrokenImage, WsolError
from wsol.runtime.threads import in_threads
from wsol.storage.folders import write_json
from wsol.storage.shards import read_skipped
from wsol.text import number_of

Squares = UInt8[np.ndarray, "batch 3 side side"]
Indices = Int64[np.ndarray, " batch"]

BATCH_SIZE, BATCH_PX = 32, 512
"""Images that networks are shown at a time, if their sides have at most so many pixels."""
SKIPPED = "skipped.json"
BROKEN_IN_A_ROW = 100
"""This many broken images in a row are an error of the data set."""


@dataclass(frozen=True)
class Batch:
    """Some images: their positions in the list, their pixels, and their upright size on disk."""

    indices: Indices
    pixels: Squares
    image_hw: Int64[np.ndarray, "batch 2"]


class ImageLoader:
    """Loads images, resized to squares of `size_px` pixels; broken images are left out and recorded in `broken`.

    Args:
        paths: the images.
        size_px: height and width of the squares, in pixels.
        decoding: how the files become pixels.
        kept: the decoded images of `open_cache`, if there is a cache.
        workers: decoding threads; None for the default.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size_px: int,
        decoding: Decoding = DEFAULT_DECODING,
        *,
        kept: Records | None = None,
        workers: int | None = None,
    ) -> None:
        self.paths = paths
        self.size_px = size_px
        self.decoding = decoding
        self.workers = cores() if workers is None else workers
        self.kept = kept
        self.broken: dict[int, str] = {}
        if kept is not None:
            self.broken = {i: self._reason(i) for i in np.flatnonzero(kept["state"] == BROKEN).tolist()}

    def _reason(self, index: int) -> str:
        row = _Reader(self.paths, self.size_px, self.decoding, None)(index)[0]
        if isinstance(row[1], str):
            return row[1]
        return (
            f"cannot decode {self.paths[index]}: it was broken when it was first read. Expected files that do not"
            " change during training; run the same command again."
        )

    def batches(self, orders: Sequence[Sequence[int]], stand_ins: Sequence[int] | None = None) -> Iterator[Batch]:
        """Load one batch for each list of indices. A batch whose images are all broken is left out.

        Args:
            orders: indices into `paths`, one list per batch.
            stand_ins: all indices of the orders, in sequence. If given, a broken image is replaced by the next
                decodable image of this sequence, so that batches keep their size.

        Raises:
            WsolError: an image and all its replacements are broken.
        """
        successors = None if stand_ins is None else _Successors(stand_ins)
        batches = self._kept(orders, successors) if self.kept is not None else self._streamed(orders, successors)
        for order, batch in zip(orders, batches, strict=True):
            if successors is not None and (batch is None or len(batch.indices) < len(order)):
                raise WsolError(
                    f"{len(self.broken)} of {number_of(len(self.paths), 'image')} cannot be decoded, many of them in"
                    " a row",
                    expected="few broken images",
                    remedy="List them with `wsol check DATA`.",
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
        reader = _Reader(self.paths, self.size_px, self.decoding, successors)
        # Two batches: one is decoded while the network processes the one before; more would need more memory.
        ahead = 2 * max(map(len, orders), default=0)
        decoded = in_threads(reader, chain.from_iterable(orders), threads=self.workers, ahead=ahead)
        for order in orders:
            rows = list(chain.from_iterable(islice(decoded, len(order))))
            whole = [row for row in rows if not isinstance(row[1], str)]
            self.broken |= {row[0]: row[1] for row in rows if isinstance(row[1], str)}
            if not whole:
                yield None
                continue
            indices, pixels, sizes = zip(*whole, strict=True)
            yield Batch(np.array(indices, np.int64), np.stack(pixels), np.array(sizes, np.int64))


Row = tuple[int, UInt8[np.ndarray, "3 side side"], tuple[int, int]] | tuple[int, str]
"""An index with pixels and upright (height, width), or with the reason why the image is broken."""


class _Successors:
    """The indices that may replace a broken one: the next ones in the list, cyclically, at most a hundred."""

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = np.asarray(indices)
        self.order = np.argsort(self.indices)

    def __call__(self, index: int) -> Iterator[int]:
        start = self.order[np.searchsorted(self.indices, index, sorter=self.order)]
        for step in range(1, min(len(self.indices), BROKEN_IN_A_ROW)):
            yield int(self.indices[(start + step) % len(self.indices)])


def _first_whole(index: int, states: np.ndarray, successors: _Successors | None) -> int | None:
    if states[index] == WHOLE:
        return index
    return None if successors is None else next((i for i in successors(index) if states[i] == WHOLE), None)


class _Reader:
    """Decodes one image; if it is broken, returns the reason and then its replacement."""

    def __init__(self, paths: Sequence[Path], size_px: int, decoding: Decoding, successors: _Successors | None) -> None:
        self.paths = paths
        self.size_px = size_px
        self.decoding = decoding
        self.successors = successors

    def __call__(self, index: int) -> list[Row]:
        rows = [self._row(index)]
        others = iter(()) if self.successors is None else self.successors(index)
        while isinstance(rows[-1][1], str) and (other := next(others, None)) is not None:
            rows.append(self._row(other))
        return rows

    def _row(self, index: int) -> Row:
        try:
            pixels, image_hw = read_square(self.paths[index], self.size_px, self.decoding)
        except BrokenImage as broken:
            return index, str(broken)
        return index, pixels.transpose(2, 0, 1).copy(), image_hw


def write_skipped(folder: Path, image_ids: Sequence[str], images: ImageLoader) -> None:
    """Write the broken images and the reasons to `skipped.json`.

    Args:
        folder: the folder of `skipped.json`.
        image_ids: of all images of the loader.
        images: the loader.
    """
    write_json(
        folder / SKIPPED,
        [{"image": image_ids[i], "reason": images.broken[i]} for i in sorted(images.broken)],
    )


def broken_summary(folder: Path) -> str:
    """In words: how many images a finished stage skipped, the first of them, and the file that lists the others."""
    skipped = [row["image"] for row in read_skipped(folder / SKIPPED, "wsol fit")]
    broken = number_of(len(skipped), "broken image")
    return f"{broken}, first {skipped[0]}: see {folder / SKIPPED}" if skipped else broken


def batch_size(size_px: int) -> int:
    """Return the number of images that networks are shown at a time: fewer large ones, so that memory stays the same.

    Args:
        size_px: height and width of the images.
    """
    return max(1, min(BATCH_SIZE, BATCH_SIZE * BATCH_PX**2 // size_px**2))


def in_order(count: int, batch_size: int) -> list[list[int]]:
    """The indices 0 .. count - 1 in consecutive batches."""
    return [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]
