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
from wsol.models.outputs import Heatmaps

Heatmap = Float32[np.ndarray, "height width"]
Five = tuple[float, float, float, float, float]
Gaussians = Float[Tensor, "batch gaussians 5"]
"""For each Gaussian mean x, mean y, sigma x, sigma y as fractions of width and height, and the correlation. Sigma 0
marks an empty slot."""

GAUSSIANS_PER_IMAGE: dict[Gaussian, int] = {"none": 1, "entire": 1, "contours": 8}

# The published code's contours: regions with middle values of the map at 256 px, with a minimum area.
CONTOUR_BAND = (0.1, 0.5)
CONTOUR_SIZE_PX = 256
CONTOUR_MIN_AREA_PX = 20

# The variance of a uniform position within a pixel. As a minimum it keeps Gaussians of one pixel, one row or one
# diagonal regular.
PIXEL_VARIANCE = 1 / 12
MAX_CORRELATION = 0.99


class Targets(NamedTuple):
    """Training targets of stage 3: values in [0, 1], and weights, which are 0 for ignored pixels."""

    value: Heatmaps
    weight: Heatmaps


def fit_gaussians(heatmaps: Heatmaps, settings: Pseudo) -> Gaussians:
    """Fit the Gaussian prior of each map (Wei et al. 2021, sec. 3.4).

    It runs on the CPU, image by image, because connected components are computed there.

    Args:
        heatmaps: class activation maps, as fractions of their maximum.
        settings: `gaussian` chooses the pixels that are fitted, `gaussian_divisor` divides the variances.

    Returns:
        The Gaussians; unused slots are zeros.
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
    """One Gaussian from the whole map (Wei et al. 2021, sec. 3.4); none if it is zero everywhere."""
    if heatmap.max(initial=0) > 0:
        yield moments(heatmap, (0, 0), heatmap.shape)


def contours(heatmap: Heatmap, slots: int) -> Iterator[Five]:
    """One Gaussian for each connected region of 0.1 <= map <= 0.5 at 256 px, largest first, without small ones
    (published code).
    """
    fine_hw = (CONTOUR_SIZE_PX, CONTOUR_SIZE_PX)
    fine = cv2.resize(heatmap, fine_hw, interpolation=cv2.INTER_LINEAR)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.inRange(fine, *CONTOUR_BAND), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    for part in np.argsort(-areas, kind="stable")[:slots]:
        if areas[part] < CONTOUR_MIN_AREA_PX:
            return
        left, top, width, height = (int(stats[part, i]) for i in range(4))
        inside = np.s_[top : top + height, left : left + width]
        yield moments(np.where(labels[inside] == part, fine[inside], 0), (top, left), fine_hw)


def moments(weights: Heatmap, corner: tuple[int, int], image_hw: tuple[int, int]) -> Five:
    """Weighted mean, standard deviation and correlation of pixel coordinates (Wei et al. 2021, sec. 3.4).

    The variance is at least that of a pixel, the correlation at most 0.99.

    Args:
        weights: map of a part of the image, with a positive sum.
        corner: row and column of its top left pixel in the image.
        image_hw: height and width of the image.

    Returns:
        Mean x, mean y, sigma x, sigma y as fractions of width and height, and the correlation.
    """
    weights = weights.astype(np.float64)
    mass = weights.sum()
    (height, width), (top, left) = image_hw, corner
    y, x = (np.arange(count) + 0.5 for count in weights.shape)
    rows, columns = weights.sum(axis=1), weights.sum(axis=0)
    mean_y, mean_x = rows @ y / mass, columns @ x / mass
    # Central sums, because the difference of raw moments loses precision for a narrow Gaussian.
    dy, dx = y - mean_y, x - mean_x
    sigma_y = max(rows @ dy**2 / mass, PIXEL_VARIANCE) ** 0.5
    sigma_x = max(columns @ dx**2 / mass, PIXEL_VARIANCE) ** 0.5
    rho = min(max(dy @ weights @ dx / mass / (sigma_x * sigma_y), -MAX_CORRELATION), MAX_CORRELATION)
    return (mean_x + left) / width, (mean_y + top) / height, sigma_x / width, sigma_y / height, rho


def render(gaussians: Gaussians, image_hw: tuple[int, int]) -> Heatmaps:
    """Evaluate the Gaussians at all pixels (Wei et al. 2021, Eq. 5 and 6), with maximum 1 instead of unit mass.

    Args:
        gaussians: as `fit_gaussians` returns them.
        image_hw: height and width of the result in pixels.

    Returns:
        The maximum of an image's Gaussians; zeros if it has none.
    """
    height, width = image_hw
    rendered = gaussians.new_zeros(len(gaussians), height, width)
    y = ((torch.arange(height, device=gaussians.device) + 0.5) / height)[:, None]
    x = ((torch.arange(width, device=gaussians.device) + 0.5) / width)[None, :]
    for slot in gaussians.unbind(dim=1):
        which = (slot[:, 2] > 0).nonzero()[:, 0]  # most slots are empty
        mean_x, mean_y, sigma_x, sigma_y, rho = slot[which, :, None, None].unbind(dim=1)
        dx, dy = (x - mean_x) / sigma_x, (y - mean_y) / sigma_y
        theta = dx**2 + dy**2 - (2 * rho * dx) * dy
        rendered[which] = torch.maximum(rendered[which], torch.exp(theta / (-2 * (1 - rho**2))))
    return rendered


def targets(heatmaps: Heatmaps, gaussian: Heatmaps, settings: Pseudo) -> Targets:
    """Compute training targets: foreground 1, background 0, and weight 0 for all other pixels.

    Pixels where the Gaussian is above its own threshold get the maximum of the map ("we regard values larger than 0.7
    as the foreground", Wei et al. 2021, sec. 4.2). Then the two thresholds are applied to the map, so foreground takes
    precedence over background.

    Args:
        heatmaps: class activation maps, as fractions of their maximum.
        gaussian: rendered Gaussians of the same size.
        settings: the thresholds.

    Returns:
        Values and weights.
    """
    if not settings.thresholding:
        enhanced = torch.maximum(heatmaps, gaussian)
        return Targets(enhanced, torch.ones_like(enhanced))
    enhanced = torch.maximum(heatmaps, (gaussian > settings.gaussian_foreground).to(heatmaps))
    is_foreground = enhanced > settings.foreground
    is_background = enhanced < settings.background
    return Targets(is_foreground.to(heatmaps), (is_foreground | is_background).to(heatmaps))


def mask_targets(inside: Heatmaps) -> Targets:
    """Targets from resampled masks, without ignored pixels."""
    return Targets((inside > 0.5).to(inside), torch.ones_like(inside))
