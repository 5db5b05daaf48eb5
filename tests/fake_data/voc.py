"""PASCAL VOC as published: Annotations, JPEGImages, ImageSets/Main."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from fake_data.images import write_image

Object = tuple[str, float | str, float | str, float | str, float | str]
"""Name, xmin, ymin, xmax, ymax as written to the file."""


def write_xml(
    path: Path,
    objects: Sequence[Object],
    image_hw: tuple[int, int] | None = (30, 40),
    file_name: str | None = None,
    folder: str = "VOC2012",
) -> Path:
    """One annotation; no `<size>` if `image_hw` is None."""
    name = path.with_suffix(".jpg").name if file_name is None else file_name
    size = "" if image_hw is None else f"<width>{image_hw[1]}</width><height>{image_hw[0]}</height><depth>3</depth>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""<annotation>
	<folder>{escape(folder)}</folder>
	<filename>{escape(name)}</filename>
	<source><database>The VOC2007 Database</database><annotation>PASCAL VOC2007</annotation></source>
	{f"<size>{size}</size>" if size else ""}
	<segmented>0</segmented>
{"".join(map(_object, objects))}</annotation>
""",
        encoding="utf-8",
    )
    return path


def write_voc(
    root: Path, objects: Mapping[str, Sequence[Object]], lists: Mapping[str, Sequence[str]] | None = None
) -> None:
    """The tree: annotations and images by stem, and the lists of `ImageSets/Main`."""
    for stem, found in objects.items():
        write_xml(root / "Annotations" / f"{stem}.xml", found)
        write_image(root / "JPEGImages" / f"{stem}.jpg")
    for name, stems in (lists or {}).items():
        table = root / "ImageSets" / "Main" / f"{name}.txt"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("".join(f"{stem}\n" for stem in stems))


def _object(one: Object) -> str:
    name, *corners = one
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    return f"""	<object>
		<name>{escape(name)}</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>1</difficult>
		<bndbox>{edges}</bndbox>
		<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
	</object>
"""
