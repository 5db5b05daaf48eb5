"""Find the images that a file of another program names: by an absolute path, a URL, a path of another machine.

An image is only ever found below the folder of the images: `..` and absolute paths lead nowhere else.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from wsol.data.image_files import CHECKED_NAMES, image_root
from wsol.data.images import images_under
from wsol.data.untrusted import is_path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|/data/(local-files/\?|upload/)")
_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Label Studio writes eight hexadecimal digits before the name of an uploaded file."""


def parts_of(written: str) -> tuple[str, ...]:
    """The folders and the name in a path or URL, without drive, `.`, and everything up to the last `..`.

    `/data/local-files/?d=birds%2Fowl.jpg` is `birds`, `owl.jpg`. Empty if it cannot be a path.
    """
    path = _path_in(written) if _URL.match(written) else written
    if not is_path(path):
        return ()
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and re.fullmatch("[A-Za-z]:", parts[0]):
        del parts[0]
    above = max((number for number, part in enumerate(parts, start=1) if part == ".."), default=0)
    return tuple(parts[above:])


def _path_in(url: str) -> str:
    try:
        pieces = urlsplit(url)
        asked = parse_qs(pieces.query, encoding="utf-8", errors="surrogateescape").get("d")
    except ValueError:  # half an IPv6 address, too many fields
        return ""
    return asked[0] if asked else os.fsdecode(unquote_to_bytes(pieces.path))


def without_digits(name: str) -> str:
    """The name of a file before Label Studio stored it: without eight hexadecimal digits and a hyphen in front."""
    return _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name


def found_below(candidates: Sequence[Path], names: Collection[str]) -> Callable[[str], Path]:
    """The path of an image by its name in a file of another program.

    Names with `..` never lead out of the folder. The others are only searched for if none of the first is there, so
    that a large data set needs no search.

    Args:
        candidates: folders of the images, the most likely first.
        names: all names in the file.
    """
    first = list(islice((name for name in names if is_path(name)), CHECKED_NAMES))
    folder = image_root(candidates, first)
    is_usual = not first or any(os.path.isfile(folder / name) for name in first)
    if not is_usual:
        folder = next((one for one in candidates if one.is_dir()), folder)
    paths = WrittenPaths(folder, uploaded=True)

    def path_of(name: str) -> Path:
        if ".." not in name.split("/") and (is_usual or os.path.isfile(folder / name)):
            return folder / name
        return folder / (paths.find(name) or Path(*parts_of(name)))

    return path_of


class WrittenPaths:
    """Images below a folder, by the paths that another program wrote.

    Args:
        folder: the folder of the images.
        uploaded: also without the eight digits that Label Studio writes before the name.
    """

    def __init__(self, folder: Path, *, uploaded: bool = False) -> None:
        self.folder = folder
        self._uploaded = uploaded

    def find(self, written: str) -> str | None:
        """The image's path relative to the folder.

        The longest end of the written path that exists counts; else the only image of that name in any subfolder.

        Returns:
            None if there is no such image, or there are several.
        """
        parts = parts_of(written)
        for names in self._spellings(parts):
            for start in range(len(names)):
                if os.path.isfile(self.folder.joinpath(*names[start:])):
                    return "/".join(names[start:])
        for names in self._spellings(parts):
            found = self._by_name.get(names[-1], [])
            if len(found) == 1:
                return found[0]
        return None

    def _spellings(self, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if parts:
            yield parts
            if self._uploaded and (name := without_digits(parts[-1])) != parts[-1]:
                yield (*parts[:-1], name)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for path in images_under(self.folder) if self.folder.is_dir() else ():
            found[path.name].append(path.relative_to(self.folder).as_posix())
        return dict(found)
