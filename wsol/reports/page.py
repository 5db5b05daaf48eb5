"""The report as one HTML file that needs no network: the numbers, the images and the provenance."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from wsol.config.options import Box
from wsol.geometry.boxes import Boxes
from wsol.geometry.objects import resized
from wsol.metrics.localization import CORRECT_IOU
from wsol.reports import charts
from wsol.reports.charts import Chart
from wsol.reports.gallery import GalleryItem
from wsol.reports.html import data_uri, environment, own_text
from wsol.reports.panels import (
    BACKGROUND,
    FOUND,
    GROUND_TRUTH,
    HATCH,
    UNDECIDED,
    Column,
    PanelName,
    Rgb,
    columns_of,
    warmth_of,
)
from wsol.reports.pseudo_masks import Plane
from wsol.storage.folders import write_text
from wsol.text import number_of
from wsol.version import __version__

MAP_SIZE_PX = 64
"""Longest edge of the maps in the page, one byte per pixel. The maps of the default networks are 32 x 32."""
LEVEL_SIZE_PX = 32
"""The same for the maps of single levels, which are many."""
PORTION = 50
"""Number of images in the page when it opens; a script adds the rest from a template, this many at a time."""
MAKER = "wsol report"
"""Start of the page's `generator` tag, by which a later report recognizes it."""


@dataclass(frozen=True)
class Table:
    """Rows of text cells; the first row is the header."""

    title: str
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @property
    def number_columns(self) -> set[int]:
        """Columns to align right: those whose cells are empty or begin with a number. The first column holds names."""
        columns = enumerate(zip(*self.rows[1:], strict=False))
        starts = {i: {cell.lstrip("+-\u2212")[:1].isdigit() for cell in cells if cell} for i, cells in columns}
        return {i for i, is_number in starts.items() if i > 0 and is_number == {True}}


@dataclass(frozen=True)
class Tile:
    """One number in large type."""

    value: str
    what: str
    """In everyday words."""
    name: str
    """The metric's name and its 95 % interval."""


@dataclass(frozen=True)
class Card:
    """One image of the gallery for the template, encoded as text: a thousand fit in memory."""

    image_id: str
    class_name: str
    predicted_name: str | None
    score: float | None
    iou: float | None
    image_hw: tuple[int, int]
    photo: str
    photo_wh: tuple[int, int]
    heat: str
    """The maps, encoded (see `coded_map`); empty if there is none."""
    cam: str
    pseudo: str
    gaussian: str
    cam_levels: str
    """The maps of single levels, encoded, with a space between; empty if there are none."""
    seg_levels: str
    boxes: tuple[str, ...]
    """Each x0 y0 x1 y1 in pixels of the upright image."""
    annotated_boxes: tuple[str, ...]
    columns: tuple[Column, ...]
    """The panels that the method has."""
    alts: tuple[str, ...]
    """Alternative text of each panel."""


@dataclass(frozen=True)
class Rates:
    """Correct boxes in percent of `n` images: at the thresholds 0.01, 0.02, ... 0.99, and at the run's own."""

    hundredths: Sequence[float]
    own: float
    n: int


@dataclass(frozen=True)
class Page:
    """Contents of a report."""

    title: str
    box: Box
    """How boxes are cut from maps."""
    cards: Sequence[Card]
    notes: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    losses: Sequence[Chart] = ()
    rates: Rates | None = None
    per_class: Table | None = None
    """Its first column holds class names."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    licences: Sequence[tuple[str, str, str]] = ()
    config: str = ""
    left_out: Sequence[str] = ()
    """Why images are not shown or not evaluated."""


def card_of(item: GalleryItem) -> Card:
    """Encode an image of the gallery as text.

    Args:
        item: the image with the outputs of the run.

    Returns:
        Its card, without pixel arrays.
    """
    height, width = item.photo.shape[:2]
    columns = columns_of(item)
    return Card(
        image_id=item.image_id,
        class_name=item.class_name,
        predicted_name=item.predicted_name,
        score=item.score,
        iou=item.iou,
        image_hw=item.image_hw,
        photo=data_uri(item.photo),
        photo_wh=(width, height),
        heat="" if item.heatmap is None else coded_map(item.heatmap),
        cam="" if item.cam is None else coded_map(item.cam),
        pseudo="" if item.foreground is None or item.known is None else _coded_pseudo(item.foreground, item.known),
        gaussian="" if item.gaussian is None else coded_map(item.gaussian),
        cam_levels=_coded_levels(item.cam_levels),
        seg_levels=_coded_levels(item.heatmap_levels),
        boxes=_corners(item.boxes),
        annotated_boxes=_corners(item.annotated_boxes),
        columns=columns,
        alts=tuple(ALT_TEXTS[column.panel](item) for column in columns),
    )


def write_page(path: Path, page: Page) -> None:
    """Write the page; the file appears only when it is complete.

    Images are in the order of their IoU, the lowest first; without any IoU, in the order of their score. Names come
    from file systems and may hold markup: everything is escaped, and the content security policy allows only the page's
    own script and no network access.

    Args:
        path: the file to write.
        page: the contents.
    """
    per_class = Counter(card.class_name for card in page.cards)
    numbers = {name: number for number, name in enumerate(sorted(per_class))}
    known = [card.iou for card in page.cards if card.iou is not None]
    script = own_text("maps.js") + own_text("page.js")
    text = (
        _environment()
        .from_string(own_text("page.html.j2"))
        .render(
            page=page,
            maker=f"{MAKER} {__version__}",
            cards=sorted(page.cards, key=_worst_first),
            classes=[(numbers[name], name, per_class[name]) for name in numbers],
            numbers=numbers,
            portion=PORTION,
            settings=json.dumps(_settings(page)),
            columns=page.cards[0].columns if page.cards else (),
            has_maps=any(card.heat for card in page.cards),
            has_levels=any(card.cam_levels or card.seg_levels for card in page.cards),
            has_scores=any(card.score is not None for card in page.cards),
            plot=charts,
            correct_iou=CORRECT_IOU,
            known=len(known),
            correct=sum(iou >= CORRECT_IOU for iou in known),
            not_found=sum(not card.boxes for card in page.cards),
            misnamed=sum(card.predicted_name not in (None, card.class_name) for card in page.cards),
            version=__version__,
            style=Markup(own_text("page.css") + own_text("report.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    write_text(path, text)


def _worst_first(card: Card) -> tuple[float, float, str]:
    return 2.0 if card.iou is None else card.iou, card.score or 0.0, card.image_id


def _environment() -> Environment:
    with_hex = environment()
    with_hex.filters["hex"] = _hex
    return with_hex


def _hex(colour: Rgb) -> str:
    return "#" + bytes(colour).hex()


def _settings(page: Page) -> dict[str, object]:
    """Settings for the script."""
    inferno = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    return {
        "portion": PORTION,
        "threshold": page.box.threshold,
        "objects": page.box.objects,
        "minArea": page.box.min_area,
        "rates": None if page.rates is None else vars(page.rates),
        "colours": {
            "found": FOUND,
            "background": BACKGROUND,
            "undecided": UNDECIDED,
            "hatch": HATCH,
            "true": GROUND_TRUTH,
        },
        "inferno": base64.b64encode(inferno.tobytes()).decode(),
    }


def coded_map(plane: Plane, size_px: int = MAP_SIZE_PX) -> str:
    """Encode a map as text.

    Args:
        plane: values in [0, 1]; a larger map is first reduced.
        size_px: its longest edge in the page.

    Returns:
        `HEIGHTxWIDTH:` and base64, one byte per pixel.
    """
    height, width = plane.shape
    scale = size_px / max(height, width)
    if scale < 1:
        smaller = max(round(width * scale), 1), max(round(height * scale), 1)
        plane = np.asarray(cv2.resize(plane, smaller, interpolation=cv2.INTER_AREA))
    return _coded(np.rint(np.nan_to_num(plane).clip(0, 1) * 255).astype(np.uint8))


def _coded_levels(planes: Sequence[Plane]) -> str:
    return " ".join(coded_map(plane, LEVEL_SIZE_PX) for plane in planes)


def _coded_pseudo(foreground: Plane, known: Plane) -> str:
    """Encode a pseudo mask in the same way with two bits per pixel: 0 background, 1 object, 2 undecided."""
    size = MAP_SIZE_PX, MAP_SIZE_PX
    inside, decided = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA) >= 0.5 for plane in (foreground * known, known)
    )
    return _coded(np.where(decided, inside, 2).astype(np.uint8), bits=2)


def _coded(values: np.ndarray, bits: int = 8) -> str:
    height, width = values.shape
    if bits == 2:
        four = values.reshape(-1, 4)
        values = four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6
    return f"{height}x{width}:{base64.b64encode(values.astype(np.uint8).tobytes()).decode()}"


def _corners(boxes: Boxes) -> tuple[str, ...]:
    return tuple(" ".join(f"{edge:g}" for edge in row) for row in boxes.xyxy.round(1).tolist())


def _photo_text(item: GalleryItem) -> str:
    return f"photo labelled {item.class_name}"


def _map_text(item: GalleryItem) -> str:
    warmth = warmth_of(item)
    assert warmth is not None
    return f"heat map of {item.class_name} over the photo, {_where(warmth)}"


def _gaussian_text(item: GalleryItem) -> str:
    assert item.gaussian is not None
    return f"Gaussian prior over the photo, {_where(item.gaussian)}"


def _combined_text(item: GalleryItem) -> str:
    assert item.gaussian is not None
    return f"larger of map and Gaussian, above one half on {float((_combined(item) > 0.5).mean()):.0%} of the photo"


def _combined(item: GalleryItem) -> Plane:
    assert item.cam is not None and item.gaussian is not None
    height, width = item.gaussian.shape
    return np.asarray(np.maximum(resized(item.cam, (height, width)), item.gaussian))


def _pseudo_text(item: GalleryItem) -> str:
    assert item.foreground is not None and item.known is not None
    undecided = float((item.known < 0.5).mean())
    is_object = float(((item.known >= 0.5) & (item.foreground >= 0.5)).mean())
    return f"pseudo mask: {is_object:.0%} object, {undecided:.0%} undecided, {1 - is_object - undecided:.0%} background"


def _mask_text(item: GalleryItem) -> str:
    return f"mask over {float(item.mask.mean()):.0%} of the photo" if item.mask.any() else "empty mask"


def _boxes_text(item: GalleryItem) -> str:
    annotated = {0: "", 1: "annotated box"}.get(len(item.annotated_boxes), "annotated boxes")
    if not len(item.boxes):
        return f"no box found, {annotated} only" if annotated else "no box found"
    if item.iou is None:
        return f"{number_of(len(item.boxes), 'box')} found"
    return f"box and {annotated}, IoU {item.iou:.2f}"


ALT_TEXTS: dict[PanelName, Callable[[GalleryItem], str]] = {
    "photo": _photo_text,
    "map": _map_text,
    "gaussian": _gaussian_text,
    "combined": _combined_text,
    "pseudo": _pseudo_text,
    "mask": _mask_text,
    "box": _boxes_text,
}
"""Alternative text of a panel."""


def _where(warmth: Plane) -> str:
    """Position of the map's maximum, in thirds of the photo."""
    height, width = warmth.shape
    row, column = divmod(int(warmth.argmax()), width)
    if warmth[row, column] <= 0:
        return "zero everywhere"
    down = ("top", "middle", "bottom")[3 * row // height]
    across = ("left", "centre", "right")[3 * column // width]
    return f"highest at the {down} {across}"
