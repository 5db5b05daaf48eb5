"""Contrast: laws, and one value by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.geometry.contrast import BINS, FEWEST_PX, SIZE_PX, colours_of, contrast

Y, X = np.mgrid[:SIZE_PX, :SIZE_PX] - SIZE_PX // 2
DISC = np.hypot(X, Y) < 30


def image(inside: tuple[int, int, int], outside: tuple[int, int, int], mask: np.ndarray = DISC) -> np.ndarray:
    return np.where(mask, np.array(inside).reshape(3, 1, 1), np.array(outside).reshape(3, 1, 1)).astype(np.uint8)


def test_other_colours_are_1_the_same_are_0_and_half_is_between() -> None:
    assert contrast(DISC, colours_of(image((200, 30, 30), (30, 30, 200)))) == 1
    assert contrast(DISC, colours_of(image((90, 90, 90), (90, 90, 90)))) == pytest.approx(0, abs=1e-9)
    half = colours_of(image((200, 30, 30), (30, 30, 200), DISC & (X < 0)))  # its right half looks like what is around
    fraction = (DISC & (X >= 0)).sum() / DISC.sum()
    assert contrast(DISC, half) == pytest.approx(1 - fraction**0.5, abs=1e-6)


def test_distant_colours_do_not_count() -> None:
    near = np.hypot(X, Y) < 45  # the ring is 0.25 * sqrt(area) = 13 pixels wide
    colours = colours_of(
        np.where(near, image((200, 30, 30), (30, 30, 200)), np.array([200, 30, 30]).reshape(3, 1, 1)).astype(np.uint8)
    )
    assert contrast(DISC, colours) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200), st.integers(20, 200))
def test_an_image_of_any_size_has_colours_and_their_contrast_is_a_fraction(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    colours = colours_of(random.integers(0, 256, (3, height, width), dtype=np.uint8))
    assert colours.shape == (SIZE_PX, SIZE_PX) and colours.min() >= 0 and colours.max() < BINS**3
    mask = random.random((SIZE_PX, SIZE_PX)) < random.random()
    assert 0 <= contrast(mask, colours) <= 1


@pytest.mark.parametrize("mask", [np.zeros_like(DISC), np.ones_like(DISC), (np.abs(X) < 2) & (np.abs(Y) < 2)])
def test_without_an_inside_or_an_outside_the_contrast_is_0(mask: np.ndarray) -> None:
    assert min(mask.sum(), (~mask).sum()) < FEWEST_PX
    assert contrast(mask, colours_of(image((200, 30, 30), (30, 30, 200), mask))) == 0
