"""All pseudo masks of a data set in one memory-mapped file.

For masks from thresholds it stores the small map and its Gaussians, and the thresholds are applied when they are read.
For masks from cues it stores the mask, one bit per pixel.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.config.methods import Pseudo
from wsol.errors import WsolError
from wsol.methods.spol.gaussian_prior import Gaussians, Targets, mask_targets, render, targets
from wsol.models.outputs import Heatmaps
from wsol.storage.arrays import claimed_memmap
from wsol.storage.folders import read_json, write_json
from wsol.text import number_of

MASKS_FILE, INDEX = "pseudo.npy", "index.json"
FIELDS = ("state", "map", "gaussians")
MASK_FIELDS = ("state", "chosen", "inside")
SIZE_PX = 128
"""Height and width in pixels of stored masks, fine enough for a box."""
FEW = 1000
"""So many masks are enough to estimate a fraction."""
ABSENT, WHOLE, EMPTY, NOT_FINITE = range(4)
"""States of a record: never written (broken image), usable, a map without a positive value, a map with NaN or
infinity."""


def encode(heatmaps: Heatmaps) -> UInt8[Tensor, "batch height width"]:
    """Encode a map in [0, 1] as bytes of its square root.

    Most values of a product of three ReLU maps are near zero, and the background threshold is 0.004, the first byte of
    a linear code. The root gives that range 16 steps, and values near 1 are still accurate to 0.4 %.
    """
    return (heatmaps.clamp(0, 1).sqrt() * 255).round().to(torch.uint8)


def decode(codes: UInt8[Tensor, "batch height width"]) -> Heatmaps:
    """The inverse of `encode`, within half a step."""
    return (codes.float() / 255) ** 2


def record_of(map_hw: tuple[int, int], gaussians: int) -> np.dtype[Any]:
    """The layout of a record with a map and Gaussians."""
    state, small_map, five_each = "u1", ("u1", map_hw), ("<f4", (gaussians, 5))
    return np.dtype(list(zip(FIELDS, (state, small_map, five_each), strict=True)))


def mask_record() -> np.dtype[Any]:
    """The layout of a record with a mask: whether its part is not the largest, and its pixels, eight per byte."""
    return np.dtype([("state", "u1"), ("chosen", "?"), ("inside", "u1", (SIZE_PX, SIZE_PX // 8))])


def all_background(record: np.dtype[Any]) -> np.ndarray:
    """The record of an image without an object: a usable mask of zeros, or a map of zeros without a Gaussian."""
    row = np.zeros((), record)
    row["state"] = WHOLE
    return row


def upsampled(heatmap: Float32[np.ndarray, "_ _"]) -> Float32[np.ndarray, "size size"]:
    """Resize a map to `SIZE_PX` with bilinear interpolation."""
    return np.asarray(cv2.resize(heatmap, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR))


def create(folder: Path, image_ids: list[str], record: np.dtype[Any]) -> np.memmap[Any, Any]:
    """Create an empty store with allocated disk space, to be filled record by record."""
    write_json(folder / INDEX, image_ids)
    return claimed_memmap(folder / MASKS_FILE, record, len(image_ids))


class PseudoStore:
    """Reads the pseudo masks of a folder by image index.

    Args:
        folder: `pseudo` in the run.

    Raises:
        WsolError: the store is absent, or its index is damaged.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / MASKS_FILE).exists():
            raise WsolError(
                f"no pseudo masks in {folder}",
                expected=f"{MASKS_FILE} and {INDEX}",
                remedy=f"Make them with `wsol make-pseudo DATA --run {folder.parent}`.",
            )
        self.folder = folder
        self.image_ids: list[str] = read_json(folder / INDEX, "wsol make-pseudo")
        if not isinstance(self.image_ids, list) or not all(isinstance(name, str) for name in self.image_ids):
            raise WsolError(
                f"{folder / INDEX} is damaged",
                expected="a list of names",
                remedy=f"Remove {folder} and run `wsol make-pseudo DATA --run {folder.parent}`.",
            )

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def records(self) -> np.ndarray:
        """The memory-mapped file.

        Raises:
            WsolError: the file is damaged.
        """
        try:
            records = np.asarray(np.load(self.folder / MASKS_FILE, mmap_mode="r"))
            if records.dtype.names not in (FIELDS, MASK_FIELDS) or len(records) != len(self):
                raise ValueError(f"{len(records)} records of {records.dtype}")
            return records
        except (ValueError, OSError, EOFError, AttributeError, BadZipFile) as error:
            raise WsolError(
                f"{self.folder / MASKS_FILE} is damaged ({error})",
                expected=f"the pseudo masks of {number_of(len(self), 'image')}",
                remedy=f"Remove {self.folder} and run `wsol make-pseudo DATA --run {self.folder.parent}`.",
            ) from None

    def usable(self) -> list[int]:
        """Indices of the records with a usable map or mask."""
        return np.flatnonzero(self.records["state"] == WHOLE).tolist()

    def counts(self) -> dict[str, int]:
        """The number of records in each state."""
        states = np.bincount(self.records["state"], minlength=4)
        return {
            "usable": int(states[WHOLE]),
            "empty": int(states[EMPTY]),
            "not_finite": int(states[NOT_FINITE]),
            "broken_images": int(states[ABSENT]),
            "chosen": int(self.records["chosen"].sum()) if self.holds_masks else 0,
        }

    def foreground_fraction(self, indices: list[int]) -> float:
        """The fraction of foreground pixels in some masks; 1 for maps, whose thresholds ignore most of the background.

        Args:
            indices: image indices, at least one; of very many, evenly spaced ones are read.
        """
        if not self.holds_masks:
            return 1.0
        some = indices[:: max(len(indices) // FEW, 1)]
        return float(np.mean([np.unpackbits(self.records["inside"][index]).mean() for index in some]))

    def stored(self, indices: Int64[Tensor, " batch"]) -> tuple[Heatmaps, Gaussians]:
        """Maps at their stored resolution, and their Gaussians."""
        rows = self.records[indices.cpu().numpy()]
        return decode(torch.from_numpy(rows["map"].copy())), torch.from_numpy(rows["gaussians"].copy())

    @property
    def holds_masks(self) -> bool:
        """Whether the records are masks; otherwise they are maps and Gaussians."""
        return self.records.dtype.names == MASK_FIELDS

    def masks(self, indices: Int64[Tensor, " batch"]) -> Float[Tensor, "batch 1 height width"]:
        """Masks at their stored resolution: 1 inside the object."""
        rows = self.records[indices.cpu().numpy()]
        return torch.from_numpy(np.unpackbits(rows["inside"], axis=-1)[:, None]).float()

    def at_size(
        self, indices: Int64[Tensor, " batch"], size_px: int, device: torch.device
    ) -> Float[Tensor, "batch planes size size"]:
        """Resize the planes of records: map and rendered Gaussian, or the mask.

        Args:
            indices: image indices.
            size_px: height and width in pixels.
            device: where to compute them.
        """
        if self.holds_masks:
            return interpolate(self.masks(indices).to(device), (size_px, size_px), mode="bilinear", align_corners=False)
        maps, gaussians = (part.to(device) for part in self.stored(indices))
        fine = interpolate(maps[:, None], (size_px, size_px), mode="bilinear", align_corners=False)
        return torch.cat([fine, render(gaussians, (size_px, size_px))[:, None]], dim=1)

    def targets(self, planes: Float[Tensor, "batch planes height width"], settings: Pseudo) -> Targets:
        """Convert the planes of `at_size`, or crops of them, to training targets."""
        if self.holds_masks:
            return mask_targets(planes[:, 0])
        return targets(planes[:, 0], planes[:, 1], settings)
