"""From class activation maps to three-valued pseudo masks (Wei et al. 2021, sec. 3.4, Eq. 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from wsol.config.base import Gaussian
from wsol.config.methods import Pseudo

Heatmaps = Float[Tensor, "batch height width"]
Heatmap = Float32[np.ndarray, "height width"]
Five = tuple[float, float, float, float, float]
Gaussians = Float[Tensor, "batch gaussians 5"]
"""Per Gaussian mean x, mean y, sigma x, sigma y as shares of the image's sides, and the correlation. Sigma 0: there is
none."""

GAUSSIANS_PER_IMAGE: dict[Gaussian, int] = {"none": 1, "entire": 1, "contours": 8}

# The published code's contours: middle values of the map, at 256 px, of at least so many pixels.
CONTOUR_BAND = (0.1, 0.5)
CONTOUR_SIDE_PX = 256
CONTOUR_MIN_AREA_PX = 20

# A pixel is not a point: the variance of a uniform place within it keeps one pixel, one row and one diagonal regular.
PIXEL_VARIANCE = 1 / 12
MAX_CORRELATION = 0.99


class Targets(NamedTuple):
    """What stage 3 is trained towards: values in [0, 1], and weight 0 where nothing is known."""

    value: Heatmaps
    weight: Heatmaps


def fit_gaussians(heatmaps: Heatmaps, settings: Pseudo) -> Gaussians:
    """The Gaussian prior of each map (as a share of its peak), by the recipe's choice of samples.

    On the processor, image by image: connected components are found there anyway, and a component is a small part of an
    image.
    """
    slots = GAUSSIANS_PER_IMAGE[settings.gaussian]
    fitted = np.zeros((len(heatmaps), slots, 5))
    if settings.gaussian != "none":
        samples = entire if settings.gaussian == "entire" else contours
        for image, heatmap in enumerate(heatmaps.float().cpu().numpy()):
            for slot, five in enumerate(samples(heatmap, slots)):
                fitted[image, slot] = five
        fitted[..., 2:4] /= settings.gaussian_divisor**0.5
    return torch.from_numpy(fitted).float().to(heatmaps.device)


def entire(heatmap: Heatmap, slots: int) -> Iterator[Five]:
    """One Gaussian from the whole map (Wei et al. 2021, sec. 3.4); none where it is zero everywhere."""
    if heatmap.max(initial=0) > 0:
        yield moments(heatmap, (0, 0), heatmap.shape)


def contours(heatmap: Heatmap, slots: int) -> Iterator[Five]:
    """One Gaussian for each connected part of the band 0.1 <= map <= 0.5 at 256 px, largest first, small ones none
    (published code).
    """
    side_hw = (CONTOUR_SIDE_PX, CONTOUR_SIDE_PX)
    fine = cv2.resize(heatmap, side_hw, interpolation=cv2.INTER_LINEAR)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.inRange(fine, *CONTOUR_BAND), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    for part in np.argsort(-areas, kind="stable")[:slots]:
        if areas[part] < CONTOUR_MIN_AREA_PX:
            return
        left, top, width, height = (int(stats[part, i]) for i in range(4))
        inside = np.s_[top : top + height, left : left + width]
        yield moments(np.where(labels[inside] == part, fine[inside], 0), (top, left), side_hw)


def moments(weights: Heatmap, corner: tuple[int, int], image_hw: tuple[int, int]) -> Five:
    """Weighted mean, deviation and correlation of pixel coordinates, weights = map (sec. 3.4), as shares of the image's
    sides.

    `weights` are a part of the image whose top left pixel is `corner`, their sum is positive. The variance is at least
    a pixel's own, the correlation at most 0.99.
    """
    weights = weights.astype(np.float64)
    mass = weights.sum()
    (height, width), (top, left) = image_hw, corner
    y, x = (np.arange(side) + 0.5 for side in weights.shape)
    rows, columns = weights.sum(axis=1), weights.sum(axis=0)
    mean_y, mean_x = rows @ y / mass, columns @ x / mass
    # Central sums: the difference of raw moments loses a narrow Gaussian's digits.
    dy, dx = y - mean_y, x - mean_x
    sigma_y = max(rows @ dy**2 / mass, PIXEL_VARIANCE) ** 0.5
    sigma_x = max(columns @ dx**2 / mass, PIXEL_VARIANCE) ** 0.5
    rho = min(max(dy @ weights @ dx / mass / (sigma_x * sigma_y), -MAX_CORRELATION), MAX_CORRELATION)
    return (mean_x + left) / width, (mean_y + top) / height, sigma_x / width, sigma_y / height, rho


def render(gaussians: Gaussians, image_hw: tuple[int, int]) -> Heatmaps:
    """Eq. 5 and 6 with peak 1 instead of unit mass, the largest where several overlap; zeros where there is none."""
    height, width = image_hw
    drawn = gaussians.new_zeros(len(gaussians), height, width)
    y = ((torch.arange(height, device=gaussians.device) + 0.5) / height)[:, None]
    x = ((torch.arange(width, device=gaussians.device) + 0.5) / width)[None, :]
    for slot in gaussians.unbind(dim=1):
        which = (slot[:, 2] > 0).nonzero()[:, 0]  # most of the slots are empty
        mean_x, mean_y, sigma_x, sigma_y, rho = slot[which, :, None, None].unbind(dim=1)
        dx, dy = (x - mean_x) / sigma_x, (y - mean_y) / sigma_y
        theta = dx**2 + dy**2 - (2 * rho * dx) * dy
        drawn[which] = torch.maximum(drawn[which], torch.exp(theta / (-2 * (1 - rho**2))))
    return drawn


def targets(heatmaps: Heatmaps, gaussian: Heatmaps, settings: Pseudo) -> Targets:
    """Foreground 1, background 0, the rest of weight 0.

    The Gaussian above its own threshold counts as the map's peak ("we regard values larger than 0.7 as the foreground",
    sec. 4.2); then map and Gaussian are joined by their maximum and cut twice. So foreground wins over background.
    """
    if not settings.thresholding:
        enhanced = torch.maximum(heatmaps, gaussian)
        return Targets(enhanced, torch.ones_like(enhanced))
    enhanced = torch.maximum(heatmaps, (gaussian > settings.gaussian_foreground).to(heatmaps))
    is_foreground = enhanced > settings.foreground
    is_background = enhanced < settings.background
    return Targets(is_foreground.to(heatmaps), (is_foreground | is_background).to(heatmaps))


def mask_targets(inside: Heatmaps) -> Targets:
    """Targets from resampled masks, known everywhere."""
    return Targets((inside > 0.5).to(inside), torch.ones_like(inside))
