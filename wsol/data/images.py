"""Decode image files to upright RGB pixels; no other module decodes images."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from wsol.config.image import DEFAULT_DECODING, Decoding, Range
from wsol.data.decoder_memory import PARTS, decoder_memory, needed_bytes
from wsol.data.deep_colours import is_deep, low_bytes
from wsol.data.eight_bits import correct_transparency, eight_bits, note_maxval, opaque
from wsol.data.tiff_pages import contents, has_deep_planes, page_count, turn_to
from wsol.errors import BrokenImage, WsolError
from wsol.storage.litter import is_litter
from wsol.text import number_of

Pixels = UInt8[np.ndarray, "height width 3"]

_SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    **({"AVIF": (".avif",)} if find_spec("PIL._avif") else {}),  # since Pillow 11.3, where it was built with it
}

FORMATS = tuple(_SUFFIXES_OF)
"""The formats that are decoded, whatever the suffix of a file. Pillow reads more: its EPS reader runs Ghostscript, and
old formats are not used for photographs."""

SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES_OF.values() for suffix in suffixes)

ORIENTATION = 0x0112
"""The EXIF tag."""


def is_image(path: Path) -> bool:
    """Whether the suffix is that of an image; hidden files (`._owl.jpg`) are not images."""
    return path.suffix.lower() in SUFFIXES and not is_litter(path.name)


def images_under(folder: Path) -> Iterator[Path]:
    """All images below a folder, sorted, without hidden folders and folders of systems and tools.

    Raises:
        WsolError: a folder cannot be read.
    """
    return (path for path in files_under(folder) if is_image(path))


def files_under(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden files and files of systems and tools.

    Raises:
        WsolError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise WsolError(
            f"cannot read the folder {error.filename} ({error.strerror})",
            expected="a readable folder",
            remedy="Change its permissions, or move it.",
        )

    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        # A link to a parent folder would list every image again and again.
        folders[:] = sorted(
            name for name in folders if not is_litter(name) and os.path.realpath(os.path.join(parent, name)) not in seen
        )
        yield from (Path(parent, name) for name in sorted(names) if not is_litter(name))


def read_image(path: Path, decoding: Decoding = DEFAULT_DECODING) -> Pixels:
    """Decode an image: upright (EXIF applied), RGB, transparency over white, the first frame of several.

    Args:
        path: the file.
        decoding: how deep pixels become 8 bits, and the page of a TIFF file.

    Returns:
        uint8 pixels, height x width x 3.

    Raises:
        BrokenImage: not decodable, not a regular file, without the page, more than 178 megapixels (Pillow's limit), or
            too large for the memory of this machine.
    """
    window = decoding.range
    with _opened(path, decoding) as image, _room(path, image, image.size, image.width * image.height, window):
        return np.asarray(_decoded(image, window).convert("RGB"))


def read_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """Decode a mask: every stored value except 0 (black) is object; palette indices and 16 bits count as stored.

    Returns:
        True for object pixels, height x width, as stored (EXIF is not applied).

    Raises:
        BrokenImage: not decodable.
    """
    with _opened(path) as image, _room(path, image, image.size, image.width * image.height):
        if image.mode not in ("1", "L", "P", "I", "F") and not image.mode.startswith("I;16"):
            image = image.convert("RGB")
        values = np.asarray(image)
        return np.asarray(values.any(axis=2) if values.ndim == 3 else values != 0)


def read_square(path: Path, size_px: int, decoding: Decoding = DEFAULT_DECODING) -> tuple[Pixels, tuple[int, int]]:
    """Decode and resize to a square; the aspect ratio is not kept.

    Large JPEGs are decoded at a reduced scale of at least twice the square.

    Args:
        path: the file.
        size_px: height and width of the square, in pixels.
        decoding: as for `read_image`.

    Returns:
        uint8 pixels, size x size x 3, and the upright (height, width) of the file.

    Raises:
        BrokenImage: as `read_image`.
    """
    window = decoding.range
    with _opened(path, decoding) as image:
        stored_wh = image.size
        image.draft("RGB", (2 * size_px, 2 * size_px))
        with _room(path, image, stored_wh, size_px * size_px, window):
            return square(_decoded(image, window), size_px), _upright_hw(image, stored_wh)


def read_fitting(path: Path, longest_px: int, decoding: Decoding = DEFAULT_DECODING) -> tuple[Pixels, tuple[int, int]]:
    """Decode and scale down; the aspect ratio is kept.

    Args:
        path: the file.
        longest_px: limit for the longer side, in pixels; smaller images are not enlarged.
        decoding: as for `read_image`.

    Returns:
        uint8 pixels, height x width x 3, and the upright (height, width) of the file.

    Raises:
        BrokenImage: as `read_image`.
    """
    window = decoding.range
    with _opened(path, decoding) as image:
        stored_wh = image.size
        scale = min(1.0, longest_px / max(stored_wh))
        width, height = (max(round(side * scale), 1) for side in stored_wh)
        image.draft("RGB", (width, height))
        with _room(path, image, stored_wh, width * height, window):
            image_hw = _upright_hw(image, stored_wh)
            fitting_wh = (width, height) if image_hw == stored_wh[::-1] else (height, width)
            pixels = _decoded(image, window)
            if pixels.size != fitting_wh:
                pixels = pixels.resize(fitting_wh, Image.Resampling.BILINEAR, reducing_gap=2.0)
            return np.asarray(pixels.convert("RGB")), image_hw


def square(image: Image.Image, size_px: int) -> Pixels:
    """Resize to a square with an antialiased bilinear filter; the aspect ratio is not kept."""
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.BILINEAR, reducing_gap=3.0).convert("RGB"))


def image_hw(path: Path) -> tuple[int, int]:
    """Upright (height, width) in pixels; decodes as little as the format allows.

    Raises:
        BrokenImage: as `read_image`.
    """
    with _opened(path) as image, _room_for_tags(path, image):
        return _upright_hw(image, image.size)


def check_format(path: Path) -> None:
    """Make sure that a file has a format and a size that `read_image` accepts, before another decoder reads it.

    Raises:
        BrokenImage: it has not.
    """
    with _opened(path):
        pass


def pages_of(path: Path) -> int:
    """The number of pages of a TIFF file; 1 for other formats, also for animations.

    Raises:
        BrokenImage: as `read_image`.
    """
    with _opened(path) as image:
        return page_count(image)


def depends_on(path: Path, decoding: Decoding) -> bool:
    """Whether other programs show an image otherwise than it is decoded: another page, or deep pixels of a window.

    Raises:
        BrokenImage: as `read_image`.
    """
    if (decoding.page or 1) > 1:
        return True
    with _opened(path) as image:
        return decoding.range is not None and is_deep(image)


def is_turned(path: Path) -> bool:
    """Whether the stored pixels are not upright, so that a reader that ignores EXIF returns another image."""
    with _opened(path) as image, _room_for_tags(path, image):
        return image.getexif().get(ORIENTATION, 1) in range(2, 9)


# Files

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading: reading a named pipe would wait for ever, a device may have side effects.

    Raises:
        BrokenImage: not a regular file, absent, or not readable.
    """
    try:
        mode = os.stat(path).st_mode  # first, since opening a device may start something
        if stat.S_ISREG(mode):
            # It may have been replaced by a pipe in the meantime.
            file = os.fdopen(
                os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
            )
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                return file
            file.close()
        reason = f"it is {_KINDS.get(stat.S_IFMT(mode), 'not a regular file')}"
    except (FileNotFoundError, NotADirectoryError):
        reason = "it does not exist"
    except PermissionError:
        reason = "it may not be read"
    except (OSError, ValueError) as error:  # a name that is too long, or holds NUL
        reason = getattr(error, "strerror", None) or str(error)
    raise _broken(path, reason)


@contextmanager
def _opened(path: Path, decoding: Decoding = DEFAULT_DECODING) -> Iterator[Image.Image]:
    """An opened image at its page; any exception of Pillow and its decoders in the block becomes `BrokenImage`.

    They raise RuntimeError, struct.error, zlib.error, OverflowError, MemoryError, AssertionError, warnings as errors,
    and others.
    """
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:
            raise _broken(path, "the file is empty")
        try:
            with closing(Image.open(file, formats=FORMATS)) as image:
                if decoding.page is not None:
                    _turn(path, image, decoding.page)
                if has_deep_planes(image):
                    raise _not_read(path, file)
                correct_transparency(image)
                note_maxval(image)
                yield image
        except WsolError:
            raise
        except Image.DecompressionBombError as error:
            raise BrokenImage(
                f"{path} is too large: {str(error).rstrip('.')}", remedy="Scale it down, or cut it into tiles."
            ) from None
        except UnidentifiedImageError:
            raise _not_read(path, file) from None
        except MemoryError:
            raise _broken(path, "its decoder ran out of memory") from None
        except (OSError, SyntaxError, ValueError) as error:
            raise _broken(path, str(error)) from None
        except Exception as error:
            raise _broken(path, f"{type(error).__name__}: {error}") from None


def _turn(path: Path, image: Image.Image, page: int) -> None:
    """Go to a page, which must have the size of the first one: sizes in annotations are those of the image."""
    first_wh = image.size
    if not turn_to(image, page):
        count = page_count(image)
        raise BrokenImage(
            f"{path} has no page {page}",
            expected=f"one of {number_of(count, 'page')}, counted from 1"
            + ("" if count > 1 else "; only TIFF has several"),
            remedy="Choose another `--image.page`.",
        )
    if image.size != first_wh:
        raise BrokenImage(
            f"page {page} of {path} has another size than the first page",
            expected=f"{first_wh[0]} x {first_wh[1]} pixels",
            got=f"{image.width} x {image.height}",
            remedy="Save the page as a file of its own.",
        )


def _not_read(path: Path, file: BufferedReader) -> BrokenImage:
    found = contents(file)
    if found is None:
        return _broken(path, "its format is unknown")
    return BrokenImage(
        f"cannot decode {path}: a TIFF image of {found}",
        expected="one channel of up to 32 bits (unsigned 32: little-endian), or three colours of 8 or 16, interleaved",
        remedy="Save the channels that you need as such a TIFF or PNG (Fiji: Image > Color > Split Channels, Image >"
        " Type).",
    )


def _broken(path: Path, reason: str) -> BrokenImage:
    return BrokenImage(
        f"cannot decode {path}: {reason}",
        expected=f"an image ({', '.join(sorted(s[1:] for s in SUFFIXES))})",
        remedy="Repair or remove it.",
    )


@contextmanager
def _room(
    path: Path, image: Image.Image, stored_wh: tuple[int, int], result_px: int, window: Range | None = None
) -> Iterator[None]:
    """Wait until there is memory to decode the image and to make `result_px` RGB pixels of it."""
    memory, (width, height) = decoder_memory(), stored_wh
    needed = needed_bytes(image, width * height, result_px, has_window=window is not None)
    if needed > memory.limit:
        raise BrokenImage(
            f"{path} is too large",
            expected=f"at most {memory.limit / 1e9:.1f} GB to decode, 1/{PARTS} of the memory",
            got=f"{width} x {height} pixels ({image.format}, {image.mode}), which take {needed / 1e9:.1f} GB",
            remedy="Scale it down, or cut it into tiles.",
        )
    with memory.claimed(needed):
        yield


def _room_for_tags(path: Path, image: Image.Image) -> AbstractContextManager[None]:
    # Pillow decodes a PNG to find EXIF data after the pixels.
    return _room(path, image, image.size, 0) if image.format == "PNG" else nullcontext()


# Pixels


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1 .. 8 that must still be applied; 1 if the tag is absent or invalid."""
    # Pillow reports and decodes TIFF upright, but keeps the tag until the pixels are loaded.
    orientation = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 1


def _upright_hw(image: Image.Image, stored_wh: tuple[int, int]) -> tuple[int, int]:
    width, height = stored_wh
    return (width, height) if _orientation(image) >= 5 else (height, width)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _decoded(image: Image.Image, window: Range | None) -> Image.Image:
    """An image of `_opened` upright, in mode L or RGB."""
    return _upright(image, window, None if window is None else low_bytes(image))


def _upright(image: Image.Image, window: Range | None = None, lower: Image.Image | None = None) -> Image.Image:
    """The image upright, in mode L or RGB."""
    # Not Pillow's exif_transpose: it rewrites the other tags, and fails if one of them is invalid.
    turn = _TURNS.get(_orientation(image))
    flat = opaque(image, window, lower)
    return flat if turn is None else flat.transpose(turn)


def from_pillow(image: Image.Image, decoding: Decoding = DEFAULT_DECODING) -> Pixels:
    """An opened image as upright RGB pixels; of colours of 16 bits, Pillow has only the upper 8."""
    return np.asarray(_upright(image, decoding.range).convert("RGB"))


def as_pixels(array: NDArray[Any], decoding: Decoding = DEFAULT_DECODING) -> Pixels:
    """Convert an array of the caller to RGB pixels.

    Args:
        array: uint8 of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4); with a
            window also other integers and floats, except with four channels.
        decoding: how deep pixels become 8 bits.

    Returns:
        uint8 pixels, height x width x 3; transparency over white.

    Raises:
        WsolError: another dtype or shape.
    """
    window = decoding.range
    if window is not None and array.size and array.dtype != np.uint8 and array.dtype.kind in "iuf":
        is_plain = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))
        array = eight_bits(array, window) if is_plain else array
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
        or array.size == 0
    ):
        raise WsolError(
            "the array is not an image",
            expected="uint8 pixels of shape (height, width, 3) in RGB order",
            got=f"{array.dtype} of shape {array.shape}",
            remedy=(
                "Convert with `(255 * array).astype('uint8')` if the values are fractions; a run with `image.window`"
                " takes deeper values."
            ),
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return from_pillow(Image.fromarray(array))


Planes = TypeVar("Planes")
"""An array or a tensor."""


def middle(pixels: Planes, margin_fraction: float) -> Planes:
    """Cut a margin off all four sides of square images.

    Args:
        pixels: batch x channels x height x width.
        margin_fraction: width of the margin as a fraction of the image's width.
    """
    margin_px = round(margin_fraction * pixels.shape[-1])  # type: ignore[attr-defined]
    inner = slice(margin_px, pixels.shape[-1] - margin_px)  # type: ignore[attr-defined]
    return pixels[:, :, inner, inner]  # type: ignore[index,no-any-return]
