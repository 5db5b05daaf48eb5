"""CVAT for images 1.1: annotations.xml beside images of 30 rows and 40 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from fake_data.images import write_image

HW = (30, 40)
SHARED = 'occluded="0" source="manual" z_order="0"'


def box(label: str, x0: float, y0: float, x1: float, y1: float, more: str = "") -> str:
    return (
        f'<box label={quoteattr(label)} {SHARED} xtl="{x0:.2f}" ytl="{y0:.2f}" xbr="{x1:.2f}" ybr="{y1:.2f}" {more}>'
        '<attribute name="tail">long</attribute></box>'
    )


def polygon(label: str, *points: tuple[float, float]) -> str:
    written = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon label={quoteattr(label)} {SHARED} points="{written}"></polygon>'


def mask(label: str, runs: str, left: int, top: int, width: int, height: int) -> str:
    crop = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'<mask label={quoteattr(label)} {SHARED} rle="{runs}" {crop}></mask>'


def tag(label: str) -> str:
    return f'<tag label={quoteattr(label)} source="manual"></tag>'


SHAPES = {
    "1.jpg": box("hawk", 4, 9, 16, 21),
    "2.jpg": box("owl", 4, 9, 16, 21) + polygon("owl", (4, 6), (20, 6), (20, 18), (4, 18)),
    "night/3.jpg": mask("owl", "1, 3, 2, 2", 5, 6, 4, 2),
}
"""A box; a box and a polygon; a mask of the pixels 6,6 to 9,7 and 7,7 to 9,8."""


def write_cvat_xml(file: Path, shapes: Mapping[str, str], subsets: Mapping[str, str] | None = None) -> Path:
    """The XML file; `subsets` by the name of the image, as in the export of a project."""
    images = "".join(
        f'<image id="{number}" name={quoteattr(name)} {_subset(subsets, name)}width="{HW[1]}" height="{HW[0]}">\n'
        f"{found}\n</image>\n"
        for number, (name, found) in enumerate(shapes.items())
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    meta = "<meta><task><name>birds</name><labels><label><name>owl</name></label></labels></task></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    file.write_text(f"{head}{meta}\n{images}</annotations>\n", encoding="utf-8")
    return file


def write_cvat(root: Path, shapes: Mapping[str, str] = SHAPES, subsets: Mapping[str, str] | None = None) -> Path:
    """annotations.xml and images."""
    write_cvat_xml(root / "annotations.xml", shapes, subsets)
    for name in shapes:
        write_image(root / "images" / name, HW)
    return root


def _subset(subsets: Mapping[str, str] | None, name: str) -> str:
    return f"subset={quoteattr(subsets[name])} " if subsets else ""
