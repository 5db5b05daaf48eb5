"""What a network sees of images: random crops and flips, the same for images and pseudo masks, and normalised
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor


@dataclass(frozen=True)
class View:
    """For each image of a batch the corner of its square crop, in pixels of the uncropped square, and whether it is
    mirrored.
    """

    top: Int64[Tensor, " batch"]
    left: Int64[Tensor, " batch"]
    is_mirrored: Bool[Tensor, " batch"]
    crop_px: int

    def apply(self, planes: Shaped[Tensor, "batch channels side side"]) -> Shaped[Tensor, "batch channels crop crop"]:
        """Crop and mirror each item's planes."""
        steps = torch.arange(self.crop_px, device=planes.device)
        columns = torch.where(self.is_mirrored[:, None], self.crop_px - 1 - steps, steps) + self.left[:, None]
        rows = steps + self.top[:, None]
        batch = torch.arange(len(planes), device=planes.device)
        return planes[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def of(self, rows: slice) -> View:
        """The view of some items of the batch."""
        return replace(self, top=self.top[rows], left=self.left[rows], is_mirrored=self.is_mirrored[rows])


def random_view(count: int, resize_px: int, crop_px: int, generator: torch.Generator, device: torch.device) -> View:
    """A crop at a uniformly random place and a fair coin for the mirror (Wei et al. 2021, sec. 4.2)."""
    places = torch.randint(resize_px - crop_px + 1, (2, count), generator=generator)
    coins = torch.randint(2, (count,), generator=generator)
    return View(places[0].to(device), places[1].to(device), coins.to(device).bool(), crop_px)


def standardised(
    pixels: UInt8[Tensor, "batch 3 height width"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "batch 3 height width"]:
    """Pixels as fractions, shifted and scaled the way the backbone was pretrained."""
    centre, spread = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (mean, std))
    return ((pixels.float() / 255 - centre) / spread).contiguous(memory_format=torch.channels_last)
