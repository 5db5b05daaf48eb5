"""Files to upright RGB pixels: the only place that decodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from wsol.errors import BrokenPicture, WsolError

Pixels = UInt8[np.ndarray, "height width 3"]

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)

ORIENTATION = 0x0112
"""The EXIF tag."""


def is_picture(path: Path) -> bool:
    """Whether the name says that this is a picture; hidden files (`._owl.jpg`) are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_under(folder: Path) -> Iterator[Path]:
    """All pictures below a folder, sorted, hidden folders left out.

    Raises:
        WsolError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise WsolError(
            f"cannot read the folder {error.filename} ({error.strerror}): expected a readable one. Change its permissions, or move it elsewhere."
        )

    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        # A link back up would give every picture again and again.
        folders[:] = sorted(
            name for name in folders if name[0] != "." and os.path.realpath(os.path.join(parent, name)) not in seen
        )
        yield from (Path(parent, name) for name in sorted(names) if is_picture(Path(name)))


def read_image(path: Path) -> Pixels:
    """Decode a picture: upright (EXIF applied), RGB, transparency over white, first frame of several.

    Raises:
        BrokenPicture: not decodable, or of more than 178 megapixels (Pillow's limit).
    """
    with _opened(path) as image:
        return np.asarray(_rgb(image))


def read_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """Decode a mask: every stored value but 0 (black) is object; palette numbers and 16 bits count as they are stored.

    Raises:
        BrokenPicture: not decodable.
    """
    with _opened(path) as image:
        if image.mode not in ("1", "L", "P", "I", "F") and not image.mode.startswith("I;16"):
            image = image.convert("RGB")
        values = np.asarray(image)
        return np.asarray(values.any(axis=2) if values.ndim == 3 else values != 0)


def read_square(path: Path, side_px: int) -> tuple[Pixels, tuple[int, int]]:
    """Decode and squash to a square, aspect ratio not kept; also the upright (height, width) on disk.

    Large JPEGs are decoded at a reduced scale that is still at least twice the square.
    """
    with _opened(path) as image:
        image_hw = _upright_hw(image)
        image.draft("RGB", (2 * side_px, 2 * side_px))
        return square(_rgb(image), side_px), image_hw


def read_fitting(path: Path, longest_px: int) -> tuple[Pixels, tuple[int, int]]:
    """Decode and scale down, aspect ratio kept, until the longer side is at most `longest_px`; also the upright (height, width) on disk."""
    with _opened(path) as image:
        image_hw = _upright_hw(image)
        scale = min(1.0, longest_px / max(image_hw))
        height, width = (max(round(side * scale), 1) for side in image_hw)
        stored_wh = (width, height) if image.size == image_hw[::-1] else (height, width)
        image.draft("RGB", stored_wh)
        pixels = _rgb(image)
        if pixels.size != (width, height):
            pixels = pixels.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return np.asarray(pixels), image_hw


def square(image: Image.Image, side_px: int) -> Pixels:
    """Squash to a square with an antialiased bilinear filter."""
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.BILINEAR, reducing_gap=3.0))


def image_hw(path: Path) -> tuple[int, int]:
    """Upright (height, width), without decoding more than the format asks for."""
    with _opened(path) as image:
        return _upright_hw(image)


def is_turned(path: Path) -> bool:
    """Whether the stored pixels are not upright, so that a reader without EXIF would see another picture."""
    with _opened(path) as image:
        return image.getexif().get(ORIENTATION, 1) in range(2, 9)


class _opened:
    """`with _opened(path) as image`: whatever Pillow raises in the block becomes `BrokenPicture`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Image.Image:
        try:
            self.image = Image.open(self.path)
        except Image.DecompressionBombError as error:
            raise BrokenPicture(f"{self.path} is too large: {error} Scale it down, or cut it into tiles.") from None
        except (OSError, SyntaxError, ValueError) as error:
            raise self._broken(error) from None
        return self.image

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.image.close()
        if isinstance(error, (OSError, SyntaxError, ValueError, EOFError, IndexError)):
            raise self._broken(error) from None

    def _broken(self, error: BaseException) -> BrokenPicture:
        if isinstance(error, FileNotFoundError):
            reason = "it does not exist"
        elif isinstance(error, PermissionError):
            reason = "it may not be read"
        elif self.path.is_dir():
            reason = "it is a folder"
        elif self.path.stat().st_size == 0:
            reason = "the file is empty"
        elif isinstance(error, UnidentifiedImageError):
            reason = "no decoder knows its contents"
        else:
            reason = str(error)
        return BrokenPicture(
            f"cannot decode {self.path}: {reason}. Expected a picture ({', '.join(sorted(s[1:] for s in SUFFIXES))}); repair or remove it."
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 .. 8 that is still to be applied; 1 where the tag is absent or senseless."""
    # Pillow reports and decodes TIFF upright, yet leaves the tag in place until the pixels are loaded.
    orientation = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 1


def _upright_hw(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (width, height) if _orientation(image) >= 5 else (height, width)


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _rgb(image: Image.Image) -> Image.Image:
    # Not Pillow's exif_transpose: it writes the other tags anew, and fails where one of them is senseless.
    turn = _UPRIGHT.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    # Pillow's own conversion of 16-bit grey clips at 255: every such picture would come out white.
    peak = 65535.0 if np.issubdtype(values.dtype, np.integer) else max(float(np.nanmax(values, initial=0)), 1e-9)
    return np.nan_to_num(values * (255.0 / peak)).clip(0, 255).astype(np.uint8)


def from_pillow(image: Image.Image) -> Pixels:
    """An opened picture as upright RGB pixels."""
    return np.asarray(_rgb(image))


def as_pixels(array: NDArray[Any]) -> Pixels:
    """An array from elsewhere as RGB pixels.

    Raises:
        WsolError: not uint8 of shape (height, width), (height, width, 3) or (height, width, 4).
    """
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
        or array.size == 0
    ):
        raise WsolError(
            f"expected uint8 pixels of shape (height, width, 3) in RGB order, got {array.dtype} of shape {array.shape}. "
            "Convert with `(255 * array).astype('uint8')` if the values are fractions."
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return np.asarray(_rgb(Image.fromarray(array)))
