"""From class activation maps to three-valued pseudo masks (Wei et al. 2021, sec. 3.4, Eq. 5 and 6), in batches."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.config import Gaussian, Pseudo

Heatmaps = Float[Tensor, "batch height width"]
Regions = Int[Tensor, "batch height width"]
Gaussians = Float[Tensor, "batch gaussians 5"]
"""Per Gaussian mean x, mean y, sigma x, sigma y as shares of the picture's sides, and the correlation. Sigma 0: there is none."""

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


def share_of_peak(heatmaps: Heatmaps) -> Heatmaps:
    """Each map divided by its maximum; zeros where it has no positive finite maximum."""
    heatmaps = heatmaps.float().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
    peaks = heatmaps.amax((1, 2), keepdim=True)
    return torch.where(peaks > 0, heatmaps / peaks.where(peaks > 0, 1), 0)


def fit_gaussians(heatmaps: Heatmaps, settings: Pseudo) -> Gaussians:
    """The Gaussian prior of each map (as a share of its peak), by the recipe's choice of samples."""
    slots = GAUSSIANS_PER_IMAGE[settings.gaussian]
    if settings.gaussian == "none":
        return heatmaps.new_zeros(len(heatmaps), slots, 5)
    if settings.gaussian == "entire":
        fitted = moments(heatmaps, torch.ones_like(heatmaps, dtype=torch.int64), slots)
    else:
        fine = interpolate(heatmaps[:, None], (CONTOUR_SIDE_PX, CONTOUR_SIDE_PX), mode="bilinear", align_corners=False)[
            :, 0
        ]
        fitted = moments(fine, contour_regions(fine, slots), slots)
    fitted[..., 2:4] /= settings.gaussian_divisor**0.5
    return fitted


def moments(weights: Heatmaps, regions: Regions, slots: int) -> Gaussians:
    """Weighted mean, deviation and correlation of the pixel coordinates of regions 1 .. `slots`, weights = map (sec. 3.4).

    A region without weight has no Gaussian. The variance is at least a pixel's own, the correlation at most 0.99.
    """
    batch, height, width = weights.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    x, y = x.to(weights).flatten(), y.to(weights).flatten()
    where = regions.flatten(1)

    def total(values: Tensor) -> Tensor:
        return values.new_zeros(batch, slots + 1).scatter_add_(1, where, values)[:, 1:]

    w = weights.flatten(1).double()
    mass = total(w)
    exists = mass > 0
    mass = mass.where(exists, 1)
    mean_x, mean_y = total(w * x) / mass, total(w * y) / mass
    # Central sums: the difference of raw moments loses a narrow Gaussian's digits.
    centres = torch.stack([torch.zeros_like(mean_x[:, :1]), torch.zeros_like(mean_y[:, :1])])
    all_x, all_y = torch.cat([centres[0], mean_x], 1), torch.cat([centres[1], mean_y], 1)
    dx, dy = x - all_x.gather(1, where), y - all_y.gather(1, where)
    sigma_x = (total(w * dx * dx) / mass).clamp(min=PIXEL_VARIANCE).sqrt()
    sigma_y = (total(w * dy * dy) / mass).clamp(min=PIXEL_VARIANCE).sqrt()
    rho = (total(w * dx * dy) / mass / (sigma_x * sigma_y)).clamp(-MAX_CORRELATION, MAX_CORRELATION)
    five = torch.stack([mean_x / width, mean_y / height, sigma_x / width, sigma_y / height, rho], dim=-1)
    return torch.where(exists[..., None], five, 0).float()


def contour_regions(heatmaps: Heatmaps, slots: int) -> Regions:
    """Number the connected parts of the band 0.1 <= map <= 0.5 from 1, largest first, small ones 0 (published code)."""
    low, high = CONTOUR_BAND
    regions = []
    for band in ((heatmaps >= low) & (heatmaps <= high)).cpu().numpy().astype(np.uint8):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(band, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA].copy()
        areas[0] = 0
        number = np.zeros(count, np.int64)
        for rank, part in enumerate(np.argsort(-areas, kind="stable")[:slots], start=1):
            if areas[part] >= CONTOUR_MIN_AREA_PX:
                number[part] = rank
        regions.append(torch.from_numpy(number[labels]))
    return torch.stack(regions).to(heatmaps.device)


def render(gaussians: Gaussians, image_hw: tuple[int, int]) -> Heatmaps:
    """Eq. 5 and 6 with peak 1 instead of unit mass, the largest where several overlap; zeros where there is none."""
    height, width = image_hw
    mean_x, mean_y, sigma_x, sigma_y, rho = gaussians[..., None, None].unbind(dim=2)
    exists = sigma_x > 0
    y = ((torch.arange(height, device=gaussians.device) + 0.5) / height)[:, None]
    x = ((torch.arange(width, device=gaussians.device) + 0.5) / width)[None, :]
    dx = (x - mean_x) / sigma_x.where(exists, 1)
    dy = (y - mean_y) / sigma_y.where(exists, 1)
    theta = dx**2 - 2 * rho * dx * dy + dy**2
    return torch.where(exists, torch.exp(-theta / (2 * (1 - rho**2))), 0).amax(dim=1)


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
