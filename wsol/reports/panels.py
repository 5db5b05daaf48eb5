"""What a run makes of an image: a panel for each thing that its method has, and the strip that shows several images on
one sheet.
"""

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
from wsol.reports.gallery import Shown

Panel = UInt8[np.ndarray, "height width 3"]
Values = Float32[np.ndarray, "height width 3"]
Plane = Float32[np.ndarray, "height width"]
Flags = Bool[np.ndarray, "height width"]
Rgb = tuple[int, int, int]

# What we found is amber and the truth is blue, in every panel: people who cannot tell red from green tell these apart.
FOUND: Rgb = (0xFF, 0xB0, 0x00)
TRUE: Rgb = (0x00, 0xC8, 0xFF)
BACKGROUND: Rgb = (0x1B, 0x24, 0x47)
UNDECIDED: Rgb = (0x9A, 0x9F, 0xA8)
HATCH: Rgb = (0xE4, 0xE6, 0xEA)
OUTLINE: Rgb = (0x0B, 0x0F, 0x16)

FOUND_STROKE_PX, TRUE_STROKE_PX = 4, 3
DASH_PX, DASH_PERIOD_PX = 11, 19
HATCH_PERIOD_PX = 10


def panel_photo(shown: Shown) -> Panel:
    """The photo as it is."""
    return shown.photo


def panel_map(shown: Shown) -> Panel:
    """The map as heat over the photo; where it is cold, the photo is dark."""
    warmth = _there(warmth_of(shown)).clip(0, 1)
    heat = _floats(cv2.applyColorMap(np.rint(warmth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1])
    # Warm places hide more of the photo than cold ones: black at a fixed share would bury it.
    share = (0.42 + 0.3 * warmth)[..., None]
    return _pixels(_grey(shown.photo) * (1 - share) + heat * share)


def panel_pseudo(shown: Shown) -> Panel:
    """The pseudo mask over a dimmed photo: object, background, and hatched where it is undecided."""
    photo = _grey(shown.photo)
    foreground, known = (_there(plane).clip(0, 1)[..., None] for plane in (shown.foreground, shown.known))
    decided = _tinted(photo, FOUND, 0.62) * foreground + _tinted(photo, BACKGROUND, 0.66) * (1 - foreground)
    stripes = _hatch(shown.photo.shape[:2])[..., None]
    undecided = _tinted(photo, UNDECIDED, 0.66) * (1 - stripes) + _tinted(photo, HATCH, 0.8) * stripes
    return _pixels(decided * known + undecided * (1 - known))


def panel_mask(shown: Shown) -> Panel:
    """The mask as a tint with a contour; the rest of the photo steps back."""
    photo = _floats(shown.photo)
    panel = np.where(shown.mask[..., None], _tinted(photo, FOUND, 0.42), _grey(shown.photo) * 0.55)
    inner = cv2.erode(shown.mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    return _painted(_pixels(panel), shown.mask & ~inner, FOUND)


def panel_boxes(shown: Shown) -> Panel:
    """The photo with the found box as a line, the true boxes dashed over it, so that both are seen where they agree."""
    panel = shown.photo
    for x0, y0, x1, y1 in shown.boxes.xyxy.tolist():
        panel = _painted(panel, _frame((x0, y0, x1, y1), panel.shape[:2], FOUND_STROKE_PX), FOUND)
    for x0, y0, x1, y1 in shown.annotated_boxes.xyxy.tolist():
        panel = _painted(panel, _frame((x0, y0, x1, y1), panel.shape[:2], TRUE_STROKE_PX, dashed=True), TRUE)
    return panel


def warmth_of(shown: Shown) -> Plane | None:
    """What the panel of the map shows: stage 1's, or the method's own; None for a method without maps."""
    return shown.heatmap if shown.cam is None else shown.cam


def _there(plane: Plane | None) -> Plane:
    assert plane is not None, "`columns_of` has chosen the panels"
    return plane


def _floats(pixels: Panel) -> Values:
    return pixels.astype(np.float32)


def _pixels(values: Values) -> Panel:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def _grey(photo: Panel) -> Values:
    """The photo with most of its colour gone, so that tints over it keep theirs."""
    values = _floats(photo)
    luma = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))
    return np.asarray((values + 2 * luma[..., None]) / 3, np.float32)


def _tinted(values: Values, colour: Rgb, share: float) -> Values:
    return values * (1 - share) + np.asarray(colour, np.float32) * share


def _hatch(hw: tuple[int, int]) -> Plane:
    """Diagonal stripes with soft edges: 1 on a stripe, 0 between."""
    y, x = np.indices(hw, dtype=np.float32)
    wave = np.abs((x + y) % HATCH_PERIOD_PX - HATCH_PERIOD_PX / 2)
    return np.asarray((1.75 - wave).clip(0, 1), np.float32)


def _frame(box: Xyxy, hw: tuple[int, int], stroke_px: int, *, dashed: bool = False) -> Flags:
    """The pixels of a box's outline, drawn inward from its edges; every side begins and ends with a dash."""
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
    """Where a line of dashes is drawn: at both ends, and about every `DASH_PERIOD_PX` between."""
    free = max(0, length_px - DASH_PX)
    period = free / max(1, round(free / DASH_PERIOD_PX))
    return np.arange(length_px) % max(period, DASH_PX) < DASH_PX


def _whole_pixels(box: Xyxy, hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box inside the image, at least a pixel wide and high."""
    x0, y0, x1, y1 = (round(edge) for edge in Boxes.of([box]).clipped(hw).xyxy[0].tolist())
    x0, y0 = min(x0, hw[1] - 1), min(y0, hw[0] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _painted(panel: Panel, where: Flags, colour: Rgb) -> Panel:
    """A line of one colour with a dark rim, which keeps it visible on any photo."""
    rim = cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    panel = np.where(rim[..., None], _pixels(_tinted(_floats(panel), OUTLINE, 0.75)), panel)
    return np.where(where[..., None], np.asarray(colour, np.uint8), panel)


# The strip. Its numbers are twice those of the page that shows it, for screens with fine pixels.
CELL_WIDTH_PX, CELL_MAX_HEIGHT_PX = 320, 240
MARGIN_PX, GUTTER_PX = 40, 24
HEADER_PX, CAPTION_PX = 92, 56
CORNER_PX = 10
TITLE_PX, LEGEND_PX, TEXT_PX = 28, 18, 22
PAPER, CELL_GROUND, HAIRLINE = (0xFF, 0xFF, 0xFF), (0xEE, 0xF0, 0xF3), (0xD0, 0xD7, 0xDE)
INK, PALE_INK, ARROW = (0x1F, 0x23, 0x28), (0x59, 0x63, 0x6E), (0xA8, 0xB1, 0xBB)


PanelName = Literal["photo", "map", "pseudo", "mask", "box"]


@dataclass(frozen=True)
class Column:
    """A panel of each image: its title, then either a line of text or a key of colours."""

    panel: PanelName
    title: str
    draw: Callable[[Shown], Panel]
    text: str = ""
    key: tuple[tuple[Rgb, str], ...] = ()


PHOTO = Column("photo", "Photo", panel_photo, text="only its class is known")
BOX = Column("box", "Box", panel_boxes, key=((FOUND, "found"), (TRUE, "true, unseen in training")))
PSEUDO_KEY = ((FOUND, "object"), (BACKGROUND, "background"), (UNDECIDED, "undecided"))

COLUMNS = (
    PHOTO,
    Column("map", "Map", panel_map, text="where the object shows"),
    Column("pseudo", "Pseudo mask", panel_pseudo, key=PSEUDO_KEY),
    Column("mask", "Mask", panel_mask, text="learned from pseudo masks"),
    BOX,
)
"""Of SPOL, whose stages have one each."""
OF_MAPS = (
    PHOTO,
    Column("map", "Map", panel_map, text="where the class shows"),
    Column("mask", "Mask", panel_mask, text="the map above the threshold"),
    BOX,
)
OF_BOXES = (PHOTO, BOX)


def columns_of(shown: Shown) -> tuple[Column, ...]:
    """What there is to show of an image, which is the same for all images of a run."""
    if shown.heatmap is None:
        return OF_BOXES
    return OF_MAPS if shown.cam is None else COLUMNS


LEFT_PX = tuple(MARGIN_PX + number * (CELL_WIDTH_PX + GUTTER_PX) for number in range(len(COLUMNS)))


def draw_strip(shown: Sequence[Shown]) -> Image.Image:
    """One row per image of a run, one column per panel, on white paper with a border: a card on light and on dark
    pages.
    """
    rows = [fitted(each) for each in shown]
    columns = columns_of(shown[0]) if shown else COLUMNS
    lefts = LEFT_PX[: len(columns)]
    width = lefts[-1] + CELL_WIDTH_PX + MARGIN_PX
    # The last caption and the margin share their empty space.
    height = 2 * MARGIN_PX + HEADER_PX + sum(row.photo.shape[0] + CAPTION_PX for row in rows) - TEXT_PX // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, 0, width - 1, height - 1), outline=HAIRLINE, width=2)
    for column, left in zip(columns, lefts, strict=True):
        _head(pen, column, left)
    for left in lefts[1:]:
        _arrow(pen, left)
    top = MARGIN_PX + HEADER_PX
    for row in rows:
        for column, left in zip(columns, lefts, strict=True):
            _place(sheet, column.draw(row), (left, top))
        top += row.photo.shape[0]
        _captions(pen, row, lefts[-1], top + 12)
        top += CAPTION_PX
    return sheet


def fitted(shown: Shown) -> Shown:
    """The same at a cell's size, so that lines drawn later are as thick on a small image as on a large one."""
    height, width = shown.photo.shape[:2]
    scale = min(CELL_WIDTH_PX / width, CELL_MAX_HEIGHT_PX / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image_height, image_width = shown.image_hw
    scales = np.asarray([size[0] / image_width, size[1] / image_height] * 2)

    def smooth(plane: Plane) -> Float32[np.ndarray, "new_height new_width"]:
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    def smooth_if_there(plane: Plane | None) -> Float32[np.ndarray, "new_height new_width"] | None:
        return None if plane is None else smooth(plane)

    return replace(
        shown,
        image_hw=size[::-1],
        photo=np.asarray(Image.fromarray(shown.photo).resize(size, Image.Resampling.LANCZOS)),
        cam=smooth_if_there(shown.cam),
        foreground=smooth_if_there(shown.foreground),
        known=smooth_if_there(shown.known),
        heatmap=smooth_if_there(shown.heatmap),
        mask=smooth(shown.mask.astype(np.float32)) > 0.5,
        boxes=Boxes(shown.boxes.xyxy * scales),
        annotated_boxes=Boxes(shown.annotated_boxes.xyxy * scales),
    )


def _place(sheet: Image.Image, panel: Panel, at: tuple[int, int]) -> None:
    """Paste a panel into the middle of a cell of its height, with round corners."""
    cell = Image.new("RGB", (CELL_WIDTH_PX, panel.shape[0]), CELL_GROUND)
    cell.paste(Image.fromarray(panel), ((CELL_WIDTH_PX - panel.shape[1]) // 2, 0))
    fine = Image.new("L", (4 * cell.width, 4 * cell.height))
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, fine.width - 1, fine.height - 1), 4 * CORNER_PX, fill=255)
    sheet.paste(cell, at, fine.resize(cell.size, Image.Resampling.BOX))


def _head(pen: ImageDraw.ImageDraw, column: Column, left: int) -> None:
    """The title, and what the panels or their colours mean."""
    pen.text((left, MARGIN_PX + 18), column.title, INK, ImageFont.load_default(TITLE_PX), anchor="lm")
    font = ImageFont.load_default(LEGEND_PX)
    x, middle = float(left), MARGIN_PX + 56
    pen.text((x, middle), column.text, PALE_INK, font, anchor="lm")
    for colour, name in column.key:
        pen.rounded_rectangle((x, middle - 7, x + 14, middle + 7), 4, fill=colour)
        pen.text((x + 19, middle), name, PALE_INK, font, anchor="lm")
        x += 19 + font.getlength(name) + 11


def _arrow(pen: ImageDraw.ImageDraw, left: int) -> None:
    """From the column before to the one that begins at `left`."""
    tip, middle = left - 14, MARGIN_PX + 18
    pen.line((tip - 44, middle, tip, middle), ARROW, 2)
    pen.line(((tip - 8, middle - 7), (tip, middle), (tip - 8, middle + 7)), ARROW, 2, joint="curve")


def _captions(pen: ImageDraw.ImageDraw, shown: Shown, left_of_boxes: int, top: int) -> None:
    """The class under the photo, the judgement under the boxes."""
    font = ImageFont.load_default(TEXT_PX)
    pen.text((MARGIN_PX, top), _shortened(_writable(shown.class_name), font), INK, font)
    pen.text((left_of_boxes, top), _judgement(shown), INK, font)


def _judgement(shown: Shown) -> str:
    if not len(shown.boxes):
        return "nothing found"
    return "" if shown.iou is None else f"IoU {shown.iou:.2f}"


def _writable(text: str) -> str:
    """The letters that Pillow's own font has: it knows ASCII, so accents fall off and other scripts are left out."""
    return " ".join(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().split())


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= CELL_WIDTH_PX:
        return text
    while text and font.getlength(text + "...") > CELL_WIDTH_PX:
        text = text[:-1]
    return text.rstrip() + "..."
