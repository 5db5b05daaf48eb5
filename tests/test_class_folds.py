"""Classes are parted whole, and evenly by their pictures."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.class_folds import class_folds

LABELS = st.lists(st.integers(0, 9), max_size=60)


@given(LABELS, st.integers(1, 4))
def test_every_class_has_one_fold_and_no_fold_is_larger_than_the_smallest_by_more_than_a_class(
    labels: list[int], folds: int
) -> None:
    fold_of = class_folds(labels, folds)
    assert fold_of.keys() == set(labels)
    sizes = Counter({fold: 0 for fold in range(folds)}) + Counter(fold_of[label] for label in labels)
    largest_class = max(Counter(labels).values(), default=0)
    counted = [sizes[fold] for fold in range(folds)]
    assert sum(counted) == len(labels) and max(counted) - min(counted) <= largest_class


@pytest.mark.parametrize(
    ("labels", "folds", "expected"),
    [
        pytest.param([], 2, {}, id="no picture"),
        pytest.param([0, 1, 2, 3], 2, {0: 0, 1: 1, 2: 0, 3: 1}, id="as many pictures of each: neighbours part"),
        pytest.param([2, 1, 0], 2, {0: 0, 1: 1, 2: 0}, id="in whatever order they come"),
        pytest.param([0, 1, 2, 3, 3, 3], 2, {0: 1, 1: 1, 2: 1, 3: 0}, id="a large class against small ones"),
        pytest.param([0, 1], 1, {0: 0, 1: 0}, id="one fold holds all"),
        pytest.param([0, 1], 3, {0: 0, 1: 1}, id="more folds than classes: one stays empty"),
    ],
)
def test_classes_and_their_folds(labels: list[int], folds: int, expected: dict[int, int]) -> None:
    assert class_folds(labels, folds) == expected
