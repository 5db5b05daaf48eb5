"""What `wsol check` found as one HTML file that needs no network: images grouped by kind, the worst kind first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from wsol.checks.findings import Finding, Findings, Item
from wsol.data.images import read_square
from wsol.data.samples import Sample
from wsol.errors import BrokenImage
from wsol.reports.html import data_uri, environment, own_text
from wsol.storage.folders import write_text
from wsol.version import __version__

SHOWN_ITEMS, SHOWN_OF_GROUP = 24, 6
"""Of each kind, and of a group of duplicates: a page of some hundred images stays below some megabytes."""
SIZE_PX = 160


@dataclass(frozen=True)
class Shown:
    """One image of the page; without `uri` where it cannot be decoded."""

    image_id: str
    class_name: str
    uri: str | None
    width: int = SIZE_PX
    height: int = SIZE_PX


@dataclass(frozen=True)
class Group:
    """One item: what it says, the images it is about, and how many more there are."""

    what: str
    shown: tuple[Shown, ...]
    more: int


def write_check_page(path: Path, findings: Findings) -> None:
    """Write the page; whatever a file or class is called, it stays text."""
    page = environment().from_string(own_text("page.html.j2", __package__))
    text = page.render(
        title=f"Check of {findings.data.root}",
        note=findings.data.describe(),
        found=[
            (number, finding, _groups(finding, findings.data.class_names))
            for number, finding in enumerate(findings.found)
        ],
        version=__version__,
        style=Markup(own_text("page.css") + own_text("page.css", __package__)),
    )
    write_text(path, text)


def _groups(finding: Finding, class_names: Sequence[str]) -> list[Group]:
    # What lies in no class has no label either.
    names = ("in no class",) * len(class_names) if finding.kind == "not used" else class_names
    return [_group(item, names) for item in finding.items[:SHOWN_ITEMS]]


def _group(item: Item, class_names: Sequence[str]) -> Group:
    first = item.samples[:SHOWN_OF_GROUP]
    shown = tuple(_shown(sample, class_names[sample.label]) for sample in first)
    return Group(item.what, shown, len(item.samples) - len(first))


def _shown(sample: Sample, class_name: str) -> Shown:
    try:
        squashed, (height, width) = read_square(sample.path, SIZE_PX)
    except BrokenImage:
        return Shown(sample.image_id, class_name, None)
    scale = min(1.0, SIZE_PX / max(height, width))
    shown_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    pixels = np.asarray(Image.fromarray(squashed).resize(shown_wh, Image.Resampling.LANCZOS))
    return Shown(sample.image_id, class_name, data_uri(pixels), *shown_wh)
