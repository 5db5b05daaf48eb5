"""The report as one HTML file that needs no network: the numbers, the images, and what made them."""

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
from wsol.metrics.localization import CORRECT_IOU
from wsol.reports import charts
from wsol.reports.charts import Chart
from wsol.reports.gallery import Plane, Shown
from wsol.reports.html import data_uri, environment, own_text
from wsol.reports.panels import BACKGROUND, FOUND, HATCH, TRUE, UNDECIDED, Column, PanelName, Rgb, columns_of, warmth_of
from wsol.storage.folders import write_text
from wsol.text import number_of
from wsol.version import __version__

MAP_SIDE_PX = 64
"""Maps go into the page with their longer side at most this long, a byte a place. Those of the default networks are
32."""
PORTION = 50
"""So many images are in the page when it opens; the rest lie in a template, from which a script takes them, so many at
a time."""
MAKER = "wsol report"
"""How a page says what wrote it."""


@dataclass(frozen=True)
class Table:
    """Words in rows; the first row is the header."""

    title: str
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @property
    def number_columns(self) -> set[int]:
        """The columns that belong to the right: those whose cells, where they are not empty, begin with a number. Names
        come first.
        """
        columns = enumerate(zip(*self.rows[1:], strict=False))
        starts = {i: {cell.lstrip("+-\u2212")[:1].isdigit() for cell in cells if cell} for i, cells in columns}
        return {i for i, is_number in starts.items() if i > 0 and is_number == {True}}


@dataclass(frozen=True)
class Tile:
    """A figure in large letters."""

    value: str
    what: str
    """In plain words."""
    name: str
    """What the field calls it, and how sure it is."""


@dataclass(frozen=True)
class Card:
    """One image of the gallery as the template takes it. Without its pixels: a thousand fit in memory."""

    image_id: str
    class_name: str
    predicted_name: str | None
    score: float | None
    iou: float | None
    image_hw: tuple[int, int]
    photo: str
    photo_wh: tuple[int, int]
    heat: str
    """The maps as codes, empty where there is none."""
    cam: str
    pseudo: str
    boxes: tuple[str, ...]
    """Each x0 y0 x1 y1 in pixels of the upright image."""
    annotated_boxes: tuple[str, ...]
    columns: tuple[Column, ...]
    """The panels that there are."""
    alts: tuple[str, ...]
    """What each shows, in words."""


@dataclass(frozen=True)
class Rates:
    """What each threshold finds, in percent: at 0.01, 0.02, ... 0.99, and at the run's own; of `n` images."""

    hundredths: Sequence[float]
    own: float
    n: int


@dataclass(frozen=True)
class Page:
    """What a report says."""

    title: str
    box: Box
    """How boxes were made of maps."""
    cards: Sequence[Card]
    notes: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    losses: Sequence[Chart] = ()
    rates: Rates | None = None
    per_class: Table | None = None
    """Its first column holds class names."""
    facts: Mapping[str, str] = field(default_factory=dict)
    licences: Sequence[tuple[str, str, str]] = ()
    config: str = ""
    left_out: Sequence[str] = ()
    """Why images are not shown, or not judged."""


def card_of(shown: Shown) -> Card:
    """An image as text."""
    height, width = shown.photo.shape[:2]
    columns = columns_of(shown)
    return Card(
        image_id=shown.image_id,
        class_name=shown.class_name,
        predicted_name=shown.predicted_name,
        score=shown.score,
        iou=shown.iou,
        image_hw=shown.image_hw,
        photo=data_uri(shown.photo),
        photo_wh=(width, height),
        heat="" if shown.heatmap is None else coded_map(shown.heatmap),
        cam="" if shown.cam is None else coded_map(shown.cam),
        pseudo="" if shown.foreground is None or shown.known is None else _coded_pseudo(shown.foreground, shown.known),
        boxes=_corners(shown.boxes),
        annotated_boxes=_corners(shown.annotated_boxes),
        columns=columns,
        alts=tuple(WORDS[column.panel](shown) for column in columns),
    )


def write_page(path: Path, page: Page) -> None:
    """Write the page, whole or not at all; worst first, or least confident first where no IoU is known.

    Names come from file systems and may hold markup: everything is escaped, and the page's own policy runs no script
    but the page's and fetches nothing.
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
            has_scores=any(card.score is not None for card in page.cards),
            plot=charts,
            correct_iou=CORRECT_IOU,
            known=len(known),
            correct=sum(fit >= CORRECT_IOU for fit in known),
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
    ours = environment()
    ours.filters["hex"] = _hex
    return ours


def _hex(colour: Rgb) -> str:
    return "#" + bytes(colour).hex()


def _settings(page: Page) -> dict[str, object]:
    """What the script has to know."""
    inferno = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    return {
        "portion": PORTION,
        "threshold": page.box.threshold,
        "objects": page.box.objects,
        "minArea": page.box.min_area,
        "rates": None if page.rates is None else vars(page.rates),
        "colours": {"found": FOUND, "background": BACKGROUND, "undecided": UNDECIDED, "hatch": HATCH, "true": TRUE},
        "inferno": base64.b64encode(inferno.tobytes()).decode(),
    }


def coded_map(plane: Plane) -> str:
    """A map in [0, 1] as `HEIGHTxWIDTH:` and a byte for each place."""
    height, width = plane.shape
    scale = MAP_SIDE_PX / max(height, width)
    if scale < 1:
        smaller = max(round(width * scale), 1), max(round(height * scale), 1)
        plane = np.asarray(cv2.resize(plane, smaller, interpolation=cv2.INTER_AREA))
    return _coded(np.rint(np.nan_to_num(plane).clip(0, 1) * 255).astype(np.uint8))


def _coded_pseudo(foreground: Plane, known: Plane) -> str:
    """A pseudo mask in the same way, with 0 for background, 1 for object, and 2 for undecided."""
    side = MAP_SIDE_PX, MAP_SIDE_PX
    inside, decided = (
        cv2.resize(plane, side, interpolation=cv2.INTER_AREA) >= 0.5 for plane in (foreground * known, known)
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


def _photo_in_words(shown: Shown) -> str:
    return f"photo labelled {shown.class_name}"


def _map_in_words(shown: Shown) -> str:
    warmth = warmth_of(shown)
    assert warmth is not None
    return f"heat over the photo where the network looks for {shown.class_name}, {_where(warmth)}"


def _pseudo_in_words(shown: Shown) -> str:
    assert shown.foreground is not None and shown.known is not None
    undecided = float((shown.known < 0.5).mean())
    is_object = float(((shown.known >= 0.5) & (shown.foreground >= 0.5)).mean())
    return f"pseudo mask: {is_object:.0%} object, {undecided:.0%} undecided, {1 - is_object - undecided:.0%} background"


def _mask_in_words(shown: Shown) -> str:
    return f"mask over {float(shown.mask.mean()):.0%} of the photo" if shown.mask.any() else "empty mask"


def _boxes_in_words(shown: Shown) -> str:
    truths = {0: "", 1: "true box"}.get(len(shown.annotated_boxes), "true boxes")
    if not len(shown.boxes):
        return f"no box found, {truths} only" if truths else "no box found"
    if shown.iou is None:
        return f"{number_of(len(shown.boxes), 'box')} found"
    return f"box against {truths}, IoU {shown.iou:.2f}"


WORDS: dict[PanelName, Callable[[Shown], str]] = {
    "photo": _photo_in_words,
    "map": _map_in_words,
    "pseudo": _pseudo_in_words,
    "mask": _mask_in_words,
    "box": _boxes_in_words,
}
"""What a person who cannot see a panel would want to hear."""


def _where(warmth: Plane) -> str:
    """The warmest place, in thirds of the photo."""
    height, width = warmth.shape
    row, column = divmod(int(warmth.argmax()), width)
    if warmth[row, column] <= 0:
        return "cold everywhere"
    down = ("top", "middle", "bottom")[3 * row // height]
    across = ("left", "centre", "right")[3 * column // width]
    return f"warmest at the {down} {across}"
