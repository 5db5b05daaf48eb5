"""The panels that show the outputs of a run for an image, and the strip that shows several images on one sheet."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from wsol.geometry.boxes import Boxes, Xyxy
from wsol.reports.gallery import GalleryItem

Panel = UInt8[np.ndarray, "height width 3"]
Values = Float32[np.ndarray, "height width 3"]
Plane = Float32[np.ndarray, "height width"]
Flags = Bool[np.ndarray, "height width"]
Rgb = tuple[int, int, int]

# Predictions are amber and annotations blue in every panel: colours that red-green blind people can tell apart.
FOUND: Rgb = (0xFF, 0xB0, 0x00)
GROUND_TRUTH: Rgb = (0x00, 0xC8, 0xFF)
BACKGROUND: Rgb = (0x1B, 0x24, 0x47)
UNDECIDED: Rgb = (0x9A, 0x9F, 0xA8)
HATCH: Rgb = (0xE4, 0xE6, 0xEA)
OUTLINE: Rgb = (0x0B, 0x0F, 0x16)

FOUND_STROKE_PX, GROUND_TRUTH_STROKE_PX = 4, 3
DASH_PX, DASH_PERIOD_PX = 11, 19
HATCH_PERIOD_PX = 10


def panel_photo(shown: GalleryItem) -> Panel:
    """The photo, unchanged."""
    return shown.photo


def panel_map(shown: GalleryItem) -> Panel:
    """The map as a heat map over the photo; where the map is low, the photo is dark."""
    return _heated(shown.photo, _present(warmth_of(shown)))


def panel_gaussian(shown: GalleryItem) -> Panel:
    """The Gaussian prior of the map as a heat map over the photo (Wei et al. 2021, Fig. 2c)."""
    return _heated(shown.photo, _present(shown.gaussian))


def panel_combined(shown: GalleryItem) -> Panel:
    """The larger of map and Gaussian at each pixel as a heat map over the photo (Wei et al. 2021, Fig. 2d)."""
    return _heated(shown.photo, np.maximum(_present(shown.cam), _present(shown.gaussian)))


def _heated(photo: Panel, plane: Plane) -> Panel:
    warmth = plane.clip(0, 1)
    heat = _floats(cv2.applyColorMap(np.rint(warmth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1])
    # The heat map is more opaque where it is high: at a constant opacity its black would hide the photo.
    opacity = (0.42 + 0.3 * warmth)[..., None]
    return _pixels(_grey(photo) * (1 - opacity) + heat * opacity)


def panel_pseudo(shown: GalleryItem) -> Panel:
    """The pseudo mask over a dimmed photo: object, background, and hatching where it is undecided."""
    photo = _grey(shown.photo)
    foreground, known = (_present(plane).clip(0, 1)[..., None] for plane in (shown.foreground, shown.known))
    decided = _tinted(photo, FOUND, 0.62) * foreground + _tinted(photo, BACKGROUND, 0.66) * (1 - foreground)
    stripes = _hatch(shown.photo.shape[:2])[..., None]
    undecided = _tinted(photo, UNDECIDED, 0.66) * (1 - stripes) + _tinted(photo, HATCH, 0.8) * stripes
    return _pixels(decided * known + undecided * (1 - known))


def panel_mask(shown: GalleryItem) -> Panel:
    """The mask as a tint with a contour; the rest of the photo is dimmed."""
    photo = _floats(shown.photo)
    panel = np.where(shown.mask[..., None], _tinted(photo, FOUND, 0.42), _grey(shown.photo) * 0.55)
    inner = cv2.erode(shown.mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    return _painted(_pixels(panel), shown.mask & ~inner, FOUND)


def panel_boxes(shown: GalleryItem) -> Panel:
    """The photo with predicted boxes as lines, annotated boxes dashed over them: both are visible where they agree."""
    panel = shown.photo
    for x0, y0, x1, y1 in shown.boxes.xyxy.tolist():
        panel = _painted(panel, _frame((x0, y0, x1, y1), panel.shape[:2], FOUND_STROKE_PX), FOUND)
    for x0, y0, x1, y1 in shown.annotated_boxes.xyxy.tolist():
        panel = _painted(
            panel, _frame((x0, y0, x1, y1), panel.shape[:2], GROUND_TRUTH_STROKE_PX, dashed=True), GROUND_TRUTH
        )
    return panel


def warmth_of(shown: GalleryItem) -> Plane | None:
    """The map for the map panel: stage 1's map, or the method's own; None for a method without maps."""
    return shown.heatmap if shown.cam is None else shown.cam


def _present(plane: Plane | None) -> Plane:
    assert plane is not None, "`columns_of` selects only panels that exist"
    return plane


def _floats(pixels: Panel) -> Values:
    return pixels.astype(np.float32)


def _pixels(values: Values) -> Panel:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def _grey(photo: Panel) -> Values:
    """The photo with most of its colour removed, so that tints over it keep their colour."""
    values = _floats(photo)
    luma = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))
    return np.asarray((values + 2 * luma[..., None]) / 3, np.float32)


def _tinted(values: Values, colour: Rgb, opacity: float) -> Values:
    return values * (1 - opacity) + np.asarray(colour, np.float32) * opacity


def _hatch(hw: tuple[int, int]) -> Plane:
    """Diagonal stripes with soft edges: 1 on a stripe, 0 between."""
    y, x = np.indices(hw, dtype=np.float32)
    wave = np.abs((x + y) % HATCH_PERIOD_PX - HATCH_PERIOD_PX / 2)
    return np.asarray((1.75 - wave).clip(0, 1), np.float32)


def _frame(box: Xyxy, hw: tuple[int, int], stroke_px: int, *, dashed: bool = False) -> Flags:
    """The pixels of a box's outline, drawn inward from its edges; every edge begins and ends with a dash."""
    x0, y0, x1, y1 = _whole_pixels(box, hw)
    width, height = x1 - x0, y1 - y0
    x, y = np.arange(width), np.arange(height)[:, None]
    beside, above = np.minimum(x, x[::-1]), np.minimum(y, y[::-1])
    dash_x, dash_y = (_dashes(width), _dashes(height)[:, None]) if dashed else (True, True)
    ring = (beside < stroke_px) & dash_y | (above < stroke_px) & dash_x
    frame = np.zeros(hw, dtype=bool)
    frame[y0:y1, x0:x1] = ring
    return frame


def _dashes(length_px: int) -> Bool[np.ndarray, " length"]:
    """Which pixels of a dashed line are drawn: dashes at both ends, and about every `DASH_PERIOD_PX` between."""
    free = max(0, length_px - DASH_PX)
    period = free / max(1, round(free / DASH_PERIOD_PX))
    return np.arange(length_px) % max(period, DASH_PX) < DASH_PX


def _whole_pixels(box: Xyxy, hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box clipped to the image, at least one pixel wide and high."""
    x0, y0, x1, y1 = (round(edge) for edge in Boxes.of([box]).clipped(hw).xyxy[0].tolist())
    x0, y0 = min(x0, hw[1] - 1), min(y0, hw[0] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _painted(panel: Panel, where: Flags, colour: Rgb) -> Panel:
    """Paint pixels in one colour with a dark rim, which keeps them visible on any photo."""
    rim = cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    panel = np.where(rim[..., None], _pixels(_tinted(_floats(panel), OUTLINE, 0.75)), panel)
    return np.where(where[..., None], np.asarray(colour, np.uint8), panel)


# Sizes of the strip, twice the size at which pages show it, for high-resolution screens.
CELL_WIDTH_PX, CELL_MAX_HEIGHT_PX = 320, 240
MARGIN_PX, GUTTER_PX = 40, 24
HEADER_PX, CAPTION_PX = 92, 56
CORNER_PX = 10
TITLE_PX, LEGEND_PX, TEXT_PX = 28, 18, 22
PAPER, CELL_GROUND, HAIRLINE = (0xFF, 0xFF, 0xFF), (0xEE, 0xF0, 0xF3), (0xD0, 0xD7, 0xDE)
INK, PALE_INK, ARROW = (0x1F, 0x23, 0x28), (0x59, 0x63, 0x6E), (0xA8, 0xB1, 0xBB)


PanelName = Literal["photo", "map", "gaussian", "combined", "pseudo", "mask", "box"]


@dataclass(frozen=True)
class Column:
    """One panel of each image: its title, and either a line of text or a colour key."""

    panel: PanelName
    title: str
    draw: Callable[[GalleryItem], Panel]
    text: str = ""
    key: tuple[tuple[Rgb, str], ...] = ()


PHOTO = Column("photo", "Photo", panel_photo, text="only its class label is used")
BOX = Column("box", "Box", panel_boxes, key=((FOUND, "found"), (GROUND_TRUTH, "annotated, not trained on")))
PSEUDO_KEY = ((FOUND, "object"), (BACKGROUND, "background"), (UNDECIDED, "undecided"))

COLUMNS = (
    PHOTO,
    Column("map", "Map", panel_map, text="evidence of the object"),
    Column("pseudo", "Pseudo mask", panel_pseudo, key=PSEUDO_KEY),
    Column("mask", "Mask", panel_mask, text="learned from pseudo masks"),
    BOX,
)
"""Panels of SPOL, one per stage."""
GAUSSIAN_COLUMNS = (
    *COLUMNS[:2],
    Column("gaussian", "Gaussian", panel_gaussian, text="fitted to the map"),
    Column("combined", "Map and Gaussian", panel_combined, text="the larger of both"),
    *COLUMNS[2:],
)
"""Panels of SPOL with a Gaussian prior: how it changes the map and the pseudo mask (Wei et al. 2021, Fig. 2)."""
MAP_COLUMNS = (
    PHOTO,
    Column("map", "Map", panel_map, text="evidence of the class"),
    Column("mask", "Mask", panel_mask, text="the map above the threshold"),
    BOX,
)
BOX_COLUMNS = (PHOTO, BOX)


def columns_of(shown: GalleryItem) -> tuple[Column, ...]:
    """Select the panels that exist for an image; all images of a run have the same.

    Args:
        shown: an image with the outputs of a run.

    Returns:
        The panels, from left to right.
    """
    if shown.heatmap is None:
        return BOX_COLUMNS
    if shown.cam is None:
        return MAP_COLUMNS
    return COLUMNS if shown.gaussian is None else GAUSSIAN_COLUMNS


LEFT_PX = tuple(MARGIN_PX + number * (CELL_WIDTH_PX + GUTTER_PX) for number in range(len(GAUSSIAN_COLUMNS)))


def draw_strip(shown: Sequence[GalleryItem]) -> Image.Image:
    """Draw one row per image and one column per panel, on white with a border.

    Args:
        shown: images with the outputs of one run.

    Returns:
        The sheet, RGB.
    """
    rows = [fitted(each) for each in shown]
    columns = columns_of(shown[0]) if shown else COLUMNS
    lefts = LEFT_PX[: len(columns)]
    width = lefts[-1] + CELL_WIDTH_PX + MARGIN_PX
    # The last caption overlaps the margin.
    height = 2 * MARGIN_PX + HEADER_PX + sum(row.photo.shape[0] + CAPTION_PX for row in rows) - TEXT_PX // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, 0, width - 1, height - 1), outline=HAIRLINE, width=2)
    for column, left in zip(columns, lefts, strict=True):
        _header(pen, column, left)
    for left in lefts[1:]:
        _arrow(pen, left)
    top = MARGIN_PX + HEADER_PX
    for row in rows:
        for column, left in zip(columns, lefts, strict=True):
            _paste(sheet, column.draw(row), (left, top))
        top += row.photo.shape[0]
        _captions(pen, row, lefts[-1], top + 12)
        top += CAPTION_PX
    return sheet


def fitted(shown: GalleryItem) -> GalleryItem:
    """Resize an image and its planes to a cell, so that lines have the same thickness on small and large images.

    Args:
        shown: an image with the outputs of a run.

    Returns:
        The same, at most `CELL_WIDTH_PX` x `CELL_MAX_HEIGHT_PX`, with boxes scaled to it.
    """
    height, width = shown.photo.shape[:2]
    scale = min(CELL_WIDTH_PX / width, CELL_MAX_HEIGHT_PX / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image_height, image_width = shown.image_hw
    scales = np.asarray([size[0] / image_width, size[1] / image_height] * 2)

    def smooth(plane: Plane) -> Float32[np.ndarray, "new_height new_width"]:
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    def smooth_if_present(plane: Plane | None) -> Float32[np.ndarray, "new_height new_width"] | None:
        return None if plane is None else smooth(plane)

    return replace(
        shown,
        image_hw=size[::-1],
        photo=np.asarray(Image.fromarray(shown.photo).resize(size, Image.Resampling.LANCZOS)),
        cam=smooth_if_present(shown.cam),
        foreground=smooth_if_present(shown.foreground),
        known=smooth_if_present(shown.known),
        heatmap=smooth_if_present(shown.heatmap),
        gaussian=smooth_if_present(shown.gaussian),
        mask=smooth(shown.mask.astype(np.float32)) > 0.5,
        boxes=Boxes(shown.boxes.xyxy * scales),
        annotated_boxes=Boxes(shown.annotated_boxes.xyxy * scales),
    )


def _paste(sheet: Image.Image, panel: Panel, at: tuple[int, int]) -> None:
    """Paste a panel into the centre of a cell of the same height, with round corners."""
    cell = Image.new("RGB", (CELL_WIDTH_PX, panel.shape[0]), CELL_GROUND)
    cell.paste(Image.fromarray(panel), ((CELL_WIDTH_PX - panel.shape[1]) // 2, 0))
    fine = Image.new("L", (4 * cell.width, 4 * cell.height))
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, fine.width - 1, fine.height - 1), 4 * CORNER_PX, fill=255)
    sheet.paste(cell, at, fine.resize(cell.size, Image.Resampling.BOX))


def _header(pen: ImageDraw.ImageDraw, column: Column, left: int) -> None:
    """Title, and text or colour key of a column."""
    pen.text((left, MARGIN_PX + 18), column.title, INK, ImageFont.load_default(TITLE_PX), anchor="lm")
    font = ImageFont.load_default(LEGEND_PX)
    x, middle = float(left), MARGIN_PX + 56
    pen.text((x, middle), column.text, PALE_INK, font, anchor="lm")
    for colour, name in column.key:
        pen.rounded_rectangle((x, middle - 7, x + 14, middle + 7), 4, fill=colour)
        pen.text((x + 19, middle), name, PALE_INK, font, anchor="lm")
        x += 19 + font.getlength(name) + 11


def _arrow(pen: ImageDraw.ImageDraw, left: int) -> None:
    """Arrow from the previous column to the one that begins at `left`."""
    tip, middle = left - 14, MARGIN_PX + 18
    pen.line((tip - 44, middle, tip, middle), ARROW, 2)
    pen.line(((tip - 8, middle - 7), (tip, middle), (tip - 8, middle + 7)), ARROW, 2, joint="curve")


def _captions(pen: ImageDraw.ImageDraw, shown: GalleryItem, left_of_boxes: int, top: int) -> None:
    """The class below the photo, the result below the boxes."""
    font = ImageFont.load_default(TEXT_PX)
    pen.text((MARGIN_PX, top), _shortened(_writable(shown.class_name), font), INK, font)
    pen.text((left_of_boxes, top), _result(shown), INK, font)


def _result(shown: GalleryItem) -> str:
    if not len(shown.boxes):
        return "nothing found"
    return "" if shown.iou is None else f"IoU {shown.iou:.2f}"


def _writable(text: str) -> str:
    """Text in ASCII, all that Pillow's built-in font has: accents are removed, other scripts are left out."""
    return " ".join(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().split())


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= CELL_WIDTH_PX:
        return text
    while text and font.getlength(text + "...") > CELL_WIDTH_PX:
        text = text[:-1]
    return text.rstrip() + "..."
