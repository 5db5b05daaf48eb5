"""The names of millions of images, on disk instead of in memory."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from wsol.storage.folders import partial_of, remove_left

Thing = TypeVar("Thing")

TEXT, ENDS = "names.bin", "ends.bin"


class _OnDemand(Sequence[Thing]):
    """A sequence that computes an item when it is requested."""

    @abstractmethod
    def _at(self, index: int) -> Thing: ...

    @overload
    def __getitem__(self, index: int) -> Thing: ...
    @overload
    def __getitem__(self, index: slice) -> list[Thing]: ...

    def __getitem__(self, index: int | slice) -> Thing | list[Thing]:
        selected = range(len(self))[index]
        return self._at(selected) if isinstance(selected, int) else [self._at(i) for i in selected]


class Names(_OnDemand[str]):
    """The names that `write_names` wrote, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _at(self, index: int) -> str:
        start, end = self._ends[index : index + 2].tolist()
        return self._text[start:end].tobytes().decode("utf-8", "surrogateescape")

    @cached_property
    def _ends(self) -> np.ndarray:
        """The byte offset at which each name ends, after a leading 0."""
        return np.memmap(self.folder / ENDS, "<i8", "r")

    @cached_property
    def _text(self) -> np.ndarray:
        return np.memmap(self.folder / TEXT, "u1", "r")


class Paths(_OnDemand[Path]):
    """The paths of these names below a folder."""

    def __init__(self, root: Path, names: Names) -> None:
        self.root = root
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def _at(self, index: int) -> Path:
        return self.root / self.names[index]


def write_names(folder: Path, names: Iterable[str]) -> Names:
    """Write names without a separator, and the offset at which each ends; `folder` is complete or absent.

    Args:
        folder: the new folder.
        names: the names, in order.

    Returns:
        The names, read from `folder`.
    """
    remove_left(folder)
    partial = partial_of(folder)
    partial.mkdir()
    end = 0
    with (partial / TEXT).open("wb") as text, (partial / ENDS).open("wb") as ends:
        ends.write(np.int64(end).astype("<i8").tobytes())
        for name in names:
            end += text.write(name.encode("utf-8", "surrogateescape"))
            ends.write(np.int64(end).astype("<i8").tobytes())
        for file in (text, ends):
            file.flush()
            os.fsync(file.fileno())
    os.replace(partial, folder)
    return Names(folder)
