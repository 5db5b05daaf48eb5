"""Surfaces without defects: woven cloth, brushed metal, concrete and leather, as grey values around 0.5."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "height width"]

CONTRAST = 0.09
"""Standard deviation of the grey values of a texture, whose range is 1."""


def surface(kind: str, random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Draw a surface with its own orientation, scale and light.

    Args:
        kind: a key of `TEXTURES`.
        random: source of randomness.
        image_hw: (height, width) in pixels.

    Returns:
        Grey values, most of them in [0, 1].
    """
    texture = TEXTURES[kind](random, image_hw)
    texture = (texture - texture.mean()) / max(float(texture.std()), 1e-6)
    return np.asarray(0.5 + CONTRAST * texture + _light(random, image_hw), np.float32)


def noise(random: np.random.Generator, image_hw: tuple[int, int], blur_px: tuple[float, float]) -> Plane:
    """Normal noise, blurred by a standard deviation along x and one along y; mean 0 and standard deviation 1.

    Args:
        random: source of randomness.
        image_hw: (height, width) in pixels.
        blur_px: standard deviations of the blur in pixels.
    """
    plane = random.standard_normal(image_hw).astype(np.float32)
    plane = cv2.GaussianBlur(plane, (0, 0), blur_px[0], sigmaY=blur_px[1])
    return np.asarray((plane - plane.mean()) / max(float(plane.std()), 1e-6), np.float32)


def _light(random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Light that falls off slowly to one side."""
    y, x = np.mgrid[-1 : 1 : image_hw[0] * 1j, -1 : 1 : image_hw[1] * 1j].astype(np.float32)
    angle, strength = random.uniform(0, 2 * math.pi), random.uniform(0, 0.08)
    return np.asarray(strength * (x * math.cos(angle) + y * math.sin(angle)), np.float32)


def _cloth(random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Two directions of threads that take turns on top, a little uneven."""
    y, x = np.mgrid[: image_hw[0], : image_hw[1]].astype(np.float32)
    period = random.uniform(7, 9)
    warp = 1.2 * noise(random, image_hw, (24, 24))
    a, b = (x + warp) * math.pi / period, (y + warp) * math.pi / period
    over = np.sign(np.sin(a / 2) * np.sin(b / 2))
    weave = np.where(over > 0, np.abs(np.sin(a)), np.abs(np.sin(b)))
    return np.asarray(weave + 0.15 * noise(random, image_hw, (1, 1)), np.float32)


def _metal(random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Fine parallel lines."""
    return noise(random, image_hw, (40, 0.8)) + 0.4 * noise(random, image_hw, (8, 0.7))


def _concrete(random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Clouds of several sizes and dark pores."""
    clouds = sum(noise(random, image_hw, (size, size)) * size**0.4 for size in (1.0, 3.0, 9.0, 27.0))
    pores = noise(random, image_hw, (1.6, 1.6))
    return np.asarray(clouds - 1.5 * np.clip(pores - 1.9, 0, None), np.float32)


def _leather(random: np.random.Generator, image_hw: tuple[int, int]) -> Plane:
    """Cells between dark creases."""
    ridges = np.abs(noise(random, image_hw, (5, 5)))
    return np.asarray(np.sqrt(ridges) + 0.2 * noise(random, image_hw, (1, 1)), np.float32)


TEXTURES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Plane]] = {
    "cloth": _cloth,
    "metal": _metal,
    "concrete": _concrete,
    "leather": _leather,
}
"""A function for each kind of surface."""
