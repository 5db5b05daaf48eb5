"""TIFF files: their pages, and what those contain that Pillow cannot decode."""

from __future__ import annotations

from io import BufferedReader

from PIL import Image, TiffImagePlugin

from wsol.text import number_of

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CHANNELS, _BITS, _KIND, _PLANES = 277, 258, 339, 284
"""Tags of TIFF."""
_KINDS = {1: "unsigned integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex numbers"}


def page_count(image: Image.Image) -> int:
    """The number of pages of an opened image; animations of other formats are one."""
    return image.n_frames if isinstance(image, TiffImagePlugin.TiffImageFile) else 1


def turn_to(image: Image.Image, page: int) -> bool:
    """Go to a page of an opened image.

    Args:
        image: the image, at its first page.
        page: the page, counted from 1.

    Returns:
        Whether it exists.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return page == 1
    try:
        for number in range(1, page):  # Pillow counts the pages wrongly when one is left out
            image.seek(number)
    except EOFError:
        return False
    return True


def has_deep_planes(image: Image.Image) -> bool:
    """Whether an opened image stores its channels one after another with more than 8 bits: Pillow decodes these to
    wrong pixels.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(_PLANES) == 2 and max(image.tag_v2.get(_BITS, (1,))) > 8 and len(image.getbands()) > 1


def contents(file: BufferedReader) -> str | None:
    """What the first page of a TIFF file contains, in words.

    Args:
        file: any file.

    Returns:
        Channels and numbers; None if it is no TIFF file, or a damaged one.
    """
    try:
        file.seek(0)
        header = file.read(16)
        if header[:4] not in _MAGIC:
            return None
        is_big = b"+" in header[2:4]  # BigTIFF
        tags = TiffImagePlugin.ImageFileDirectory_v2(header if is_big else header[:8])
        file.seek(tags.next)
        tags.load(file)
        channels, bits, kind = int(tags.get(_CHANNELS, 1)), int(tags.get(_BITS, (1,))[0]), tags.get(_KIND, (1,))[0]
        planes = ", one after another" if channels > 1 and tags.get(_PLANES) == 2 else ""
        order = ", big-endian" if header.startswith(b"MM") else ""
        values = _KINDS.get(kind, "values of unknown type")
        return f"{number_of(channels, 'channel')} of {bits}-bit {values}{planes}{order}"
    except Exception:  # of a damaged file, as in `wsol.data.images`
        return None
