"""The pixels of many pictures as square uint8 batches: kept in memory if they fit, else decoded by worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wsol.errors import BrokenPicture
from wsol.folders import write_json
from wsol.images import read_square

Squares = UInt8[Tensor, "batch 3 side side"]
Indices = Int64[Tensor, " batch"]


@dataclass(frozen=True)
class Batch:
    """Some pictures: where they stand in the list, their pixels, and their upright size on disk."""

    indices: Indices
    pixels: Squares
    image_hw: Int64[Tensor, "batch 2"]


class Pictures:
    """The pictures of a list of paths, squashed to `side_px`; broken ones are left out and remembered in `broken`."""

    def __init__(self, paths: Sequence[Path], side_px: int, *, cache_gb: float, workers: int | None) -> None:
        self.paths = list(paths)
        self.side_px = side_px
        self.workers = min(os.cpu_count() or 1, 8) if workers is None else workers
        self.broken: dict[int, str] = {}
        self.is_cached = len(self.paths) * 3 * side_px**2 <= cache_gb * 1e9
        self._kept: list[tuple[int, UInt8[np.ndarray, "3 side side"], tuple[int, int]] | None] = []
        if self.is_cached:
            # Threads do here: Pillow lets go of the interpreter while it decodes and scales.
            with ThreadPoolExecutor(max(self.workers, 1)) as pool:
                self._kept = [
                    self._note(row)
                    for row in pool.map(_Reader(self.paths, side_px).__getitem__, range(len(self.paths)))
                ]

    def batches(self, orders: Sequence[list[int]]) -> Iterator[Batch]:
        """The pictures of each list of indices in turn. A batch that loses all its pictures is left out."""
        if self.is_cached:
            rows = ([self._kept[i] for i in order] for order in orders)
        else:
            loader: DataLoader[Row] = DataLoader(
                _Reader(self.paths, self.side_px), batch_sampler=list(orders), num_workers=self.workers, collate_fn=list,
                prefetch_factor=2 if self.workers else None,
            )  # fmt: skip
            rows = ([self._note(row) for row in rows] for rows in loader)
        for row in rows:
            whole = [picture for picture in row if picture is not None]
            if whole:
                indices, pixels, sizes = zip(*whole, strict=True)
                yield Batch(torch.tensor(indices), torch.from_numpy(np.stack(pixels)), torch.tensor(sizes))

    def _note(self, row: Row) -> Whole | None:
        if isinstance(row[1], str):
            self.broken[row[0]] = row[1]
            return None
        return row


Whole = tuple[int, UInt8[np.ndarray, "3 side side"], tuple[int, int]]
Row = Whole | tuple[int, str]


class _Reader(Dataset[Row]):
    """Decodes one picture; why it could not, where it could not."""

    def __init__(self, paths: list[Path], side_px: int) -> None:
        self.paths = paths
        self.side_px = side_px

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Row:
        try:
            pixels, image_hw = read_square(self.paths[index], self.side_px)
        except BrokenPicture as broken:
            return index, str(broken)
        return index, pixels.transpose(2, 0, 1).copy(), image_hw


def write_skipped(folder: Path, image_ids: Sequence[str], pictures: Pictures) -> None:
    """List the broken pictures and why, in `skipped.json`."""
    write_json(
        folder / "skipped.json",
        [{"image": image_ids[i], "reason": pictures.broken[i]} for i in sorted(pictures.broken)],
    )


def in_order(count: int, batch_size: int) -> list[list[int]]:
    """0 .. count - 1 in consecutive batches."""
    return [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]
