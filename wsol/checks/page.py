"""The findings of `wsol check` as one HTML file that needs no network: images by kind, the most severe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from wsol.checks.findings import Finding, Findings, Item
from wsol.config.image import Decoding
from wsol.data.images import read_square
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage
from wsol.reports.html import data_uri, environment, own_text
from wsol.storage.folders import write_text
from wsol.version import __version__

MAX_ITEMS, MAX_IMAGES = 24, 6
"""Items of each kind, and images of each item: a page of some hundred images stays below some megabytes."""
SIZE_PX = 160


@dataclass(frozen=True)
class PageImage:
    """One image of the page; `uri` is None if it cannot be decoded."""

    image_id: str
    class_name: str
    uri: str | None
    width: int = SIZE_PX
    height: int = SIZE_PX


@dataclass(frozen=True)
class PageItem:
    """One item: its details, the first of its images, and how many more there are."""

    what: str
    images: tuple[PageImage, ...]
    more: int


def write_check_page(path: Path, findings: Findings) -> None:
    """Write the page; names of files and classes are escaped."""
    page = environment().from_string(own_text("page.html.j2", __package__))
    text = page.render(
        title=f"Check of {findings.data.root}",
        note=findings.data.describe(),
        found=[(number, finding, _page_items(finding, findings.data)) for number, finding in enumerate(findings.found)],
        version=__version__,
        style=Markup(own_text("page.css") + own_text("page.css", __package__)),
    )
    write_text(path, text)


def _page_items(finding: Finding, data: DataSet) -> list[PageItem]:
    # Images outside the class folders have no label.
    names = ("in no class",) * len(data.class_names) if finding.kind == "not used" else data.class_names
    return [_page_item(item, names, data.image) for item in finding.items[:MAX_ITEMS]]


def _page_item(item: Item, class_names: Sequence[str], decoding: Decoding) -> PageItem:
    first = item.samples[:MAX_IMAGES]
    images = tuple(_page_image(sample, class_names[sample.label], decoding) for sample in first)
    return PageItem(item.what, images, len(item.samples) - len(first))


def _page_image(sample: Sample, class_name: str, decoding: Decoding) -> PageImage:
    try:
        squashed, (height, width) = read_square(sample.path, SIZE_PX, decoding)
    except BrokenImage:
        return PageImage(sample.image_id, class_name, None)
    scale = min(1.0, SIZE_PX / max(height, width))
    page_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    pixels = np.asarray(Image.fromarray(squashed).resize(page_wh, Image.Resampling.LANCZOS))
    return PageImage(sample.image_id, class_name, data_uri(pixels), *page_wh)
