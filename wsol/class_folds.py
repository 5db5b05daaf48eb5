"""Parts of the classes: a network that learns from all parts but one has never seen the classes of that one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def class_folds(labels: Sequence[int], folds: int) -> dict[int, int]:
    """For each class that is there its fold, 0 to `folds - 1`: the largest first, each goes to the fold with the fewest pictures so far.

    Where all have as many pictures, neighbours come into different folds: those whose names begin alike often look alike.
    """
    counts, sizes = Counter(labels), [0] * folds
    fold_of: dict[int, int] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        fold_of[label] = sizes.index(min(sizes))
        sizes[fold_of[label]] += counts[label]
    return fold_of
