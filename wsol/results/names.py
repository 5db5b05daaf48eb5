"""Match image names in the results of other systems, which may be longer or shorter paths than our image ids."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from wsol.errors import WsolError
from wsol.text import number_of


def matched(names: Iterable[str], image_ids: Sequence[str]) -> dict[str, str]:
    """Match names in the results with image ids.

    An equal path takes precedence. Otherwise one path must end with the other, in whole folders: `owl/1.jpg` matches
    `test/owl/1.jpg`. Backslashes count as slashes, and a leading `./` is ignored.

    Args:
        names: image names in the results.
        image_ids: the images of the ground truth.

    Returns:
        Image ids by name; names that match no image are left out.

    Raises:
        WsolError: a name matches several images, or several names match one image.
    """
    names = list(dict.fromkeys(names))
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
                remedy="Write the path as in the ground truth.",
            )
        # `train/owl/1.jpg` does not match `owl/1.jpg` if the results also have an `owl/1.jpg`.
        if not ids or (ids[0] in taken and not equal[name]):
            continue
        other = name_of.setdefault(ids[0], name)
        if other != name:
            raise WsolError(
                f"{other!r} and {name!r} could both be {ids[0]!r}",
                expected="one name for an image",
                remedy="Write paths as in the ground truth, or leave the other images out.",
            )
        by_name[name] = ids[0]
    return by_name


def matched_in(file: Path, names: Collection[str], image_ids: Sequence[str]) -> dict[str, str]:
    """`matched` for the names in a file.

    Raises:
        WsolError: as `matched`, with the name of the file; or there are names, and none matches an image.
    """
    try:
        by_name = matched(names, image_ids)
    except WsolError as error:
        raise WsolError(
            f"{file}: {error.problem}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from None
    if names and image_ids and not by_name:
        raise WsolError(
            f"{file} has {number_of(len(names), 'image')}, such as {next(iter(names))!r}, and none is in the ground"
            " truth",
            expected=f"names such as {image_ids[0]!r}",
            remedy="Write the paths as in the ground truth, or give the ground truth of these images.",
        )
    return by_name


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """The known names similar to `name`, ignoring case: at most three, the most similar first."""
    by_lower = {one.lower(): one for one in known}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.7)]


class _Images:
    """Image ids by path, and by each ending of the path that is one of `paths`."""

    def __init__(self, image_ids: Iterable[str], paths: set[str]) -> None:
        self.ids = dict.fromkeys(image_ids)
        self.by_path: dict[str, list[str]] = {}
        self.by_ending: dict[str, list[str]] = {}
        for image_id in self.ids:
            path = _plain(image_id)
            self.by_path.setdefault(path, []).append(image_id)
            for ending in paths.intersection(_endings(path)):
                self.by_ending.setdefault(ending, []).append(image_id)

    def similar(self, path: str) -> list[str]:
        """Images whose path ends with this one, or with whose path this one ends."""
        longer = self.by_ending.get(path, [])
        return longer + [image_id for ending in _endings(path) for image_id in self.by_path.get(ending, [])]


def _plain(path: str) -> str:
    """The path with slashes, without `.` and empty parts; an absolute path stays absolute."""
    slashed = path.replace("\\", "/")
    root = "/" if slashed.startswith("/") else ""
    return root + "/".join(part for part in slashed.split("/") if part not in ("", "."))


def _endings(path: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    while path:
        yield path
        path = path.partition("/")[2]
