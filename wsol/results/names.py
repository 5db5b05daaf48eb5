"""Which image does a name in somebody's results mean? Systems call one image by longer and shorter paths."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from wsol.errors import WsolError
from wsol.text import number_of


def matched(found: Iterable[str], image_ids: Sequence[str]) -> dict[str, str]:
    """Names in the results → image ids; names of no image are left out.

    An equal path wins. Otherwise one path ends in the other, whole folders compared: `owl/1.jpg` is `test/owl/1.jpg`.
    Backslashes count as slashes, and a leading `./` does not count.

    Raises:
        WsolError: a name fits several images, or several names fit one.
    """
    names = list(dict.fromkeys(found))
    if set(image_ids).issuperset(names):
        return {name: name for name in names}
    path_of = {name: _plain(name) for name in names}
    images = _Images(image_ids, set(path_of.values()))
    equal = {name: [name] if name in images.ids else images.by_path.get(path_of[name], []) for name in names}
    taken = {image_id for ids in equal.values() for image_id in ids}
    by_name: dict[str, str] = {}
    name_of: dict[str, str] = {}
    for name in names:
        ids = equal[name] or images.similar(path_of[name])
        if len(ids) > 1:
            raise WsolError(
                f"{name!r} could be {ids[0]!r} or {ids[1]!r}",
                expected="the name of one image",
                remedy="Write the path as the ground truth has it.",
            )
        # `train/owl/1.jpg` is not the ground truth's `owl/1.jpg` where the results have an `owl/1.jpg` of their own.
        if not ids or (ids[0] in taken and not equal[name]):
            continue
        other = name_of.setdefault(ids[0], name)
        if other != name:
            raise WsolError(
                f"{other!r} and {name!r} could both be {ids[0]!r}",
                expected="one name for an image",
                remedy="Write paths as the ground truth has them, or leave the other images out.",
            )
        by_name[name] = ids[0]
    return by_name


def matched_in(file: Path, found: Collection[str], image_ids: Sequence[str]) -> dict[str, str]:
    """`matched` for the names in a file.

    Raises:
        WsolError: as `matched`, with the file's name; or there are names, and none is that of an image.
    """
    try:
        by_name = matched(found, image_ids)
    except WsolError as error:
        raise WsolError(f"{file}: {error}") from None
    if found and image_ids and not by_name:
        raise WsolError(
            f"{file} has {number_of(len(found), 'image')}, such as {next(iter(found))!r}, and none is in the truth",
            expected=f"names such as {image_ids[0]!r}",
            remedy="Write the paths as the ground truth has them, or name the ground truth of these images.",
        )
    return by_name


def alike(name: str, known: Iterable[str]) -> list[str]:
    """The known names that look like `name`, at most three, the most similar first; small and capital letters are
    equal.
    """
    by_lower = {one.lower(): one for one in known}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.7)]


class _Images:
    """Image ids by their path, and by what their path ends in where that is one of `asked`."""

    def __init__(self, image_ids: Iterable[str], asked: set[str]) -> None:
        self.ids = dict.fromkeys(image_ids)
        self.by_path: dict[str, list[str]] = {}
        self.by_ending: dict[str, list[str]] = {}
        for image_id in self.ids:
            path = _plain(image_id)
            self.by_path.setdefault(path, []).append(image_id)
            for ending in asked.intersection(_endings(path)):
                self.by_ending.setdefault(ending, []).append(image_id)

    def similar(self, path: str) -> list[str]:
        """Images whose path ends in this one, or in whose path this one ends."""
        longer = self.by_ending.get(path, [])
        return longer + [image_id for ending in _endings(path) for image_id in self.by_path.get(ending, [])]


def _plain(path: str) -> str:
    """With slashes, without `.` and empty parts; what begins at the root still does."""
    slashed = path.replace("\\", "/")
    root = "/" if slashed.startswith("/") else ""
    return root + "/".join(part for part in slashed.split("/") if part not in ("", "."))


def _endings(path: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    while path:
        yield path
        path = path.partition("/")[2]
