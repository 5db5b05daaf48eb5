"""Short names that distinguish runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def distinct_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Name each run by the end of its path.

    Args:
        folders: different folders.

    Returns:
        The last part of each path, or as many parts as distinguish all: `a/cam` and `b/cam`.
    """
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts))):
        names = [Path(*path[-count:]).as_posix() for path in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(map(str, folders))
