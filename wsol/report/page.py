"""A run as one HTML file that needs no network: the numbers, the pictures worst first, and what made them."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from wsol.folders import write_text
from wsol.metrics.localization import CORRECT_IOU
from wsol.report.gallery import Shown
from wsol.report.html import data_uri, environment, own_text
from wsol.report.strip import COLUMNS, Panel, Rgb
from wsol.version import __version__


@dataclass(frozen=True)
class Picture:
    """One panel, ready for an `<img>`."""

    title: str
    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """One picture of the gallery."""

    shown: Shown
    class_number: int
    pictures: tuple[Picture, ...]


def write_page(
    path: Path,
    *,
    title: str,
    note: str,
    table: Sequence[Sequence[str]],
    shown: Sequence[Shown],
    facts: Mapping[str, str],
) -> None:
    """Write a page that shows `table` (first row: its header) beside `note`, then pictures, then `facts`.

    Names come from file systems and may hold markup: everything is escaped, and the page's own policy runs no script
    but the page's and fetches nothing.
    """
    per_class = Counter(each.class_name for each in shown)
    numbers = {name: number for number, name in enumerate(sorted(per_class))}
    worst_first = sorted(shown, key=lambda each: (each.iou, each.score, each.image_id))
    script = own_text("page.js")
    page = _environment().from_string(own_text("page.html.j2"))
    text = page.render(
        title=title,
        note=note,
        table=table,
        number_columns=_number_columns(table[1:]),
        facts=facts,
        classes=[(numbers[name], name, per_class[name]) for name in numbers],
        cards=[Card(each, numbers[each.class_name], _pictures(each)) for each in worst_first],
        columns=COLUMNS,
        correct_iou=CORRECT_IOU,
        correct=sum(each.iou >= CORRECT_IOU for each in shown),
        not_found=sum(each.box is None for each in shown),
        version=__version__,
        style=Markup(own_text("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(path, text)


def _environment() -> Environment:
    ours = environment()
    ours.filters["hex"] = _hex
    return ours


def _hex(colour: Rgb) -> str:
    return "#" + bytes(colour).hex()


def _number_columns(rows: Sequence[Sequence[str]]) -> set[int]:
    """The columns that belong to the right: those whose cells, where they are not empty, begin with a number."""
    columns = enumerate(zip(*rows, strict=False))
    starts = {i: {cell.lstrip("+-\u2212")[:1].isdigit() for cell in cells if cell} for i, cells in columns}
    return {i for i, is_number in starts.items() if is_number == {True}}


def _pictures(shown: Shown) -> tuple[Picture, ...]:
    """The columns of the strip, each with what a person who cannot see it would want to hear."""
    return tuple(
        _picture(column.title, alt, column.draw(shown)) for column, alt in zip(COLUMNS, _alts(shown), strict=True)
    )


def _picture(title: str, alt: str, panel: Panel) -> Picture:
    return Picture(title, alt, data_uri(panel), panel.shape[1], panel.shape[0])


def _alts(shown: Shown) -> tuple[str, str, str, str, str]:
    undecided = float((shown.known < 0.5).mean())
    is_object = float(((shown.known >= 0.5) & (shown.foreground >= 0.5)).mean())
    truths = f"true box{'es' if len(shown.true_boxes) > 1 else ''}"
    return (
        f"photo labelled {shown.class_name}",
        f"heat over the photo where the network looks for {shown.class_name}, {_where(shown)}",
        f"pseudo mask: {is_object:.0%} object, {undecided:.0%} undecided, {1 - is_object - undecided:.0%} background",
        f"mask over {float(shown.mask.mean()):.0%} of the photo" if shown.mask.any() else "empty mask",
        f"no box found, {truths} only" if shown.box is None else f"box against {truths}, IoU {shown.iou:.2f}",
    )


def _where(shown: Shown) -> str:
    """The warmest place, in thirds of the photo."""
    height, width = shown.cam.shape
    row, column = divmod(int(shown.cam.argmax()), width)
    if shown.cam[row, column] <= 0:
        return "cold everywhere"
    down = ("top", "middle", "bottom")[3 * row // height]
    across = ("left", "centre", "right")[3 * column // width]
    return f"warmest at the {down} {across}"
