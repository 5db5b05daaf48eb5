"""GPPL: equations 5 and 6 by loops, degenerate maps, and the two tables of thresholds."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.config.base import Gaussian
from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.methods.spol.gaussian_prior import GAUSSIANS_PER_IMAGE, contours, fit_gaussians, moments, render, targets
from wsol.models.outputs import fraction_of_peak

ENTIRE = Pseudo(gaussian="entire", gaussian_divisor=1)
CONTOURS = Pseudo(gaussian="contours", gaussian_divisor=10)


class Normal(NamedTuple):
    """A two-dimensional Gaussian in pixels of its own map."""

    mean_x: float
    mean_y: float
    sigma_x: float
    sigma_y: float
    rho: float


def gaussian_by_loops(weights: NDArray[np.float64], pixels: list[tuple[int, int]], divisor: float) -> Normal | None:
    """Sec. 3.4: each position is a sample weighted by its value; mean, variance and correlation of all samples.

    The variance is at least that of a uniform position within a pixel, the correlation at most 0.99.
    """
    mass = sum(weights[y, x] for y, x in pixels)
    if mass == 0:
        return None
    mean_x = sum(weights[y, x] * (x + 0.5) for y, x in pixels) / mass
    mean_y = sum(weights[y, x] * (y + 0.5) for y, x in pixels) / mass
    variance_x = max(sum(weights[y, x] * (x + 0.5 - mean_x) ** 2 for y, x in pixels) / mass, 1 / 12)
    variance_y = max(sum(weights[y, x] * (y + 0.5 - mean_y) ** 2 for y, x in pixels) / mass, 1 / 12)
    covariance = sum(weights[y, x] * (x + 0.5 - mean_x) * (y + 0.5 - mean_y) for y, x in pixels) / mass
    rho = min(max(covariance / math.sqrt(variance_x * variance_y), -0.99), 0.99)
    return Normal(mean_x, mean_y, math.sqrt(variance_x / divisor), math.sqrt(variance_y / divisor), rho)


def density_by_loops(normal: Normal, side_in: tuple[int, int], side_out: tuple[int, int]) -> NDArray[np.float64]:
    """Eq. 5 and 6 at the centre of each pixel of a map of another size, divided by the value at the mean."""
    density = np.zeros(side_out)
    for row, column in np.ndindex(*side_out):
        x, y = (column + 0.5) * side_in[1] / side_out[1], (row + 0.5) * side_in[0] / side_out[0]
        dx, dy = (x - normal.mean_x) / normal.sigma_x, (y - normal.mean_y) / normal.sigma_y
        theta = dx**2 - 2 * normal.rho * dx * dy + dy**2
        peak = 1 / (2 * math.pi * normal.sigma_x * normal.sigma_y * math.sqrt(1 - normal.rho**2))
        density[row, column] = peak * math.exp(-theta / (2 * (1 - normal.rho**2))) / peak
    return density


def blobs(seed: int, side: int = 12, count: int = 2) -> Tensor:
    """A map like a CAM: some soft blobs, maximum 1."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    total = np.zeros((side, side))
    for _ in range(count):
        cx, cy, slope = random.uniform(0.2, 0.8, 3)
        total += random.uniform(0.4, 1) * np.exp(
            -((x - cx) ** 2 + (y - cy) ** 2 + slope * (x - cx) * (y - cy)) / random.uniform(0.01, 0.05)
        )
    return torch.tensor(total / total.max(), dtype=torch.float32)


def rendered_gaussian(heatmap: Tensor, prior: Pseudo, image_hw: tuple[int, int]) -> Tensor:
    """The rendered prior of one map."""
    return render(fit_gaussians(fraction_of_peak(heatmap[None]), prior), image_hw)[0]


@pytest.mark.parametrize("divisor", [1.0, 10.0])
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.integers(0, 8).map(lambda step: step / 8),
    )
)
def test_the_entire_maps_gaussian_is_equations_5_and_6(divisor: float, weights: NDArray[np.float64]) -> None:
    heatmap = torch.from_numpy(weights).float()
    expected = gaussian_by_loops(weights, list(np.ndindex(*weights.shape)), divisor)  # type: ignore[arg-type]
    for image_hw in (weights.shape, (7, 9)):
        rendered = render(fit_gaussians(heatmap[None], Pseudo(gaussian="entire", gaussian_divisor=divisor)), image_hw)[
            0
        ]
        wanted = density_by_loops(expected, weights.shape, image_hw) if expected else np.zeros(image_hw)
        np.testing.assert_allclose(rendered.numpy(), wanted, atol=2e-3)


def regions_by_flood(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Connected parts over eight neighbours."""
    left, parts = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        part, todo = [], deque([left.pop()])
        while todo:
            y, x = todo.popleft()
            part.append((y, x))
            near = {(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            todo.extend(near)
        parts.append(part)
    return parts


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 4), (3, 7)])
def test_the_contours_gaussians_are_those_of_the_bands_regions_at_256_px(seed: int, count: int) -> None:
    heatmap = blobs(seed, 32, count)
    fine = interpolate(heatmap[None, None], (256, 256), mode="bilinear", align_corners=False)[0, 0].double().numpy()
    regions = [part for part in regions_by_flood((fine >= np.float32(0.1)) & (fine <= 0.5)) if len(part) >= 20]
    normals = [gaussian_by_loops(fine, part, 10) for part in regions]
    expected = np.max([density_by_loops(normal, (256, 256), (64, 64)) for normal in normals if normal], axis=0)
    np.testing.assert_allclose(rendered_gaussian(heatmap, CONTOURS, (64, 64)).numpy(), expected, atol=5e-3)


def banded(*squares: tuple[int, int, int], value: float = 0.3) -> Tensor:
    """A 256 px map of squares (left, top, side) of one value."""
    heatmap = torch.zeros(1, 256, 256)
    for left, top, side in squares:
        heatmap[0, top : top + side, left : left + side] = value
    return heatmap


@pytest.mark.parametrize(
    ("squares", "value", "numbers"),
    [
        pytest.param([(10, 10, 10), (50, 50, 20)], 0.3, [2, 1], id="numbered from the largest"),
        pytest.param([(10, 10, 4), (50, 50, 5)], 0.3, [0, 1], id="16 pixels are too few, 25 are not"),
        pytest.param([(10, 10, 9), (19, 19, 9)], 0.3, [1, 1], id="corners touch: one region"),
        pytest.param([(10, 10, 9)], 0.1, [1], id="0.1 belongs to the band"),
        pytest.param([(10, 10, 9)], 0.5, [1], id="0.5 belongs to the band"),
        pytest.param([(10, 10, 9)], 0.51, [0], id="the peak does not"),
        pytest.param([(10, 10, 9)], 0.09, [0], id="the rest does not"),
        pytest.param(
            [(20 * k, 5, 5 + k) for k in range(10)], 0.3, [0, 0, 8, 7, 6, 5, 4, 3, 2, 1], id="the eight largest"
        ),
    ],
)
def test_regions_are_numbered_from_the_largest(
    squares: list[tuple[int, int, int]], value: float, numbers: list[int]
) -> None:
    found = list(contours(banded(*squares, value=value)[0].numpy(), GAUSSIANS_PER_IMAGE["contours"]))
    assert len(found) == max(numbers)
    for number, (mean_x, mean_y, *_) in enumerate(found, start=1):
        parts = [square for square, its in zip(squares, numbers, strict=True) if its == number]
        area = sum(side**2 for _, _, side in parts)
        assert mean_x * 256 == pytest.approx(sum(side**2 * (left + side / 2) for left, _, side in parts) / area)
        assert mean_y * 256 == pytest.approx(sum(side**2 * (top + side / 2) for _, top, side in parts) / area)


def test_a_square_of_known_moments() -> None:
    """A uniform square of n x n pixels has its mean at the centre and variance (n² - 1) / 12."""
    square = np.full((40, 40), 0.3, np.float32)
    deviation = math.sqrt(1599 / 12) / 256
    assert moments(square, (100, 20), (256, 256)) == pytest.approx((40 / 256, 120 / 256, deviation, deviation, 0))


DIAGONAL = torch.eye(8)
DEGENERATE: list[Any] = [
    pytest.param(torch.zeros(8, 8), False, id="all zero"),
    pytest.param(-torch.ones(8, 8), False, id="all negative"),
    pytest.param(torch.full((8, 8), float("nan")), False, id="not a number"),
    pytest.param(torch.full((8, 8), float("inf")), False, id="infinite"),
    pytest.param(torch.ones(8, 8), True, id="constant"),
    pytest.param(torch.full((8, 8), 1e-38), True, id="constant and tiny"),
    pytest.param(torch.full((8, 8), 3e38), True, id="constant and huge"),
    pytest.param(
        torch.zeros(8, 8).index_put((torch.tensor(3), torch.tensor(5)), torch.tensor(1.0)), True, id="one pixel"
    ),
    pytest.param(
        torch.zeros(8, 8).index_put((torch.tensor(0), torch.tensor(7)), torch.tensor(1.0)), True, id="a corner"
    ),
    pytest.param(torch.zeros(8, 8).index_fill(0, torch.tensor(2), 1.0), True, id="one row"),
    pytest.param(torch.zeros(8, 8).index_fill(1, torch.tensor(2), 1.0), True, id="one column"),
    pytest.param(DIAGONAL, True, id="one diagonal"),
    pytest.param(DIAGONAL.flip(0), True, id="the other diagonal"),
    pytest.param(torch.where(DIAGONAL > 0, float("nan"), 0.5), True, id="a diagonal not a number"),
    pytest.param(torch.where(DIAGONAL > 0, float("inf"), 0.5), True, id="a diagonal infinite"),
    pytest.param(torch.ones(1, 1), True, id="a map of one pixel"),
    pytest.param(torch.rand(1, 9), True, id="a map of one row"),
]


@pytest.mark.parametrize("prior", [ENTIRE, CONTOURS, Pseudo(gaussian="none")], ids=lambda prior: prior.gaussian)
@pytest.mark.parametrize(("heatmap", "has_weight"), DEGENERATE)
def test_any_map_has_finite_targets(heatmap: Tensor, has_weight: bool, prior: Pseudo) -> None:
    fractions = fraction_of_peak(heatmap[None])
    assert torch.isfinite(fractions).all()
    assert fractions.max() == float(has_weight)
    gaussians = fit_gaussians(fractions, prior)
    assert gaussians.shape == (1, GAUSSIANS_PER_IMAGE[prior.gaussian], 5)
    assert torch.isfinite(gaussians).all()
    rendered = render(gaussians, (16, 16))
    assert torch.isfinite(rendered).all()
    assert 0 <= rendered.min() <= rendered.max() <= 1
    if prior.gaussian == "entire":
        assert bool(rendered.max() > 0.1) == has_weight
    if prior.gaussian == "none":
        assert (rendered == 0).all()
    for part in targets(interpolate(fractions[:, None], (16, 16))[:, 0], rendered, prior):
        assert torch.isfinite(part).all()


def test_one_pixel_gives_a_gaussian_of_about_a_pixel() -> None:
    heatmap = torch.zeros(8, 8)
    heatmap[3, 5] = 1
    rendered = rendered_gaussian(heatmap, ENTIRE, (8, 8))
    assert rendered[3, 5] == 1
    assert (rendered > 0.1).sum() == 1


@pytest.mark.parametrize(("flip", "sign"), [(False, 1), (True, -1)])
def test_a_diagonal_gives_a_narrow_gaussian_along_it(flip: bool, sign: int) -> None:
    five = fit_gaussians((DIAGONAL.flip(0) if flip else DIAGONAL)[None], ENTIRE)[0, 0]
    assert five[4].item() == pytest.approx(sign * 0.99)


def test_an_empty_batch_is_a_batch() -> None:
    none = torch.zeros(0, 8, 8)
    assert fraction_of_peak(none).shape == (0, 8, 8)
    assert fit_gaussians(none, ENTIRE).shape == (0, 1, 5)
    assert render(fit_gaussians(none, ENTIRE), (4, 4)).shape == (0, 4, 4)


@pytest.mark.parametrize("prior", [ENTIRE, CONTOURS], ids=lambda prior: prior.gaussian)
def test_maps_do_not_depend_on_others_in_the_batch(prior: Pseudo) -> None:
    batch = torch.stack([blobs(seed, 16) for seed in range(4)] + [torch.zeros(16, 16)])
    together = fit_gaussians(batch, prior)
    for number, heatmap in enumerate(batch):
        torch.testing.assert_close(together[number], fit_gaussians(heatmap[None], prior)[0])


@pytest.mark.parametrize("prior", [ENTIRE, CONTOURS], ids=lambda prior: prior.gaussian)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), power=st.integers(-20, 20))
def test_scaling_a_map_changes_nothing(prior: Pseudo, seed: int, power: int) -> None:
    heatmap = blobs(seed, 8)
    rendered = rendered_gaussian(heatmap, prior, (8, 8))
    assert torch.equal(rendered_gaussian(heatmap * 2.0**power, prior, (8, 8)), rendered)
    torch.testing.assert_close(rendered_gaussian(heatmap * 0.37, prior, (8, 8)), rendered, atol=2e-2, rtol=0)


@pytest.mark.parametrize("prior", [ENTIRE, CONTOURS], ids=lambda prior: prior.gaussian)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_flipping_a_map_flips_its_gaussian(prior: Pseudo, axis: int, seed: int) -> None:
    heatmap = blobs(seed, 16)
    rendered = rendered_gaussian(heatmap, prior, (32, 32))
    torch.testing.assert_close(
        rendered_gaussian(heatmap.flip(axis), prior, (32, 32)), rendered.flip(axis), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("seed", range(3))
def test_rotating_a_map_rotates_its_gaussian(seed: int) -> None:
    heatmap = blobs(seed, 16)
    torch.testing.assert_close(
        rendered_gaussian(heatmap.T.contiguous(), ENTIRE, (32, 32)),
        rendered_gaussian(heatmap, ENTIRE, (32, 32)).T,
        atol=1e-4,
        rtol=0,
    )


# Targets of a pixel in stage 3: foreground, background, or ignored.
FG, BG, NO = (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)


def recipe(name: str) -> Pseudo:
    return resolve(RunConfig.model_validate({"recipe": name})).pseudo


@pytest.mark.parametrize(
    ("name", "heat", "gaussian", "expected"),
    [
        pytest.param("paper", 0.6, 0.0, FG, id="paper: map above 0.5"),
        pytest.param("paper", 0.5, 0.0, NO, id="paper: 0.5 is not above"),
        pytest.param("paper", 0.3, 0.0, NO, id="paper: between"),
        pytest.param("paper", 0.004, 0.0, NO, id="paper: 0.004 is not below"),
        pytest.param("paper", 0.0039, 0.0, BG, id="paper: below 0.004"),
        pytest.param("paper", 0.3, 0.71, FG, id="paper: Gaussian above 0.7"),
        pytest.param("paper", 0.3, 0.7, NO, id="paper: 0.7 is not above"),
        pytest.param("paper", 0.0, 0.71, FG, id="paper: foreground wins"),
        pytest.param("paper", 0.0, 0.6, BG, id="paper: a Gaussian below its threshold has no effect"),
        pytest.param("released", 0.26, 0.0, FG, id="released: map above 0.25"),
        pytest.param("released", 0.25, 0.0, NO, id="released: 0.25 is not above"),
        pytest.param("released", 0.01, 0.0, NO, id="released: 0.01 is not below"),
        pytest.param("released", 0.009, 0.0, BG, id="released: below 0.01"),
        pytest.param("released", 0.1, 0.26, FG, id="released: Gaussian above 0.25"),
        pytest.param("released", 0.1, 0.25, NO, id="released: Gaussian at 0.25"),
        pytest.param("released", 0.0, 0.26, FG, id="released: foreground wins"),
        pytest.param("released", 0.0, 0.25, BG, id="released: nothing above a threshold"),
    ],
)
def test_three_valued_targets(name: str, heat: float, gaussian: float, expected: tuple[float, float]) -> None:
    value, weight = targets(torch.full((1, 2, 2), heat), torch.full((1, 2, 2), gaussian), recipe(name))
    assert set(zip(value.flatten().tolist(), weight.flatten().tolist(), strict=True)) == {expected}


def test_without_thresholding_the_maximum_is_the_target_everywhere() -> None:
    heat, gaussian = blobs(0)[None], blobs(1)[None]
    value, weight = targets(heat, gaussian, Pseudo(thresholding=False))
    assert torch.equal(value, torch.maximum(heat, gaussian))
    assert (weight == 1).all()


def test_without_a_gaussian_the_targets_depend_on_the_map_alone() -> None:
    prior = Pseudo(gaussian="none")
    heat = blobs(0)[None]
    assert torch.equal(targets(heat, render(fit_gaussians(heat, prior), (12, 12)), prior).value, (heat > 0.25).float())


@given(st.integers(0, 10**6), st.sampled_from(["paper", "released"]))
def test_a_target_is_never_both_and_background_is_never_near_the_maximum(seed: int, name: str) -> None:
    prior, heat = recipe(name), blobs(seed, 8)[None]
    rendered = render(fit_gaussians(heat, prior), (8, 8))
    value, weight = targets(heat, rendered, prior)
    assert set(value.unique().tolist()) | set(weight.unique().tolist()) <= {0.0, 1.0}
    assert ((value == 1) <= (weight == 1)).all()
    is_background = (weight == 1) & (value == 0)
    assert (heat[is_background] < prior.background).all()
    assert (rendered[is_background] <= prior.gaussian_foreground).all()
    assert value.flatten()[heat.flatten().argmax()] == 1


def test_every_kind_of_gaussian_has_its_slots() -> None:
    for kind in get_args(Gaussian):
        assert fit_gaussians(blobs(0)[None], Pseudo(gaussian=kind)).shape == (1, GAUSSIANS_PER_IMAGE[kind], 5)
