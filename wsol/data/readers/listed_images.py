"""The files of the images that a table lists: by their paths, or by ids without a suffix (Kaggle's)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from wsol.data.image_files import CHECKED_NAMES, image_root
from wsol.data.images import is_image
from wsol.data.not_classes import OTHER_KINDS
from wsol.data.splits import mentioned_split, words_of
from wsol.data.untrusted import is_path
from wsol.storage.litter import is_litter

MASK_RANK = 3


@dataclass(frozen=True)
class ListedImages:
    """Where the images of a table are."""

    folder: Path
    """The folder that the ids are relative to."""
    are_found: bool
    """Whether some of the first images exist."""
    by_name: Mapping[str, str] = field(default_factory=dict)
    """The id of each listed name that differs from its id."""
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names that several images have."""

    def image_id(self, name: str) -> str:
        """The path of an image relative to the folder."""
        return self.by_name.get(name, name)


def find_images(table: Path, images: Path | None, names: Sequence[str], split: str = "") -> ListedImages:
    """Find the images of a table.

    Paths are relative to the folder of the table, its `images`, or another folder beside the table. If most of the
    first names are no such paths, they are the names of images without a suffix or without their folder, which are
    searched for in the folder of the table and two levels below.

    Args:
        table: the table.
        images: the folder of the images; None if it is not known.
        names: as in the table.
        split: of the images, if the table is that of one split: folders of other splits come last.

    Returns:
        The folder and the ids. If no image is found, the ids are the names (images may be absent).
    """
    home = table.parent if images is None else images
    candidates = (home, home / "images") if images is None else (home,)
    first = [name for name in dict.fromkeys(islice(names, CHECKED_NAMES)) if is_path(name)]
    folder = image_root(candidates, first)
    are_there = sum(os.path.isfile(folder / name) for name in first)
    if 2 * are_there >= len(first):
        return ListedImages(folder, are_found=are_there > 0)
    files = _files_by_key(home, split or mentioned_split(table.stem) or "")
    if sum(bool(_matches(files, name)) for name in first) <= are_there:
        return ListedImages(folder, are_found=are_there > 0)
    found = {name: paths for name in names if (paths := _matches(files, name))}
    by_name = {name: paths[0] for name, paths in found.items() if len(paths) == 1}
    ambiguous = {name: tuple(paths) for name, paths in found.items() if len(paths) > 1}
    return ListedImages(home, any(name in by_name for name in first), by_name, ambiguous)


def _matches(files: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    """The images of a name: with or without suffix, and without their folder only if the name has none."""
    for key in (f"/{name}", *([] if "/" in name else [name])):
        if key in files:
            return files[key]
    return ()


def _files_by_key(home: Path, split: str) -> Mapping[str, list[str]]:
    """Images below a folder by `/path` and by name, each with and without suffix; those of the best rank."""
    ranked: defaultdict[int, list[str]] = defaultdict(list)
    for rank, path in _ranked(home, split):
        ranked[rank].append(path)
    files: dict[str, list[str]] = {}
    for rank in sorted(ranked):
        found: defaultdict[str, list[str]] = defaultdict(list)
        for path in ranked[rank]:
            name = PurePosixPath(path)
            for key in {f"/{path}", f"/{name.with_suffix('')}", name.name, name.stem}:
                found[key].append(path)
        files = {**found, **files}  # a better rank takes precedence
    return files


def _ranked(home: Path, split: str) -> Iterator[tuple[int, str]]:
    """The images of a folder and of two levels below, with the rank of the folder that they are in."""
    yield from ((0, name) for name in _images(home))
    for child in _folders(home):
        rank = _rank(child, split)
        yield from ((rank, f"{child}/{name}") for name in _images(home / child))
        for inner in _folders(home / child):
            yield from ((rank, f"{child}/{inner}/{name}") for name in _images(home / child / inner))


def _rank(folder: str, split: str) -> int:
    """Folders of the same split (or of training images) come first, then others, those of other splits, and masks."""
    if OTHER_KINDS.intersection(words_of(folder)):
        return MASK_RANK
    part = mentioned_split(folder)
    return 1 if part is None else 0 if part == (split or "train") else 2


def _images(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(Path(entry.name)) and entry.is_file())


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not is_litter(entry.name) and entry.is_dir())
