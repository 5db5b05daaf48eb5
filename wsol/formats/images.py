"""The images of an export: their names, and copies that every tool can open."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path, PurePosixPath

from PIL import Image

from wsol.data.images import image_hw, is_turned, open_regular, read_image
from wsol.errors import WsolError
from wsol.formats.names import fitting
from wsol.predictions.records import COMMAND, Predictions

# What ultralytics and its forerunners open; they pass over every other suffix without a word.
READABLE = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
JPEG_SUFFIXES = frozenset({".jpe", ".jfif"})


def readable_name(image: str) -> PurePosixPath:
    """The name of a copy that trainers can open, and whose label file they find."""
    path = PurePosixPath(image)
    # Readers put `labels` for the last folder called `images`: data/images/owls/images/1.jpg would look in
    # images/owls/labels.
    folders = ["images_" if part == "images" else part for part in path.parts[:-1]]
    suffix = (
        path.suffix if path.suffix.lower() in READABLE else ".jpg" if path.suffix.lower() in JPEG_SUFFIXES else ".png"
    )
    return PurePosixPath(*folders, path.stem + suffix)


def unique_names(
    predictions: Predictions, wanted: Callable[[str], PurePosixPath] = readable_name
) -> Iterator[PurePosixPath]:
    """Each image's name as `wanted`, but no two that differ in nothing but the suffix: files beside them would meet.

    None is too long for a disk, nor would be with another suffix of three letters.
    """
    taken = {_key(_fitting(wanted(prediction.image))) for prediction in predictions}
    met: set[str] = set()
    for prediction in predictions:
        name = _fitting(wanted(prediction.image))
        if _key(name) in met:
            candidates = _other_names(name, PurePosixPath(prediction.image).suffix[1:])
            name = next(candidate for candidate in candidates if _key(candidate) not in taken)
            taken.add(_key(name))
        met.add(_key(name))
        yield name


def _other_names(name: PurePosixPath, suffix: str) -> Iterator[PurePosixPath]:
    """owl.png -> owl_png.png, owl_png2.png, owl_png3.png, ..."""
    for number in chain([""], count(2)):
        yield _fitting(name, f"_{suffix}{number}")


def _fitting(name: PurePosixPath, ending: str = "") -> PurePosixPath:
    longest = max(name.suffix, ".txt", key=len)
    return name.with_name(fitting(name.stem, ending + longest).removesuffix(longest) + name.suffix)


def _key(name: PurePosixPath) -> str:
    """Equal for names that share a label file, also on disks that ignore case or the way accents are composed."""
    return unicodedata.normalize("NFC", str(name.with_suffix("")).casefold())


def check_unchanged(image: Path, predicted_hw: tuple[int, int]) -> None:
    """Make sure that an image is the one that was predicted on.

    Raises:
        WsolError: it is missing, broken, or of another size than (height, width) `predicted_hw`.
    """
    if not image.is_file():
        raise WsolError(
            f"no image at {image}",
            expected="the one that was predicted on",
            remedy=f"Put it back, or run `{COMMAND}` on the images you have.",
        )
    found_hw = image_hw(image)
    if found_hw != predicted_hw:
        raise WsolError(
            f"{image} has changed",
            expected=f"(height, width) {predicted_hw} as predicted on",
            got=f"{found_hw}",
            remedy=f"Put the old one back, or run `{COMMAND}` again.",
        )


def copy_image(image: Path, predicted_hw: tuple[int, int], target: Path) -> bool:
    """Copy an image, or (True) rewrite it upright, as PNG where tools know no such format.

    Raises:
        WsolError: it is missing, broken, or no longer of the size that was predicted on.
    """
    check_unchanged(image, predicted_hw)
    is_rewritten = is_turned(image) or image.suffix.lower() not in READABLE | JPEG_SUFFIXES
    if is_rewritten:
        Image.fromarray(read_image(image)).save(target, quality=95)
    else:
        # No hard link: trainers repair images in place, and would repair the user's.
        with open_regular(image) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return is_rewritten


def below(folder: Path, name: PurePosixPath | str) -> Path:
    """A path in a folder, whose own folder is made."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
