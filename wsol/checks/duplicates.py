"""Duplicate images: files with the same bytes, and images that look the same."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8, UInt64

from wsol.data.images import open_regular
from wsol.errors import BrokenImage

Thumbs = UInt8[np.ndarray, "n 16 16 3"]
Grey = Float32[np.ndarray, "n 16 16"]
Hashes = UInt64[np.ndarray, "n 2"]
Group = tuple[int, ...]
"""Positions in a list, ascending, two at least."""

ALIKE_BITS = 16
"""Two images may differ in this many of 128 bits. Re-encoding changes 7, a crop of 3 % changes 16 at the ninth decile;
the 1.4 million pairs of 30 classes of CUB start at 23."""
ALIKE_CORRELATION = 0.92
"""Least correlation of 256 grey values: the hash records where an image grows brighter, not by how much."""
BLOCK = 1024
"""This many images are compared with as many others at a time, which takes some megabytes."""


def identical_files(paths: Sequence[Path]) -> list[Group]:
    """Group files with the same bytes. Only files of equal length are read; a file that disappears is left out.

    Args:
        paths: files; the groups hold positions in this list.

    Returns:
        Groups of two or more positions, ascending.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        if os.path.isfile(path):
            by_length[os.path.getsize(path)].append(index)
    by_hash: dict[tuple[int, str], list[int]] = defaultdict(list)
    for length, indices in by_length.items():
        if len(indices) > 1:
            for index in indices:
                if content := _hash(paths[index]):
                    by_hash[length, content].append(index)
    return sorted(tuple(group) for group in by_hash.values() if len(group) > 1)


def _hash(path: Path) -> str | None:
    """SHA-256 of a file; None if it cannot be read or is not a regular file."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (BrokenImage, OSError):
        return None


def near_duplicates(thumbs: Thumbs) -> list[Group]:
    """Group images that look the same; an image similar to any member of a group belongs to the group.

    Args:
        thumbs: n x 16 x 16 x 3, RGB.

    Returns:
        Groups of two or more positions, ascending.
    """
    return _joined(_pairs(thumbs), len(thumbs))


def difference_hashes(grey: Grey) -> Hashes:
    """128 bits for each image: for each of 8 x 8 cells, whether the cell to the right is brighter (64 bits) and whether
    the cell below is brighter (64 bits); the last cell is compared with the first.
    """
    small = grey.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))
    bits = np.stack([np.roll(small, -1, axis) > small for axis in (2, 1)], axis=1)
    return np.asarray(np.packbits(bits.reshape(-1, 2, 64), axis=2).view(np.uint64)[..., 0])


def _grey(thumbs: Thumbs) -> Grey:
    # The usual weights (ITU-R BT.601), so that an image is similar to its grey copy.
    return np.asarray(thumbs.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def _pairs(thumbs: Thumbs) -> Iterator[tuple[int, int]]:
    grey = _grey(thumbs)
    hashes = difference_hashes(grey)
    flat = grey.reshape(len(grey), 256)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    for top in range(0, len(hashes), BLOCK):
        for left in range(top, len(hashes), BLOCK):
            a, b = hashes[top : top + BLOCK], hashes[left : left + BLOCK]
            differ = sum(np.bitwise_count(a[:, None, word] ^ b[None, :, word]) for word in (0, 1))
            first, second = np.nonzero(differ <= ALIKE_BITS)
            first, second = first + top, second + left
            first, second = first[first < second], second[first < second]
            is_alike = np.einsum("np,np->n", flat[first], flat[second]) >= ALIKE_CORRELATION
            yield from zip(first[is_alike].tolist(), second[is_alike].tolist(), strict=True)


def _joined(pairs: Iterable[tuple[int, int]], count: int) -> list[Group]:
    """Connected components of two or more members."""
    root = list(range(count))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = index = root[root[index]]
        return index

    for first, second in pairs:
        low, high = sorted((find(first), find(second)))
        root[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        groups[find(index)].append(index)
    return [tuple(group) for group in groups.values() if len(group) > 1]
