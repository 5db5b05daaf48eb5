"""The images of an export: their names, and copies that every tool can open."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path, PurePosixPath

from PIL import Image

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.images import depends_on, image_hw, is_turned, open_regular, read_image
from wsol.errors import WsolError
from wsol.formats.names import fitting
from wsol.predictions.records import COMMAND, Predictions

# The suffixes that ultralytics and its predecessors open; they skip all others silently.
READABLE = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
JPEG_SUFFIXES = frozenset({".jpe", ".jfif"})


def readable_name(image: str) -> PurePosixPath:
    """The name of a copy that trainers can open and whose label file they find.

    Args:
        image: the image's path relative to the image root.
    """
    path = PurePosixPath(image)
    # Readers replace the last folder called `images` with `labels`: data/images/owls/images/1.jpg would be searched for
    # in images/owls/labels.
    folders = ["images_" if part == "images" else part for part in path.parts[:-1]]
    suffix = (
        path.suffix if path.suffix.lower() in READABLE else ".jpg" if path.suffix.lower() in JPEG_SUFFIXES else ".png"
    )
    return PurePosixPath(*folders, path.stem + suffix)


def unique_names(
    predictions: Predictions, wanted: Callable[[str], PurePosixPath] = readable_name
) -> Iterator[PurePosixPath]:
    """Names for the images such that no two differ only in the suffix: their label files would have the same name.

    No name is too long for a disk, not even with another suffix of three letters.

    Args:
        predictions: the images, in this order.
        wanted: the preferred name of an image.
    """
    taken = {_key(_fitting(wanted(prediction.image))) for prediction in predictions}
    used: set[str] = set()
    for prediction in predictions:
        name = _fitting(wanted(prediction.image))
        if _key(name) in used:
            candidates = _other_names(name, PurePosixPath(prediction.image).suffix[1:])
            name = next(candidate for candidate in candidates if _key(candidate) not in taken)
            taken.add(_key(name))
        used.add(_key(name))
        yield name


def _other_names(name: PurePosixPath, suffix: str) -> Iterator[PurePosixPath]:
    """owl.png -> owl_png.png, owl_png2.png, owl_png3.png, ..."""
    for number in chain([""], count(2)):
        yield _fitting(name, f"_{suffix}{number}")


def _fitting(name: PurePosixPath, ending: str = "") -> PurePosixPath:
    longest = max(name.suffix, ".txt", key=len)
    return name.with_name(fitting(name.stem, ending + longest).removesuffix(longest) + name.suffix)


def _key(name: PurePosixPath) -> str:
    """Equal for names with the same label file, also on disks that ignore case or the composition of accents."""
    return unicodedata.normalize("NFC", str(name.with_suffix("")).casefold())


def check_unchanged(image: Path, predicted_hw: tuple[int, int]) -> None:
    """Make sure that an image is the one that was predicted on.

    Args:
        image: the file.
        predicted_hw: upright (height, width) at prediction, in pixels.

    Raises:
        WsolError: the image is missing, broken, or of another size.
    """
    if not image.is_file():
        raise WsolError(
            f"no image at {image}",
            expected="the image that was predicted on",
            remedy=f"Restore it, or run `{COMMAND}` on the images you have.",
        )
    current_hw = image_hw(image)
    if current_hw != predicted_hw:
        raise WsolError(
            f"{image} has changed",
            expected=f"(height, width) {predicted_hw} as at the prediction",
            got=f"{current_hw}",
            remedy=f"Restore the old image, or run `{COMMAND}` again.",
        )


def copy_image(image: Path, predicted_hw: tuple[int, int], target: Path, decoding: Decoding = DEFAULT_DECODING) -> bool:
    """Copy an image; rewrite it upright if EXIF rotates it, as PNG if tools do not read its format, and as predicted on
    if tools would show another page or window.

    Args:
        image: the file.
        predicted_hw: upright (height, width) at prediction, in pixels.
        target: the copy.
        decoding: how the file became pixels at prediction.

    Returns:
        Whether the image was rewritten.

    Raises:
        WsolError: the image is missing, broken, or of another size than at prediction.
    """
    check_unchanged(image, predicted_hw)
    is_rewritten = (
        is_turned(image) or image.suffix.lower() not in READABLE | JPEG_SUFFIXES or depends_on(image, decoding)
    )
    if is_rewritten:
        Image.fromarray(read_image(image, decoding)).save(target, quality=95)
    else:
        # No hard link: trainers repair images in place and would change the user's files.
        with open_regular(image) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return is_rewritten


def below(folder: Path, name: PurePosixPath | str) -> Path:
    """The path `folder / name`; its parent folder is created."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
