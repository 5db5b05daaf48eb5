"""The folder of a data set's images, and the sizes of the images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from wsol.data.ground_truth import Collector, Kind
from wsol.data.images import image_hw
from wsol.data.samples import Sample
from wsol.errors import BrokenImage, WsolError
from wsol.text import number_of

CHECKED_NAMES = 20
"""A folder is recognised by any of the first names: one missing image must not matter, and a million names need not be
checked."""


def image_root(candidates: Sequence[Path], names: Iterable[str]) -> Path:
    """The first candidate that holds one of the first names, else the first candidate (images may be absent).

    Args:
        candidates: folders, the most likely first.
        names: paths of images relative to the folder.
    """
    first = list(islice(names, CHECKED_NAMES))
    matches = (folder for folder in candidates if any(os.path.isfile(folder / name) for name in first))
    return next(matches, candidates[0])


def check_there(root: Path, samples: Iterable[Sample]) -> None:
    """Make sure that most images exist: if not, they are probably in another folder.

    Args:
        root: the data set, for the error.
        samples: its images.

    Raises:
        WsolError: more than half of the files do not exist.
    """
    listed = {sample.path: None for sample in samples}
    absent = [path for path in listed if not os.path.isfile(path)]
    if len(absent) > len(listed) / 2:
        raise WsolError(
            f"only {len(listed) - len(absent)} of {number_of(len(listed), 'image')} listed in {root} exist",
            expected=f"files such as {absent[0]}",
            remedy="Give the folder to which their paths are relative with `--images FOLDER`.",
        )


@dataclass
class ImageSizes:
    """Upright sizes of images, each read once; missing and broken images are noted once."""

    collector: Collector
    _known: dict[Path, tuple[int, int] | None] = field(default_factory=dict)

    def __call__(self, path: Path) -> tuple[int, int] | None:
        """Upright (height, width) of an image in pixels; None if it is missing or broken."""
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: Path) -> tuple[int, int] | None:
        try:
            return image_hw(path)
        except BrokenImage as error:
            kind: Kind = "broken image" if os.path.exists(path) else "missing image"
            self.collector.note(kind, str(path), str(error))
            return None
