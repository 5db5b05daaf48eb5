"""Backgrounds: one distribution of cluttered ground for every class."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from wsol.demo.drawing.textures import Coat, Floats, Mark, Palette, rgb, vary
from wsol.demo.drawing.tubes import (
    OVERSAMPLING,
    PROFILES,
    Layer,
    Light,
    fractal_noise,
    lit,
    paint,
    paint_flat,
    tube,
)

GROUNDS = np.array(
    [
        [rgb(code) for code in codes.split()]
        for codes in (
            "4d5a2a 7f8c46 2f3a1f",  # meadow
            "6b4f35 93734d 3a2a1e",  # forest floor
            "b59f75 d3c197 86704c",  # sand
            "787872 a3a097 4b4c4c",  # gravel
            "606a50 929a78 3c4036",  # moss on rock
            "8a5a3a b98652 54331f",  # red earth
            "666c6e 989c9e 40464a",  # wet slate
            "7a6c68 a89a90 4a4044",  # heather
        )
    ]
)
"""Middle, light and dark colour of each kind of ground."""

# Flowers, berries and pebbles take the hues that the creatures take.
BRIGHTS = np.array(
    [
        rgb(code)
        for code in ["c2402f", "e08a2c", "e6cf4a", "4f8f4a", "2f7f8f", "7a4a7a", "d9d2c4", "3b3734", "b8622a", "6d7480"]
    ]
)
SKIES = np.array([rgb(code) for code in ["a9c0cc", "d8cdb8", "8fa08a", "6f7f6a", "c7a98f"]])
WHITE = rgb("f4f0e8")
YELLOW = rgb("d9a83a")

_VEINS = (Mark("vane", "mark", 1.0, 0.45, bump=-0.05), Mark("midline", "pale", 0.8, 0.8))
_LEAF = Coat("main", _VEINS, relief=0.25)
_BLADE = Coat("main", (Mark("midline", "pale", 1.2, 0.5),), relief=0.4)
_TWIG = Coat("mark", (Mark("bands", "pale", 0.12, 0.35), Mark("fur", "main", 1.0, 0.5)))
_STONES = (
    Coat("main", (Mark("blotches", "mark", 1.5, 0.5),), rough=0.3, relief=0.7),
    Coat("main", (Mark("bands", "pale", 0.9, 0.8),), rough=0.25, relief=0.7),
    Coat("main", (Mark("dots", "mark", 3.0, 0.6),), rough=0.25, relief=0.7),
)
_BERRIES = (
    Coat("bright", (Mark("glint", "white"),), rough=0.08),
    Coat("bright", (Mark("bands", "pale", 0.7, 0.9), Mark("glint", "white", 0.7)), rough=0.08),
    Coat("bright", (Mark("dots", "pale", 2.0, 0.9), Mark("glint", "white", 0.7)), rough=0.08),
)
_FEATHER = Coat("bright", (Mark("vane", "mark", 2.2, 0.6), Mark("midline", "pale", 0.7)), relief=0.25)


def scene(rng: np.random.Generator, image_hw: tuple[int, int], light: Light) -> Floats:
    """A lit background, H x W x 3, RGB in 0..1. It does not depend on the creature."""
    ground = vary(GROUNDS[rng.integers(len(GROUNDS))], rng, 0.15)
    layer = _ground(ground, image_hw, rng)
    horizon = rng.uniform(0.12, 0.4) if rng.random() < 0.35 else 0.0
    if rng.random() < 0.7:
        _litter(layer, rng)
    _clutter(layer, rng, horizon)
    image = lit(layer.averaged(), light, relief=0.45)
    if horizon:
        image = _with_distance(image, horizon, ground[rng.integers(3)], rng)
    return _with_blobs(image, rng) if rng.random() < 0.5 else image


def prop_colours(rng: np.random.Generator) -> Palette:
    """Colours for one piece of clutter: plant or earth, and bright."""
    ground, bright = GROUNDS[rng.integers(len(GROUNDS))], BRIGHTS[rng.integers(len(BRIGHTS))]
    main, pale, dark, bright = vary(np.concatenate([ground, bright[None]]), rng, 0.25)
    return {"main": main, "pale": pale, "mark": dark, "bright": bright, "white": WHITE}


def leaf(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    """One fallen leaf, feather or broad blade, `size_px` long."""
    coat = (_LEAF, _LEAF, _FEATHER, _BLADE)[rng.integers(4)]
    width = rng.uniform(0.05, 0.09) if coat is _BLADE else rng.uniform(0.14, 0.3)
    _stroke(layer, at_xy, size_px, width * size_px, "leaf", coat, rng, rise, bend=1.2)


def twig(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    """A bent stick with one or two side shoots."""
    colours = prop_colours(rng)
    heading = rng.uniform(0, 2 * math.pi)
    bend, wave = rng.normal(0, (0.4, 0.2))
    stem = tube(at_xy, heading, size_px, 0.03 * size_px, PROFILES["taper"], bend=bend, wave=wave)
    for node in rng.integers(5, 16, rng.integers(0, 3)):
        aside = heading + rng.choice((-0.7, 0.7))
        shoot = tube(stem.spine_xy[node], aside, 0.35 * size_px, 0.017 * size_px, PROFILES["taper"], nodes=10)
        paint(layer, shoot, _TWIG, colours, rise=rise)
    paint(layer, stem, _TWIG, colours, rise=rise)


def _stone(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    coat = _STONES[rng.integers(len(_STONES))]
    _stroke(layer, at_xy, size_px, rng.uniform(0.3, 0.46) * size_px, "stone", coat, rng, rise)


def _berries(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    coat, colours = _BERRIES[rng.integers(len(_BERRIES))], prop_colours(rng)
    for _ in range(rng.integers(1, 5)):
        length = 0.4 * size_px * rng.uniform(0.8, 1.2)
        start = (at_xy + rng.normal(0, 0.3 * size_px, 2)).astype(np.float32)
        berry = tube(start, rng.uniform(0, 6.3), length, length / 2, PROFILES["disc"], nodes=14)
        paint(layer, berry, coat, colours, rise=rise, phase=rng.random())


def _flower(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    """Petals, each a light and a dark half, around a speckled middle."""
    colours, petals = prop_colours(rng), int(rng.integers(5, 9))
    origin, width = np.zeros(2, np.float32), size_px / petals
    one = tube(origin, 0, 0.5 * size_px, width, PROFILES["petal"], bend=0.3, nodes=9)
    angles = rng.uniform(0, 6.3) + 2 * math.pi * np.arange(petals) / petals
    turns = np.array([[np.cos(angles), np.sin(angles)], [-np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    for edge, tone in zip(one.edges, (1.0, 0.75), strict=True):
        halves = np.concatenate([edge, one.spine_xy[::-1]]) @ turns + at_xy
        paint_flat(layer, halves, colours["bright"] * np.float32(tone), rise + 0.03 * size_px)
    start = at_xy - np.array([0.14 * size_px, 0], np.float32)
    paint(
        layer,
        tube(start, 0, 0.28 * size_px, 0.14 * size_px, PROFILES["disc"], nodes=10),
        _STONES[2],
        {**colours, "main": YELLOW},
        rise=rise,
    )


def _grass(layer: Layer, at_xy: Floats, size_px: float, rng: np.random.Generator, rise: float) -> None:
    """A tuft: each blade a light and a dark half."""
    blades = int(rng.integers(5, 14))
    tone = prop_colours(rng)["main"]
    u = np.linspace(0, 1, 7)[None, :, None]
    root = at_xy + rng.normal(0, 0.3 * size_px, (blades, 1, 2))
    reach = size_px * rng.uniform(0.6, 1.6, (blades, 1, 1))
    lean = rng.normal(0, 0.35, (blades, 1, 1)) * u + rng.normal(0, 0.5, (blades, 1, 1)) * u**2
    spine = root + reach * np.concatenate([lean, -u * np.sqrt(1 - 0.4 * np.minimum(lean**2, 1))], axis=2)
    half = np.concatenate([np.maximum(0.03 * reach, 1.4) * (1 - u), np.zeros_like(lean)], axis=2)
    for i in rng.permutation(blades):
        halves = [np.concatenate([spine[i] + side * half[i], spine[i, ::-1]]) for side in (-1, 1)]
        lit_tone = tone * np.float32(rng.uniform(0.75, 1.3))
        paint_flat(layer, halves[0][None], lit_tone, rise + 3)
        paint_flat(layer, halves[1][None], lit_tone * 0.7, rise + 2)


Prop = Callable[[Layer, Floats, float, np.random.Generator, float], None]
PROPS: tuple[tuple[Prop, float], ...] = (
    (leaf, 0.26),
    (_grass, 0.26),
    (_stone, 0.2),
    (twig, 0.1),
    (_berries, 0.1),
    (_flower, 0.08),
)
"""Kinds of clutter, and their relative frequency."""


def _stroke(
    layer: Layer,
    at_xy: Floats,
    length: float,
    half_width: float,
    profile: str,
    coat: Coat,
    rng: np.random.Generator,
    rise: float,
    bend: float = 0.0,
) -> None:
    """One tube across `at_xy`, in any direction."""
    heading = rng.uniform(0, 2 * math.pi)
    back = np.array([math.cos(heading), math.sin(heading)]) * (length / 2)
    start = (at_xy - back).astype(np.float32)
    turn = bend * rng.uniform(-1, 1)
    shape = tube(start, heading, length, half_width, PROFILES[profile], bend=turn, nodes=16)
    paint(layer, shape, coat, prop_colours(rng), rise=rise, phase=rng.random())


def _ground(colours: Floats, image_hw: tuple[int, int], rng: np.random.Generator) -> Layer:
    """Bare ground: three colours mixed by noise, with fine grain and patches of another colour."""
    cell_px, gain = rng.uniform(40, 120), rng.uniform(0.5, 0.75)
    coarse = fractal_noise(rng, image_hw, coarsest_px=cell_px, octaves=5, gain=gain)
    fine = fractal_noise(rng, image_hw, coarsest_px=rng.uniform(4, 9), octaves=2, gain=0.8)
    stain = np.clip(3 * fractal_noise(rng, image_hw, coarsest_px=90, octaves=3) - 1, 0, 1)
    mix = np.clip((coarse + 0.4 * fine) * np.float32(rng.uniform(0.4, 1.0)), -1, 1)
    steps = np.linspace(-1, 1, 256)
    shades = np.stack([np.interp(steps, (-1, 0, 1), tones) for tones in colours[[2, 0, 1]].T], axis=1)
    colour = shades.astype(np.float32)[((mix + 1) * 127.5).astype(np.uint8)]
    other = vary(GROUNDS[rng.integers(len(GROUNDS)), 0], rng, 0.2)
    colour += (np.float32(rng.uniform(0, 0.8)) * stain)[..., None] * (other - colour)
    height = np.float32(rng.uniform(1, 5)) * coarse + np.float32(rng.uniform(0.5, 3)) * fine
    grain = fractal_noise(rng, image_hw, coarsest_px=24, octaves=4)
    size_wh = (image_hw[1] * OVERSAMPLING, image_hw[0] * OVERSAMPLING)
    colour, height = (np.asarray(cv2.resize(part, size_wh), np.float32) for part in (colour, height))
    return Layer(colour, height, np.ones_like(height), grain)


def _litter(layer: Layer, rng: np.random.Generator) -> None:
    """Hundreds of needles or chips in a few tones."""
    h, w = layer.height.shape
    count, slender = int(rng.integers(10, 130)), rng.uniform(0.08, 0.6)
    length = h * rng.uniform(0.012, 0.05)
    for _ in range(4):
        colour = vary(GROUNDS[rng.integers(len(GROUNDS)), rng.integers(3)], rng, 0.25)
        angle = rng.uniform(0, 2 * math.pi, (count, 1))
        reach = length * rng.uniform(0.4, 1.2, (count, 1))
        ahead = reach * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        aside = ahead[:, ::-1] * np.array([-slender, slender]) * rng.uniform(0.5, 1, (count, 1))
        middle = rng.random((count, 2)) * np.array([w, h])
        corners = np.stack([middle - ahead, middle + aside, middle + ahead, middle - 0.7 * aside], axis=1)
        paint_flat(layer, corners, colour, float(rng.uniform(1, 5)))


def _clutter(layer: Layer, rng: np.random.Generator, horizon: float) -> None:
    """Objects on the ground; far ones come first and are smaller."""
    h, w = layer.height.shape
    shares = np.array([share for _, share in PROPS])
    # Each image has its own mix: some kinds are common in one image and absent from another.
    shares = shares * rng.gamma(1.0, 1.0, len(PROPS))
    count, scale = int(rng.integers(14, 46)), rng.uniform(0.09, 0.17)
    kinds = rng.choice(len(PROPS), count, p=shares / shares.sum())
    depths = np.sort(rng.random(count))
    for kind, depth in zip(kinds, depths, strict=True):
        at = np.array([rng.uniform(-0.05, 1.05) * w, (horizon + (1.05 - horizon) * depth) * h], np.float32)
        size = h * scale * (0.5 + 0.7 * depth) * math.exp(rng.normal(0, 0.45))
        PROPS[kind][0](layer, at, size, rng, float(rng.uniform(1, 4)))


def _with_distance(image: Floats, horizon: float, ground: Floats, rng: np.random.Generator) -> Floats:
    """The distance above the horizon: out of focus and paler, with a soft border."""
    h, w = image.shape[:2]
    sky = vary(SKIES[rng.integers(len(SKIES))], rng, 0.15)
    far = cv2.GaussianBlur(image[: max(8, h // 3)], (0, 0), 9)
    far = np.asarray(cv2.resize(far, (w, h)), np.float32)
    rows = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    uneven = 0.06 * fractal_noise(rng, (1, w), coarsest_px=30, octaves=4)
    haze = np.clip(1.2 - rows / horizon, 0.1, 0.9)[..., None]
    far = far + haze * (sky - far) + 0.1 * (ground - far)
    share = np.clip((horizon - rows + uneven) * 14 + 0.5, 0, 1)[..., None]
    return np.asarray(image + share * (far - image), np.float32)


def _with_blobs(image: Floats, rng: np.random.Generator) -> Floats:
    """Discs out of focus, as from light through leaves or from objects near the lens."""
    h, w = image.shape[:2]
    small_hw = (h // 2, w // 2)
    cover = np.zeros(small_hw, np.float32)
    colour = np.asarray(cv2.resize(image, small_hw[::-1], interpolation=cv2.INTER_AREA), np.float32)
    for _ in range(rng.integers(3, 9)):
        centre = (int(rng.uniform(0, small_hw[1])), int(rng.uniform(0, small_hw[0])))
        radius = int(small_hw[0] * rng.uniform(0.03, 0.13))
        tone = vary(BRIGHTS[rng.integers(len(BRIGHTS))], rng, 0.2)
        cv2.circle(colour, centre, radius, tone.tolist(), -1)
        cv2.circle(cover, centre, radius, float(rng.uniform(0.25, 0.75)), -1)
    soft = rng.uniform(1.5, 4)
    share, tint = (cv2.resize(cv2.GaussianBlur(part, (0, 0), soft), (w, h)) for part in (cover, colour))
    return np.asarray(image + share[..., None] * (tint - image), np.float32)
