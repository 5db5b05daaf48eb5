"""Where a data set's images lie, and how large they are."""

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

LOOKED_AT = 20
"""The first names by which a folder is known: one missing image must not send us elsewhere, a million need not be
looked for."""


def image_root(candidates: Sequence[Path], names: Iterable[str]) -> Path:
    """The first folder that holds one of the first names; the first candidate where none does (images may be
    absent).
    """
    first = list(islice(names, LOOKED_AT))
    found = (folder for folder in candidates if any(os.path.isfile(folder / name) for name in first))
    return next(found, candidates[0])


def check_there(root: Path, samples: Iterable[Sample]) -> None:
    """Tell a list whose images are elsewhere from one of broken images.

    Raises:
        WsolError: most of the files do not exist.
    """
    listed = {sample.path: None for sample in samples}
    absent = [path for path in listed if not os.path.isfile(path)]
    if len(absent) > len(listed) / 2:
        raise WsolError(
            f"only {len(listed) - len(absent)} of {number_of(len(listed), 'image')} that {root} lists can be found",
            expected=f"files such as {absent[0]}",
            remedy="Name the folder in which their paths begin with `--images FOLDER`.",
        )


@dataclass
class ImageSizes:
    """Upright sizes of images, each looked at once; what is missing or broken is noted once."""

    collector: Collector
    _known: dict[Path, tuple[int, int] | None] = field(default_factory=dict)

    def __call__(self, path: Path) -> tuple[int, int] | None:
        """Upright (height, width) of an image, None where it has none."""
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: Path) -> tuple[int, int] | None:
        try:
            return image_hw(path)
        except BrokenImage as error:
            kind: Kind = "broken image" if os.path.exists(path) else "missing image"
            self.collector.note(kind, str(path), str(error))
            return None
