"""One PASCAL VOC XML file, unchanged: the origin of its corners differs between data sets, so readers convert them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from wsol.data.ground_truth import Collector
from wsol.data.image_files import ImageSizes
from wsol.data.samples import Sample
from wsol.data.untrusted import is_path, number_in, short_repr, size_of
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.storage.links import refuse_special

OTHER_SHAPES = ("polygon", "robndbox", "point", "polyline", "segm")
"""Elements that tools write for an object without an upright box."""


@dataclass(frozen=True)
class VocObject:
    """One `<object>`."""

    class_name: str
    """Empty if the file has no name."""
    corners: Xyxy
    """xmin, ymin, xmax, ymax as written; NaN if absent."""
    other: str = ""
    """The element of another tool instead of a `<bndbox>`, if any."""


@dataclass(frozen=True)
class VocXml:
    """The annotation of one image."""

    where: str
    """The file."""
    folder: str = ""
    file_name: str = ""
    image_hw: tuple[int, int] | None = None
    """(height, width); None if the file has no size, or 0."""
    objects: tuple[VocObject, ...] = ()


def parse(path: Path) -> VocXml:
    """Read a file. Parts of objects (a person's head) are not objects, and external entities are never fetched.

    Raises:
        WsolError: not readable, not XML, or XML of another kind.
    """
    refuse_special(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise WsolError(
            f"{path} is not XML ({error})", expected="<annotation>", remedy="Restore the file, or remove it."
        ) from None
    if root.tag != "annotation":
        raise WsolError(f"{path} holds <{root.tag}>", expected="<annotation>", remedy="Restore the file, or remove it.")
    for name in ("folder", "filename"):
        if not is_path(text := root.findtext(name, "")):
            raise WsolError(
                str(path), expected=f"the path of an image in <{name}>", got=short_repr(text), remedy="Fix the file."
            )
    return VocXml(
        str(path),
        root.findtext("folder", "").strip(),
        root.findtext("filename", "").strip(),
        _size(root.find("size")),
        tuple(_object(element) for element in root.findall("object")),
    )


def collect(
    ground_truth: Collector, sample: Sample, class_names: Collection[str], xml: VocXml, first_pixel: int
) -> None:
    """Add the objects of the image's classes to the collector.

    Args:
        ground_truth: the collector.
        sample: the image.
        class_names: its classes.
        xml: its annotation.
        first_pixel: 1 if corners are the first and the last pixel counted from 1, so that 1 is subtracted from xmin and
            ymin; else 0.
    """
    size = xml.image_hw or ImageSizes(ground_truth)(sample.path)
    if size is None:
        return
    if not xml.objects:
        ground_truth.note("no true box", xml.where, f"expected an object {_either(class_names)}, got none")
    for number, one in enumerate(xml.objects, start=1):
        where = f"{xml.where}, object {number}"
        if one.class_name not in class_names:
            ground_truth.note(
                "unknown class", where, f"expected {_either(class_names)}, the image's class, got {one.class_name!r}"
            )
            continue
        if one.other:
            ground_truth.note("no true box", where, f"expected <bndbox>, got only <{one.other}>")
            continue
        x0, y0, x1, y1 = one.corners
        corners = (x0 - first_pixel, y0 - first_pixel, x1, y1)
        ground_truth.add(sample.image_id, corners, size, where, one.class_name)


def _either(class_names: Collection[str]) -> str:
    return " or ".join(class_names)


def _object(element: ElementTree.Element) -> VocObject:
    box = element.find("bndbox")
    corners = _number(box, "xmin"), _number(box, "ymin"), _number(box, "xmax"), _number(box, "ymax")
    other = next((name for name in OTHER_SHAPES if element.find(name) is not None), "") if box is None else ""
    return VocObject(element.findtext("name", "").strip(), corners, other)


def _size(element: ElementTree.Element | None) -> tuple[int, int] | None:
    height, width = _number(element, "height"), _number(element, "width")
    return size_of(height, width)


def _number(element: ElementTree.Element | None, name: str) -> float:
    return math.nan if element is None else number_in(element.findtext(name, "nan"))
