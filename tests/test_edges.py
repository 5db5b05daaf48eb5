"""Masks from maps and pictures: split by the map's values, redrawn along edges."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsol.edges import (
    CAM_SHARES,
    SIDE_PX,
    Seeds,
    cam_mask,
    otsu_seeds,
    probability_mask,
    probability_seeds,
    redrawn,
    upsampled,
)

Y, X = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX


def disc(y: float, x: float, radius: float) -> np.ndarray:
    """A round object."""
    return np.hypot(Y - y, X - x) < radius


def photo(is_object: np.ndarray) -> np.ndarray:
    """A red object on noisy green."""
    noise = np.random.default_rng(0).normal(0, 12, (SIDE_PX, SIDE_PX, 3))
    flat = np.where(is_object[:, :, None], (200, 60, 40), (40, 140, 60))
    return (flat + noise).clip(0, 255).astype(np.uint8)


def bump(y: float, x: float, sigma: float) -> np.ndarray:
    """A map that is brightest in one place."""
    return np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * sigma**2)).astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU."""
    return float((a & b).sum() / (a | b).sum())


def otsu_by_loops(codes: np.ndarray) -> int:
    """Otsu 1979, eq. 18: the threshold with the largest variance between the two groups, read aloud."""
    best, where = -1.0, 0
    for threshold in range(255):
        low, high = codes[codes <= threshold].astype(float), codes[codes > threshold].astype(float)
        if len(low) and len(high):
            between = len(low) * len(high) * (low.mean() - high.mean()) ** 2
            if between > best * (1 + 1e-9):
                best, where = between, threshold
    return where


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_middle_is_otsus_threshold(seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = np.concatenate([generator.normal(60, 20, 300), generator.normal(170, 25, 200)]).clip(0, 255).round()
    root = (codes.reshape(20, 25) / 255).astype(np.float32)
    found = otsu_seeds(root)
    assert (root > found.middle).sum() == (codes > otsu_by_loops(codes)).sum()
    assert found.foreground / found.middle == pytest.approx(CAM_SHARES.foreground)
    assert found.background / found.middle == pytest.approx(CAM_SHARES.background)


def test_a_map_of_one_part_of_an_object_grows_to_its_edges() -> None:
    body = disc(0.5, 0.5, 0.25)
    root = bump(0.42, 0.5, 0.17)
    seeds = otsu_seeds(root)
    assert overlap(root > seeds.middle, body) < 0.75
    assert overlap(redrawn(root, photo(body), seeds), body) > 0.95


def test_probabilities_that_spill_over_shrink_to_the_edges() -> None:
    body = disc(0.5, 0.5, 0.2)
    heatmap = 0.95 * bump(0.5, 0.5, 0.25)
    assert overlap(heatmap > 0.5, body) < 0.6
    assert overlap(redrawn(heatmap, photo(body), probability_seeds(0.5)), body) > 0.95


def test_colours_are_told_apart_in_all_three_channels() -> None:
    body = disc(0.5, 0.5, 0.25)
    for channel in range(3):
        flat = np.full((SIDE_PX, SIDE_PX, 3), 90, dtype=np.uint8)
        flat[body, channel] = 200
        noisy = (flat + np.random.default_rng(1).normal(0, 8, flat.shape)).clip(0, 255).astype(np.uint8)
        root = bump(0.45, 0.5, 0.17)
        assert overlap(redrawn(root, noisy, otsu_seeds(root)), body) > 0.95


def test_what_is_known_is_what_the_split_and_the_edges_agree_on() -> None:
    body = disc(0.5, 0.5, 0.25)
    share, picture = bump(0.42, 0.5, 0.12), photo(body)
    root = np.sqrt(share)
    edges, split = redrawn(root, picture, otsu_seeds(root)), root > otsu_seeds(root).middle
    found = cam_mask(share, picture, along_edges=True)
    np.testing.assert_array_equal(found.inside, split)
    np.testing.assert_array_equal(found.known, split == edges)
    assert 0 < (~found.known).mean() < 0.2
    assert (found.inside & found.known & ~body).mean() < 0.01
    assert cam_mask(share, picture, along_edges=False).known.all()


def test_seeds_are_kept_whatever_the_colours_say() -> None:
    evidence = np.full((SIDE_PX, SIDE_PX), 0.5, dtype=np.float32)
    evidence[:20], evidence[-20:] = 0.9, 0.05
    evidence[20:60] = 0.6
    picture = np.random.default_rng(2).integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    mask = redrawn(evidence, picture, probability_seeds(0.5))
    assert mask[:20].all()
    assert not mask[-20:].any()


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(np.zeros((SIDE_PX, SIDE_PX), np.float32), 0.0, id="nothing is foreground"),
        pytest.param(np.ones((SIDE_PX, SIDE_PX), np.float32), 1.0, id="everything is foreground"),
    ],
)
def test_evidence_of_one_side_alone_decides(evidence: np.ndarray, expected: float) -> None:
    assert redrawn(evidence, photo(disc(0.5, 0.5, 0.2)), probability_seeds(0.5)).mean() == expected


def test_a_single_bright_pixel_is_no_error() -> None:
    evidence = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    evidence[5, 5] = 1
    assert redrawn(evidence, photo(disc(0.5, 0.5, 0.2)), Seeds(2.0, 0.5, -1.0)).any()


SMALL_MAPS = arrays.arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32))


@settings(deadline=None, max_examples=15)
@given(SMALL_MAPS, st.booleans())
def test_any_map_and_picture_give_a_mask_twice_the_same(heatmap: np.ndarray, along_edges: bool) -> None:
    picture = cv2.resize(photo(disc(0.4, 0.6, 0.2)), (50, 31))
    for draw in (cam_mask, partial(probability_mask, threshold=0.3)):
        first, second = (draw(heatmap, picture, along_edges=along_edges) for _ in range(2))
        assert first.inside.shape == first.known.shape == (SIDE_PX, SIDE_PX)
        np.testing.assert_array_equal(first, second)


def test_a_cell_of_the_map_covers_its_share_of_the_mask() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[1, 2] = 1
    y, x = np.nonzero(upsampled(heatmap) > 0.5)
    assert y.mean() / SIDE_PX == pytest.approx((1 + 0.5) / 4, abs=0.01)
    assert x.mean() / SIDE_PX == pytest.approx((2 + 0.5) / 4, abs=0.01)
