"""A mask from a map and its picture: split where the map's own values fall apart, redrawn along the picture's edges."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Heatmap = Float32[np.ndarray, "_ _"]
Square = Float32[np.ndarray, "side side"]
Mask = Bool[np.ndarray, "side side"]
Picture = UInt8[np.ndarray, "_ _ 3"]

SIDE_PX = 128
"""Masks are drawn on a square of this side: fine enough for a box, and GrabCut takes a twentieth of a second."""
ITERATIONS = 2


class Seeds(NamedTuple):
    """Values of a map that decide what GrabCut starts from: surely foreground above the first, surely background below the last."""

    foreground: float
    middle: float
    background: float


# Shares of Otsu's threshold, for the root of a class activation map. Of those that were tried on training pictures of CUB some are as good
# (studies/masks_table.md).
CAM_SHARES = Seeds(1.6, 1.0, 0.5)


def probability_seeds(threshold: float) -> Seeds:
    """Seeds around the threshold that parts foreground probabilities: 0.7, 0.5 and 0.1 for 0.5. No study has varied the shares."""
    return Seeds(threshold + 0.4 * (1 - threshold), threshold, 0.2 * threshold)


def upsampled(heatmap: Heatmap) -> Square:
    """At `SIDE_PX`, bilinear."""
    return np.asarray(cv2.resize(heatmap, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR))


def otsu_seeds(root: Heatmap) -> Seeds:
    """Seeds around the threshold that parts a map's values into two groups as distinct as can be (Otsu 1979).

    `root` is the square root of a map in [0, 1]: the product of three ReLU maps crowds near zero, where all of it looks like one group.
    """
    codes = (root.clip(0, 1) * 255).round().astype(np.uint8)
    threshold, _ = cv2.threshold(codes, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return Seeds(*(share * (threshold + 0.5) / 255 for share in CAM_SHARES))


def redrawn(evidence: Square, picture: Picture, seeds: Seeds) -> Mask:
    """GrabCut (Rother et al. 2004): colours of both sides and the picture's edges decide wherever the seeds leave it open.

    `evidence` and mask are `SIDE_PX` square; the picture, RGB, may have any size. Without pixels on both sides, or when nothing is
    left of the object, the evidence alone decides.
    """
    split = evidence > seeds.middle
    if split.all() or not split.any():
        return np.asarray(split)
    labels = np.where(split, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[evidence > seeds.foreground] = cv2.GC_FGD
    labels[evidence < seeds.background] = cv2.GC_BGD
    small = np.ascontiguousarray(cv2.resize(picture, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)[:, :, ::-1])
    cv2.setRNGSeed(0)  # its clusters start at random
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return np.asarray(mask if mask.any() else split)


class PseudoMask(NamedTuple):
    """Where the object is, and where anything is known of it."""

    inside: Mask
    known: Mask


def cam_mask(share: Heatmap, picture: Picture, *, along_edges: bool) -> PseudoMask:
    """The mask of a class activation map that is a share of its peak."""
    root = np.sqrt(upsampled(share).clip(0, 1))
    return _mask(root, picture, otsu_seeds(root), along_edges)


def probability_mask(heatmap: Heatmap, picture: Picture, threshold: float, *, along_edges: bool) -> PseudoMask:
    """The mask of a map of foreground probabilities, parted at a threshold."""
    return _mask(upsampled(heatmap), picture, probability_seeds(threshold), along_edges)


def _mask(evidence: Square, picture: Picture, seeds: Seeds, along_edges: bool) -> PseudoMask:
    """The split of the map. Along edges it is known only where GrabCut says the same: the two err in other places."""
    split = np.asarray(evidence > seeds.middle)
    known = redrawn(evidence, picture, seeds) == split if along_edges else np.ones_like(split)
    return PseudoMask(split, np.asarray(known))
