"""The drawing primitive: bent tubes with a width profile, painted as colour and height, then lit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol.demo.drawing.textures import Coat, Floats, Palette, Real, Surface, dye

OVERSAMPLING = 2
"""Layers are painted at twice the size of the image and averaged down."""


@dataclass(frozen=True)
class Profile:
    """Half-width along a tube, as equally spaced values joint to tip, and how its ends are rounded."""

    left: tuple[float, ...]
    right: tuple[float, ...] | None = None
    """The right half, if it differs."""
    blunt: tuple[float, float] = (0.15, 0.15)
    """Length of the round cap at each end, as a fraction of the tube's length."""


PROFILES: dict[str, Profile] = {
    "bird": Profile((0.25, 0.75, 1.0, 0.95, 0.7, 0.4), blunt=(0.05, 0.2)),
    "bush": Profile((0.3, 0.55, 0.9, 1.0, 0.8, 0.4, 0.05), blunt=(0.1, 0.1)),
    "capsule": Profile((1.0, 1.0), blunt=(0.3, 0.3)),
    "claw": Profile((0.5, 0.9, 1.0, 0.7, 0.25, 0.02), (0.4, 0.6, 0.5, 0.35, 0.2, 0.02), blunt=(0.1, 0.02)),
    "cone": Profile((1.0, 0.75, 0.5, 0.25, 0.02), blunt=(0.06, 0.02)),
    "disc": Profile((1.0, 1.0), blunt=(0.5, 0.5)),
    "dog": Profile((0.95, 1.0, 0.85, 0.78, 0.9, 1.0, 0.95), blunt=(0.3, 0.4)),
    "egg": Profile((0.85, 1.0, 1.0, 0.9, 0.7), blunt=(0.38, 0.45)),
    "fan": Profile((0.2, 0.4, 0.65, 0.9, 1.0), blunt=(0.02, 0.08)),
    "fish": Profile((0.22, 0.45, 0.8, 1.0, 0.95, 0.65), (0.22, 0.4, 0.7, 0.9, 0.9, 0.6), blunt=(0.02, 0.22)),
    "fork": Profile((0.15, 0.4, 0.75, 1.0, 0.7, 0.05), (0.15, 0.25, 0.3, 0.3, 0.2, 0.02), blunt=(0.02, 0.02)),
    "hindwing": Profile((0.15, 0.7, 1.0, 1.0, 0.8), (0.1, 0.55, 0.8, 0.9, 0.7), blunt=(0.03, 0.3)),
    "leaf": Profile((0.15, 0.7, 1.0, 0.9, 0.55, 0.05), blunt=(0.05, 0.02)),
    "lizard": Profile((0.45, 0.75, 0.95, 1.0, 0.9, 0.7), blunt=(0.05, 0.1)),
    "mantle": Profile((0.75, 0.7, 0.9, 1.0, 1.0, 0.8), blunt=(0.1, 0.4)),
    "petal": Profile((0.3, 0.7, 1.0, 1.0, 0.8), blunt=(0.05, 0.25)),
    "slug": Profile((0.02, 0.35, 0.6, 0.8, 0.95, 1.0), (0.1, 0.5, 0.75, 0.8, 0.8, 0.8), blunt=(0.02, 0.2)),
    "snout": Profile((1.0, 0.75, 0.5, 0.4), blunt=(0.1, 0.15)),
    "stone": Profile((0.8, 1.0, 0.95, 1.0, 0.75), (0.9, 0.85, 1.0, 0.8, 0.7), blunt=(0.3, 0.35)),
    "taper": Profile((1.0, 0.85, 0.7, 0.55, 0.45), blunt=(0.1, 0.1)),
    "tendril": Profile((1.0, 0.8, 0.6, 0.42, 0.25, 0.1), blunt=(0.03, 0.03)),
    "wing": Profile((0.2, 0.45, 0.75, 1.0, 1.0), (0.15, 0.4, 0.6, 0.65, 0.5), blunt=(0.03, 0.2)),
}


@dataclass(frozen=True)
class Tube:
    """A spine of n points with the half-widths to its left and right, all in one unit."""

    spine_xy: Floats
    left: Floats
    right: Floats
    flipped: bool = False
    """Whether it is a mirror image; its pattern is then mirrored, too."""

    @cached_property
    def normals(self) -> Floats:
        """Unit vectors to the right of the spine (downwards if the spine runs to the right)."""
        ends = np.concatenate([self.spine_xy[:1], self.spine_xy, self.spine_xy[-1:]])
        tangent = ends[2:] - ends[:-2]
        tangent /= np.maximum(np.hypot(tangent[:, :1], tangent[:, 1:]), 1e-9)
        return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1).astype(np.float32)

    @cached_property
    def edges(self) -> tuple[Floats, Floats]:
        """Points of the left and of the right edge, n x 2 each."""
        left, right = self.left[:, None] * self.normals, self.right[:, None] * self.normals
        return self.spine_xy - left, self.spine_xy + right

    @cached_property
    def outline(self) -> Floats:
        """The closed polygon around it."""
        left, right = self.edges
        return np.concatenate([left, right[::-1]])


def tube(
    start_xy: Floats,
    heading: float,
    length: float,
    half_width: float,
    profile: Profile,
    *,
    bend: float = 0.0,
    wave: float = 0.0,
    phase: float = 0.0,
    nodes: int = 20,
) -> Tube:
    """A tube from `start_xy` towards `heading` (radians, clockwise on the screen).

    `bend` is the turn from joint to tip, `wave` the swing of an S on top, both in radians.
    """
    u = _nodes(nodes)
    turn = 2 * math.pi
    angle = heading + bend * u**1.5 + wave * (np.sin(turn * (u + phase)) - math.sin(turn * phase))
    middle = (angle[1:] + angle[:-1]) / 2
    steps = np.stack([np.cos(middle), np.sin(middle)], axis=1) * (np.diff(u) * length)[:, None]
    spine = np.concatenate([start_xy[None], start_xy + np.cumsum(steps, axis=0)]).astype(np.float32)
    left, right = _widths(profile, nodes)
    return Tube(spine, left * np.float32(half_width), right * np.float32(half_width))


@cache
def _nodes(count: int) -> Floats:
    # Dense at the ends, where round caps curve most.
    return ((1 - np.cos(np.linspace(0, math.pi, count))) / 2).astype(np.float32)


@cache
def _widths(profile: Profile, nodes: int) -> tuple[Floats, Floats]:
    """Relative half-widths at the nodes, left and right."""
    u = _nodes(nodes)
    sides = []
    for values in (profile.left, profile.right or profile.left):
        widths = np.interp(u, np.linspace(0, 1, len(values)), values)
        for _ in range(2):
            widths[1:-1] = (widths[:-2] + 2 * widths[1:-1] + widths[2:]) / 4
        for share, distance in ((profile.blunt[0], u), (profile.blunt[1], 1 - u)):
            widths *= np.sqrt(1 - np.clip(1 - distance / share, 0, 1) ** 2)
        sides.append(widths.astype(np.float32))
    return sides[0], sides[1]


@dataclass(frozen=True)
class Layer:
    """Colour, height in pixels and cover of what has been painted so far, oversampled."""

    colour: Floats
    height: Floats
    cover: Floats
    grain: Floats
    """Noise for the coats, at the size of the image: oversampling would not be visible."""

    @classmethod
    def empty(cls, image_hw: tuple[int, int], rng: np.random.Generator) -> Layer:
        """Nothing painted yet, for an image of `image_hw`."""
        hw = (image_hw[0] * OVERSAMPLING, image_hw[1] * OVERSAMPLING)
        grain = fractal_noise(rng, image_hw, coarsest_px=24, octaves=4)
        colour, height, cover = (np.zeros((*hw, *more), np.float32) for more in ((3,), (), ()))
        return cls(colour, height, cover, grain)

    def averaged(self) -> Layer:
        """The same at the size of the image; colour is weighted by cover."""
        h, w = self.height.shape
        size_wh = (w // OVERSAMPLING, h // OVERSAMPLING)
        cover = np.asarray(cv2.resize(self.cover, size_wh, interpolation=cv2.INTER_AREA), np.float32)
        colour = np.asarray(cv2.resize(self.colour, size_wh, interpolation=cv2.INTER_AREA), np.float32)
        height = np.asarray(cv2.resize(self.height, size_wh, interpolation=cv2.INTER_AREA), np.float32)
        colour /= np.maximum(cover, 1e-3)[..., None]
        return Layer(colour, height, cover, self.grain)


def fractal_noise(
    rng: np.random.Generator, hw: tuple[int, int], *, coarsest_px: float, octaves: int, gain: float = 0.55
) -> Floats:
    """Value noise of several octaves, each half as coarse as the one before; about -1..1."""
    total = np.zeros((2, 2), np.float32)
    for octave in range(octaves):
        cell = coarsest_px / 2**octave
        grid_hw = (max(2, round(hw[0] / cell)), max(2, round(hw[1] / cell)))
        finer = rng.random(grid_hw, dtype=np.float32) * 2 - 1
        total = _enlarged(total, grid_hw) + np.float32(gain**octave) * finer
    return _enlarged(total, hw)


def _enlarged(grid: Floats, hw: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(grid, hw[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def paint(
    layer: Layer,
    shape: Tube,
    coat: Coat,
    palette: Palette,
    *,
    rise: float = 0.0,
    shade: float = 1.0,
    phase: float = 0.0,
    fused: bool = False,
) -> None:
    """Lay a tube, given in pixels of the layer, over what is there.

    `rise` lifts it (pixels), `shade` darkens it, `phase` in 0..1 shifts its pattern. A fused tube grows
    out of what it covers, without a seam.
    """
    strips, x0, y0 = _strips(shape, layer.height.shape)
    if strips is None:
        return
    rows, columns = np.nonzero(strips)
    strip = strips[rows, columns].astype(np.intp) - 1
    rows, columns = rows + y0, columns + x0
    surface, radius = _surface(shape, strip, rows, columns, layer.grain)
    colour, bump = dye(coat, surface, palette, phase)
    height = rise + radius * np.float32(coat.relief) * np.sqrt(1 - surface.v**2)
    # Flat views: one index per pixel takes half the time of two.
    pixel = rows * layer.height.shape[1] + columns
    heights = layer.height.reshape(-1)
    if fused:
        height = np.maximum(height, heights[pixel])
    heights[pixel] = height + bump * float(shape.left.max())
    layer.colour.reshape(-1, 3)[pixel] = colour * np.float32(shade)
    layer.cover.reshape(-1)[pixel] = 1


def paint_flat(layer: Layer, polygons_xy: Real, colour: Real, height_px: float) -> None:
    """Fill polygons (n x corners x 2) of a covered layer with one colour and height."""
    points = list(np.round(polygons_xy * 8).astype(np.int32))
    cv2.fillPoly(layer.colour, points, colour.tolist(), shift=3)
    cv2.fillPoly(layer.height, points, height_px, shift=3)


def _strips(shape: Tube, hw: tuple[int, ...]) -> tuple[NDArray[np.uint8] | None, int, int]:
    """For each pixel of the tube's box the number of its stretch between two nodes, 0 outside."""
    left, right = shape.edges
    both = np.concatenate([left, right])
    x0, y0 = np.maximum(np.floor(both.min(0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(both.max(0)).astype(int) + 2, (hw[1], hw[0]))
    if x1 <= x0 or y1 <= y0:
        return None, 0, 0
    strips = np.zeros((y1 - y0, x1 - x0), np.uint8)
    quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1) - np.array([x0, y0])
    for number, quad in enumerate(np.round(quads * 8).astype(np.int32), start=1):
        cv2.fillConvexPoly(strips, quad, number, shift=3)
    return strips, int(x0), int(y0)


def _surface(
    shape: Tube, strip: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp], grain: Floats
) -> tuple[Surface, Floats]:
    """Coordinates on the skin, from the offset of each pixel to the node that its stretch begins with."""
    step = np.diff(shape.spine_xy, axis=0)
    pace = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-3)
    nodes = _nodes(len(shape.spine_xy))
    sides = np.stack([shape.left, shape.right, nodes])
    tangent = (step / pace[:, None]).T
    table = np.concatenate([shape.spine_xy[:-1].T, tangent, pace[None], sides[:, :-1], np.diff(sides)])
    # One gather for all values of a stretch: eleven separate ones would take most of the time.
    x, y, tx, ty, stretch, left, right, u, d_left, d_right, d_u = table.astype(np.float32).take(strip, axis=1)
    x, y = columns.astype(np.float32) - x, rows.astype(np.float32) - y
    share = np.clip((x * tx + y * ty) / stretch, 0, 1)
    aside = y * tx - x * ty
    radius = np.where(aside > 0, right + share * d_right, left + share * d_left)
    radius = np.maximum(radius, 0.5)
    u = u + share * d_u
    widest = max(float(shape.left.max()), float(shape.right.max()), 0.5)
    freckles = grain[rows // OVERSAMPLING, columns // OVERSAMPLING]
    across = np.clip(aside / radius, -1, 1) * np.float32(-1 if shape.flipped else 1)
    return Surface(u, across, u * np.float32(pace.sum() / widest), freckles), radius


@dataclass(frozen=True)
class Light:
    """Direction of the light, and how hard it is."""

    towards_xyz: Floats
    ambient: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Light:
        """A sun or a lamp somewhere above the image's upper half."""
        azimuth, height = rng.uniform(-0.9 * math.pi, -0.1 * math.pi), rng.uniform(0.6, 1.15)
        flat = math.cos(height)
        towards = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(height)], np.float32)
        return cls(towards, float(rng.uniform(0.35, 0.6)))


def lit(layer: Layer, light: Light, *, gloss: float = 0.0, relief: float = 0.5) -> Floats:
    """Colour of an averaged layer under the light: Lambert, shade in hollows, and highlights."""
    height = np.asarray(cv2.GaussianBlur(layer.height, (0, 0), 0.9), np.float32) * np.float32(relief)
    slope_x = np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    slope_y = np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    x, y, z = (float(part) for part in light.towards_xyz)
    upright = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = np.maximum((z - x * slope_x - y * slope_y) * upright, 0)
    around = np.asarray(cv2.GaussianBlur(height, (0, 0), 5), np.float32)
    open_sky = 1 - np.clip((around - height) * 0.06, 0, 0.5)
    bright = (light.ambient + (1 - light.ambient) * facing / z) * open_sky
    colour = layer.colour * bright[..., None]
    if gloss > 0:
        # Blinn: the normal against the direction halfway between light and viewer.
        half_z = math.sqrt((1 + z) / 2)
        mirror = np.maximum((2 * half_z**2 - x * slope_x - y * slope_y) * upright / (2 * half_z), 0)
        colour = colour + np.float32(gloss) * (mirror**24)[..., None]
    return np.asarray(colour, np.float32)
