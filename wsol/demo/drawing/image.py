"""One image: a creature placed in a scene, its shadow, an occluder, and camera effects."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol.demo.drawing.creatures import CREATURES
from wsol.demo.drawing.pose import Creature, PosedPart, moved, pose, turned
from wsol.demo.drawing.scene import leaf, scene, twig
from wsol.demo.drawing.textures import Floats, Palette, rgb, vary
from wsol.demo.drawing.tubes import OVERSAMPLING, Layer, Light, lit, paint

MAX_EXTENT, MIN_EXTENT = 0.75, 0.25
"""Limits of the box's width and height, as fractions of the image's."""
MAX_BOX, MIN_BOX = 0.74, 0.36
"""Limits of the square root of the box's area, as a fraction of the image's area."""
MIN_AREA = 0.06
"""Smallest area of the creature as a fraction of the image, if its box allows it."""
MARGIN_PX = 8
"""Margin around a painted body, for blurs at its border."""
TRIES = 30
"""Number of random positions for one more creature."""
MAX_COVERED = 0.2
"""Largest fraction of a creature that one more creature covers."""
OCCLUDED = 0.2
"""Fraction of images with an object in front of the creature."""
FIXED_COLOURS = {"black": rgb("15120f"), "white": rgb("f6f2ea"), "red": rgb("c4352b"), "horn": rgb("8a7a5c")}


def draw(
    creature: str, rng: np.random.Generator, image_hw: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one photograph.

    Args:
        creature: a key of `CREATURES`.
        rng: source of all randomness of the image.
        image_hw: (height, width) in pixels.

    Returns:
        The image, H x W x 3 RGB, and the mask of the creature's visible pixels, H x W.

    Raises:
        ValueError: no such creature.
    """
    if creature not in CREATURES:
        raise ValueError(f"expected a creature of {', '.join(CREATURES)}, got {creature!r}")
    # Separate random streams, so that the scene of a seed is the same for every creature.
    light_rng, scene_rng, body_rng, front_rng, camera_rng = rng.spawn(5)
    light = Light.random(light_rng)
    image = scene(scene_rng, image_hw, light)
    image, cover = _with_creature(image, CREATURES[creature], body_rng, light)
    if front_rng.random() < OCCLUDED:
        image, cover = _with_occluder(image, cover, front_rng, light)
    return _photographed(image, camera_rng), cover > 0.5


def draw_several(
    creature: str, count: int, rng: np.random.Generator, image_hw: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]]]:
    """Draw one photograph with several creatures of a kind, smaller the more there are. They may touch, and cover up to
    a fifth of each other.

    Args:
        creature: a key of `CREATURES`.
        count: the number of creatures that are tried; one that finds no room is left out, but not the first.
        rng: source of all randomness of the image.
        image_hw: (height, width) in pixels.

    Returns:
        The image, H x W x 3 RGB, and the mask of the visible pixels of each creature, H x W.
    """
    light_rng, scene_rng, body_rng, camera_rng = rng.spawn(4)
    light = Light.random(light_rng)
    image = scene(scene_rng, image_hw, light)
    covers: list[Floats] = []
    for _ in range(count):
        for _ in range(TRIES):
            shown, cover = _with_creature(image, CREATURES[creature], body_rng, light, count**-0.5)
            seen = cover > 0.5
            if all((seen & (one > 0.5)).sum() <= MAX_COVERED * (one > 0.5).sum() for one in covers):
                image, covers = shown, [*((one * (1 - cover)).astype(np.float32) for one in covers), cover]
                break
    return _photographed(image, camera_rng), [one > 0.5 for one in covers]


def draw_empty(rng: np.random.Generator, image_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a photograph without a creature.

    Args:
        rng: source of all randomness of the image.
        image_hw: (height, width) in pixels.

    Returns:
        The image, H x W x 3 RGB.
    """
    light_rng, scene_rng, front_rng, camera_rng = rng.spawn(4)
    light = Light.random(light_rng)
    image = scene(scene_rng, image_hw, light)
    if front_rng.random() < OCCLUDED:  # around a position where a creature could be
        target = np.zeros(image_hw, np.float32)
        target[tuple(front_rng.integers(edge // 4, 3 * edge // 4) for edge in image_hw)] = 1
        image, _ = _with_occluder(image, target, front_rng, light)
    return _photographed(image, camera_rng)


def _with_creature(
    image: Floats, creature: Creature, rng: np.random.Generator, light: Light, size: float = 1.0
) -> tuple[Floats, Floats]:
    image_hw = image.shape[0], image.shape[1]
    parts = _fitted(creature, image_hw, rng, size)
    middle = np.median(np.concatenate([part.shape.spine_xy for part in parts]), axis=0) / OVERSAMPLING
    palette = _palette(creature, _colour_near(image, middle), rng)
    low, high = _extent(parts)
    corner = (low / OVERSAMPLING).astype(int) - MARGIN_PX
    w, h = ((high / OVERSAMPLING).astype(int) + MARGIN_PX - corner).tolist()
    layer = Layer.empty((h, w), rng)
    unit = math.sqrt(max(_area(parts), 1.0))
    for part in moved(parts, (-corner * OVERSAMPLING).astype(np.float32)):
        paint(
            layer,
            part.shape,
            part.coat,
            palette,
            rise=unit * (0.1 + 0.012 * part.depth),
            shade=part.shade,
            phase=part.phase,
            fused=part.fused,
        )
    body = layer.averaged()
    colour = lit(body, light, gloss=creature.gloss * float(rng.uniform(0.5, 1.2)))
    return _laid_over(image, colour, body.cover, corner, light, unit / OVERSAMPLING)


def _with_occluder(image: Floats, cover: Floats, rng: np.random.Generator, light: Light) -> tuple[Floats, Floats]:
    """Place a leaf or a twig over a random pixel of the creature."""
    rows, columns = np.nonzero(cover > 0.5)
    target = rng.integers(len(rows))
    size = math.sqrt(len(rows))
    reach = int(1.3 * size) + MARGIN_PX
    layer = Layer.empty((2 * reach, 2 * reach), rng)
    at = np.array([reach, reach], np.float32) * OVERSAMPLING
    if rng.random() < 0.6:
        leaf(layer, at, size * OVERSAMPLING * float(rng.uniform(0.4, 0.7)), rng, 0)
    else:
        twig(layer, at, size * OVERSAMPLING * float(rng.uniform(0.8, 1.2)), rng, 0)
    front = layer.averaged()
    corner = np.array([columns[target], rows[target]]) - reach
    shown, hidden = _laid_over(image, lit(front, light), front.cover, corner, light, 0.2 * size)
    return shown, (cover * (1 - hidden)).astype(np.float32)


def _laid_over(
    image: Floats, colour: Floats, cover: Floats, corner_xy: NDArray[np.intp], light: Light, size_px: float
) -> tuple[Floats, Floats]:
    """Compose a small layer with its shadow over the image; return the image and the layer's cover in its frame."""
    h, w = image.shape[:2]
    x0, y0 = np.maximum(corner_xy, 0)
    x1, y1 = np.minimum(corner_xy + np.array(cover.shape[::-1]), (w, h))
    there = (slice(y0, y1), slice(x0, x1))
    here = (slice(y0 - corner_xy[1], y1 - corner_xy[1]), slice(x0 - corner_xy[0], x1 - corner_xy[0]))
    whole = np.zeros((h, w), np.float32)
    whole[there] = cover[here]
    shown = image * _shadow(whole, light, size_px)[..., None]
    shown[there] += whole[there][..., None] * (colour[here] - shown[there])
    return shown.astype(np.float32), whole


def _fitted(creature: Creature, image_hw: tuple[int, int], rng: np.random.Generator, size: float) -> list[PosedPart]:
    """A pose at a random scale, times `size`, and position inside the image, in pixels of the layer."""
    parts = turned(pose(creature, rng), float(rng.uniform(*creature.tilt)), 1.0, bool(rng.random() < 0.5))
    room_wh = np.array(image_hw[::-1], np.float32) * OVERSAMPLING
    low, high = _extent(parts)
    extent = (high - low) / room_wh
    filled = _area(parts) / float((high - low).prod())
    least = max(MIN_BOX, min(MAX_BOX, math.sqrt(MIN_AREA / filled)))
    scale = float(rng.uniform(least, MAX_BOX)) / math.sqrt(float(extent.prod()))
    scale = min(max(scale, MIN_EXTENT / float(extent.min())), MAX_EXTENT / float(extent.max()))
    parts = turned(parts, 0, scale * size, False)
    low, high = _extent(parts)
    free = np.maximum(room_wh - (high - low), 0)
    margin = np.minimum(0.02 * room_wh, free / 2)
    # Beta distribution: more often near the borders of the image than at its centre.
    corner = margin + rng.beta(0.55, 0.55, 2) * (free - 2 * margin)
    return moved(parts, (corner - low).astype(np.float32))


def _extent(parts: list[PosedPart]) -> tuple[Floats, Floats]:
    points = np.concatenate([part.shape.outline for part in parts])
    return points.min(0), points.max(0)


def _area(parts: list[PosedPart]) -> float:
    """Area of the union of the parts in their own unit, measured on a coarse raster."""
    low, high = _extent(parts)
    cell = float((high - low).max()) / 96
    raster = np.zeros((100, 100), np.uint8)
    for part in parts:
        polygon = np.round((part.shape.outline - low) / cell * 8).astype(np.int32)
        cv2.fillPoly(raster, [polygon], 1, shift=3)
    return float(raster.sum()) * cell**2


def _palette(creature: Creature, surroundings: Floats, rng: np.random.Generator) -> Palette:
    """One of the creature's palettes, varied, and mixed with the surroundings as camouflage."""
    chosen = creature.palettes[rng.integers(len(creature.palettes))]
    camouflage = np.float32(0.5 * rng.random() ** 1.5)
    palette = {}
    for slot, code in chosen.items():
        colour = vary(rgb(code), rng, 0.22)
        palette[slot] = colour + camouflage * (surroundings - colour)
    main = palette["main"]
    if np.abs(main - surroundings).max() < 0.12:
        # Keep it visible: make the creature lighter on dark ground and darker on light ground.
        factor = np.float32(0.65 if surroundings.mean() > 0.42 else 1.5)
        palette = {slot: np.clip(colour * factor, 0, 1) for slot, colour in palette.items()}
    return {**FIXED_COLOURS, **palette}


def _colour_near(image: Floats, middle_xy: Floats) -> Floats:
    h, w = image.shape[:2]
    x, y = int(np.clip(middle_xy[0], 0, w - 1)), int(np.clip(middle_xy[1], 0, h - 1))
    around = image[max(0, y - h // 6) : y + h // 6 + 1, max(0, x - w // 6) : x + w // 6 + 1]
    return np.asarray(around.mean((0, 1)), np.float32)


def _shadow(cover: Floats, light: Light, size_px: float) -> Floats:
    """Factor of the light on the ground: a cast shadow, and a darker contact shadow."""
    x, y, z = (float(part) for part in light.towards_xyz)
    reach = 0.12 * size_px / z
    shift = np.array([[1, 0, -x * reach], [0, 1, -y * reach]], np.float32)
    h, w = cover.shape
    cast = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (w, h)), (0, 0), max(1.0, 0.06 * size_px))
    contact = cv2.GaussianBlur(cover, (0, 0), 2.0)
    return np.asarray((1 - 0.55 * (1 - light.ambient) / 0.6 * cast) * (1 - 0.3 * contact), np.float32)


def _photographed(image: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply exposure, white balance, vignette, lens blur and sensor noise."""
    h, w = image.shape[:2]
    gain = rng.uniform(0.95, 1.35) * (1 + rng.uniform(-0.06, 0.06) * np.array([1, 0, -1]))
    column = np.linspace(-1, 1, w, dtype=np.float32)[None, :] ** 2
    row = np.linspace(-1, 1, h, dtype=np.float32)[:, None] ** 2
    vignette = 1 - np.float32(rng.uniform(0, 0.22)) * (row + column)
    exposed = image * gain.astype(np.float32) * vignette[..., None]
    exposed = cv2.GaussianBlur(exposed, (0, 0), float(rng.uniform(0.3, 0.8)))
    grain = rng.standard_normal((h, w, 1), dtype=np.float32) * np.float32(rng.uniform(0.004, 0.012))
    # A soft shoulder keeps highlights from clipping hard.
    toned = exposed / (1 + np.maximum(exposed - 0.8, 0)) + grain
    return np.asarray(np.clip(toned * 255 + 0.5, 0, 255), np.uint8)
