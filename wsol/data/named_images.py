"""The images that a user names for a prediction: an image, a folder, a pattern (`photos/*.jpg`), or a list of paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from wsol.data.images import SUFFIXES, images_under, is_image
from wsol.data.untrusted import short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special
from wsol.text import number_of

LISTS = (".txt", ".lst")
"""Suffixes of a list of paths: one in each line, relative to the folder of the list."""


def root_of(images: Path) -> Path:
    """The folder that the names of the images are relative to.

    Args:
        images: an image, a folder, a pattern, or a list of paths.

    Raises:
        WsolError: it does not exist, is no image, or a list without an existing image.
    """
    if images.is_dir():
        return images
    if is_list(images):
        return _listed(images)[0]
    if images.exists():
        if not is_image(images):
            raise WsolError(
                f"{images} has no suffix of an image",
                expected=f"one of {', '.join(sorted(SUFFIXES))}, or a list of paths ({', '.join(LISTS)})",
                remedy="Rename or convert it.",
            )
        return images.parent
    if glob.has_magic(str(images)):
        return _above_pattern(images)
    raise WsolError(
        f"{images} does not exist",
        expected="an image, a folder of images, a list of paths (.txt) or a pattern such as 'photos/*.jpg'",
        remedy="Check the path.",
    )


def names_of(images: Path) -> Iterator[str]:
    """The names of the images relative to `root_of`, with forward slashes: those of a list in its order, others sorted.

    Files of a list are not opened here: missing and broken ones are found when they are decoded.

    Args:
        images: an image, a folder, a pattern, or a list of paths.

    Raises:
        WsolError: as `root_of`.
    """
    root = root_of(images)
    if images.is_dir():
        return (path.relative_to(root).as_posix() for path in images_under(images))
    if is_list(images):
        return iter(_listed(images)[1])
    if images.exists():
        return iter([images.name])
    return (path.relative_to(root).as_posix() for path in _matches(images))


def is_list(images: Path) -> bool:
    """Whether this is a list of paths."""
    return images.suffix.lower() in LISTS and images.is_file()


# Patterns


def _above_pattern(images: Path) -> Path:
    parts = images.parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _matches(images: Path) -> Iterator[Path]:
    """The images that match, and those below folders that match; each once."""
    seen: set[Path] = set()
    for found in sorted(glob.glob(str(images), recursive=True)):
        path = Path(found)
        for one in images_under(path) if path.is_dir() else [path] if is_image(path) else []:
            if one not in seen:
                seen.add(one)
                yield one


# Lists


def _listed(table: Path) -> tuple[Path, list[str]]:
    """The folder that contains all listed images, that of the list if possible, and their paths relative to it."""
    home = os.path.abspath(table.parent)
    lines = _lines(table)
    paths = list(dict.fromkeys(os.path.normpath(os.path.join(home, line)) for line in lines))
    if not any(map(os.path.isfile, paths)):
        example = f", the first is {short_repr(lines[0])}" if lines else ""
        raise WsolError(
            f"none of the {number_of(len(paths), 'line')} of {table} is the path of a file{example}",
            expected=f"paths of images, one a line, relative to {table.parent}",
            remedy="Move the list, or write other paths.",
        )
    if all(_is_below(path, home) for path in paths):
        return table.parent, [_relative(path, home) for path in paths]
    try:
        root = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # Windows
        raise WsolError(
            f"the images of {table} are on several drives", expected="one drive", remedy="Write a list for each."
        ) from None
    return Path(root), [_relative(path, root) for path in paths]


def _lines(table: Path) -> list[str]:
    refuse_special(table)
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not UTF-8 ({error})", expected="paths of images, one a line", remedy="Save it as UTF-8."
        ) from None
    return [line.strip() for line in text.split("\n") if line.strip()]


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _relative(path: str, root: str) -> str:
    return PurePath(path[len(root) :].lstrip(os.sep)).as_posix()
