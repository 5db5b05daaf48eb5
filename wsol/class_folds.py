"""Parts of the classes: a network that learns from all parts but one has never seen the classes of that one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def class_folds(labels: Sequence[int], folds: int) -> dict[int, int]:
    """For each class that is there its fold, 0 to `folds - 1`: each in turn goes to the fold with the fewest pictures so far.

    Classes next to each other often look alike, by their names, and so come into different folds where all have as many pictures.
    """
    counts, sizes = Counter(labels), [0] * folds
    fold_of: dict[int, int] = {}
    for label in sorted(counts):
        fold_of[label] = sizes.index(min(sizes))
        sizes[fold_of[label]] += counts[label]
    return fold_of
