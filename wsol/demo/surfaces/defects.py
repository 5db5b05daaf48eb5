"""Defects of surfaces: where they are, and how they change the grey values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from wsol.demo.surfaces.textures import Plane, noise

EDGE = 0.5
"""The defect's mask is where its strength is above this fraction of its peak."""


@dataclass(frozen=True)
class Defect:
    """A defect of one image."""

    strength: Plane
    """How much of the defect a pixel has, 0 to 1."""
    change: Plane
    """Change of the grey value where the strength is 1, in units of the contrast."""

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The pixels of the defect."""
        return np.asarray(self.strength > EDGE)


def defect(kind: str, random: np.random.Generator, image_hw: tuple[int, int], area_fraction: float) -> Defect:
    """Draw a defect at a random position.

    Args:
        kind: a key of `DEFECTS`.
        random: source of randomness.
        image_hw: (height, width) in pixels.
        area_fraction: its area as a fraction of the image's, approximately.
    """
    return DEFECTS[kind](random, image_hw, area_fraction * image_hw[0] * image_hw[1])


def _outline(random: np.random.Generator, image_hw: tuple[int, int], area_px: float, aspect: float) -> Plane:
    """An ellipse with an uneven edge, inside the image, of about the given area."""
    height, width = image_hw
    a = math.sqrt(area_px * aspect / math.pi)
    b = a / aspect
    reach = min(a, 0.45 * min(image_hw))
    x0, y0 = random.uniform(reach, width - reach), random.uniform(reach, height - reach)
    angle = random.uniform(0, math.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u = (x - x0) * math.cos(angle) + (y - y0) * math.sin(angle)
    v = (y - y0) * math.cos(angle) - (x - x0) * math.sin(angle)
    uneven = 1 + 0.15 * noise(random, image_hw, (max(b / 2, 1),) * 2)
    distance = (np.hypot(u / a, v / b) - uneven) * b  # about in pixels
    return np.asarray(np.clip(0.5 - distance / 2, 0, 1), np.float32)


def _spot(random: np.random.Generator, image_hw: tuple[int, int], area_px: float) -> Defect:
    """A stain of one grey value, darker or lighter."""
    strength = _outline(random, image_hw, area_px, random.uniform(1, 1.6))
    return Defect(strength, np.full(image_hw, random.choice((-1.0, 1.0)), np.float32))


def _scratch(random: np.random.Generator, image_hw: tuple[int, int], area_px: float) -> Defect:
    """A thin bent line, light in its middle and dark beside it."""
    width_px = max(1.5, math.sqrt(area_px / 40))
    length = min(area_px / width_px, 0.9 * min(image_hw))
    turn = random.uniform(-1, 1) / length
    angle = random.uniform(0, 2 * math.pi) + turn * np.arange(0, length)
    steps = np.stack((np.cos(angle), np.sin(angle)), 1).cumsum(0)
    steps -= steps.mean(0)
    reach = np.abs(steps).max(0) + width_px
    centre = [
        random.uniform(min(edge, size / 2), max(size - edge, size / 2))
        for edge, size in zip(reach, image_hw[::-1], strict=True)
    ]
    line = np.zeros(image_hw, np.uint8)
    cv2.polylines(line, [np.round(steps + centre).astype(np.int32)], isClosed=False, color=1, thickness=1)
    distance = cv2.distanceTransform(1 - line, cv2.DIST_L2, 5).astype(np.float32)
    strength = np.clip(0.5 + width_px / 2 - distance, 0, 1)
    return Defect(strength, np.where(distance < width_px / 4, 1.0, -0.7).astype(np.float32))


def _dent(random: np.random.Generator, image_hw: tuple[int, int], area_px: float) -> Defect:
    """A dent: lit on one side and in shade on the other."""
    strength = _outline(random, image_hw, area_px, random.uniform(1, 1.3))
    blurred = cv2.GaussianBlur(strength, (0, 0), max(math.sqrt(area_px) / 8, 1))
    angle = random.uniform(0, 2 * math.pi)
    slope = math.cos(angle) * cv2.Sobel(blurred, cv2.CV_32F, 1, 0) + math.sin(angle) * cv2.Sobel(
        blurred, cv2.CV_32F, 0, 1
    )
    return Defect(strength, slope / max(float(np.abs(slope).max()), 1e-6) * 1.5)


DEFECTS: dict[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]] = {
    "spot": _spot,
    "scratch": _scratch,
    "dent": _dent,
}
"""A function for each kind of defect."""
