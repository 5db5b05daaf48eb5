"""Network inputs: random crops and flips, the same for images and pseudo masks, and normalised pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor


@dataclass(frozen=True)
class View:
    """For each image of a batch the corner of its square crop, in pixels of the uncropped square, and whether it is
    flipped horizontally.
    """

    top: Int64[Tensor, " batch"]
    left: Int64[Tensor, " batch"]
    is_mirrored: Bool[Tensor, " batch"]
    crop_px: int

    def apply(self, planes: Shaped[Tensor, "batch channels side side"]) -> Shaped[Tensor, "batch channels crop crop"]:
        """Crop and flip each item's channels."""
        steps = torch.arange(self.crop_px, device=planes.device)
        columns = torch.where(self.is_mirrored[:, None], self.crop_px - 1 - steps, steps) + self.left[:, None]
        rows = steps + self.top[:, None]
        batch = torch.arange(len(planes), device=planes.device)
        return planes[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def of(self, rows: slice) -> View:
        """The view of some items of the batch."""
        return replace(self, top=self.top[rows], left=self.left[rows], is_mirrored=self.is_mirrored[rows])


def random_view(count: int, resize_px: int, crop_px: int, generator: torch.Generator, device: torch.device) -> View:
    """A crop at a uniformly random position, flipped with probability 0.5 (Wei et al. 2021, sec. 4.2).

    Args:
        count: the number of images.
        resize_px: height and width of the uncropped images, in pixels.
        crop_px: height and width of the crop, in pixels.
        generator: the source of randomness.
        device: the device of the returned tensors.
    """
    corners = torch.randint(resize_px - crop_px + 1, (2, count), generator=generator)
    flips = torch.randint(2, (count,), generator=generator)
    return View(corners[0].to(device), corners[1].to(device), flips.to(device).bool(), crop_px)


def standardised(
    pixels: UInt8[Tensor, "batch 3 height width"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "batch 3 height width"]:
    """Scale pixels to [0, 1], then normalise them with the mean and standard deviation of the backbone's pretraining.

    Args:
        pixels: RGB.
        mean: of each channel, in [0, 1].
        std: standard deviation of each channel, in [0, 1].
    """
    centre, spread = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (mean, std))
    return ((pixels.float() / 255 - centre) / spread).contiguous(memory_format=torch.channels_last)
