"""CVAT for images 1.1: `annotations.xml`, with the images in `images`; boxes, polygons, masks, and tags as labels.

Other tools write `labels.xml` beside `data` (FiftyOne), or one file for each subset (Datumaro).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from wsol.data.ground_truth import Mistake
from wsol.data.image_files import image_root
from wsol.data.readers.annotated import AnnotatedImage, Split, data_set
from wsol.data.readers.cvat_shapes import shape_of
from wsol.data.readers.written_paths import WrittenPaths, parts_of
from wsol.data.samples import DataSet
from wsol.data.splits import split_of
from wsol.data.untrusted import number_in, short_repr, size_of
from wsol.errors import WsolError
from wsol.storage.links import refuse_special

KIND = "CVAT for images"
NAME = "annotations.xml"
MANY = 20
"""A folder with more XML files than this is of another tool, which writes one file per image."""
_BEGINNING = re.compile(r"<annotations\b")


def recognise(root: Path) -> bool:
    """Whether this is CVAT's XML file, or a folder with one or several."""
    return bool(_files(root))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images, labels and subsets; boxes, polygons and masks are read later.

    Args:
        root: the folder of annotations.xml, or the file.
        images: the folder of the images, if it is not `images` or `data` beside the file.

    Raises:
        WsolError: not XML, or annotations of a video.
    """
    files = _files(root)
    names = ["/".join(parts_of(one.get("name", ""))) for file in files for one in _elements(file)]
    home = files[0].parent
    candidates = (home / "images", home / "data", home) if images is None else (images,)
    paths = WrittenPaths(image_root(candidates, names))

    def read_images() -> Iterator[AnnotatedImage]:
        for file in files:
            split: Split = (split_of(file.stem) or "") if len(files) > 1 else ""
            for number, element in enumerate(_elements(file), start=1):
                yield _image(element, f"{file}, image {number}", paths, split)

    return data_set(KIND, root, read_images)


def _files(root: Path) -> list[Path]:
    """`annotations.xml`, else all files of CVAT in the folder."""
    if not root.is_dir():
        return [root] if _is_cvat(root) else []
    if _is_cvat(root / NAME):
        return [root / NAME]
    found = sorted(path for path in islice(root.glob("*.xml"), MANY + 1) if not path.name.startswith("."))
    return [path for path in found if _is_cvat(path)] if len(found) <= MANY else []


def _is_cvat(file: Path) -> bool:
    return file.suffix.lower() == ".xml" and file.is_file() and bool(_BEGINNING.search(_head(file)))


def _head(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(1000)


def _elements(file: Path) -> Iterator[Element]:
    """The images of a file, one after the other, so that a large file needs little memory."""
    refuse_special(file)
    tracks, depth = 0, 0
    try:
        for event, element in ElementTree.iterparse(file, events=("start", "end")):
            depth += 1 if event == "start" else -1
            if event == "start" or depth != 1:
                continue
            tracks += element.tag == "track"
            if element.tag == "image":
                yield element
            element.clear()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise WsolError(f"{file} is not XML ({error})", expected="<annotations>", remedy="Export it again.") from None
    if tracks:
        raise WsolError(
            f"{file} holds tracks of a video",
            expected="images",
            remedy="Export the task as `CVAT for images 1.1`, with the images.",
        )


def _image(element: Element, where: str, paths: WrittenPaths, split: Split) -> AnnotatedImage:
    name, subset = element.get("name", ""), element.get("subset", "")
    where = f"{where} ({short_repr(name)})"
    written = "/".join(parts_of(name))
    image_id = paths.find(name) or written
    image_hw = size_of(number_in(element.get("height", "")), number_in(element.get("width", "")))
    split = split_of(subset) or split
    if not written:
        expected = f"expected the path of an image, got {short_repr(name)}"
        return AnnotatedImage("", paths.folder, where, problem=Mistake("unknown image", where, expected))
    tags = tuple(one.get("label", "").strip() for one in element if one.tag == "tag")
    shapes = tuple(
        shape_of(one, f"{where}, {short_repr(one.tag)[1:-1]} {number}", image_hw)
        for number, one in enumerate(element, start=1)
        if one.tag != "tag"
    )
    return AnnotatedImage(image_id, paths.folder / image_id, where, split, tags, shapes, image_hw)
