"""Oxford-IIIT Pet as published (Parkhi et al. 2012): `annotations/trainval.txt` and `test.txt`, or `list.txt`, and
`images/`.

The class is the breed, which is the name of the file without its number. The published boxes (`annotations/xmls`) are
those of heads, so they are no ground truth: a right box around the animal would count as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wsol.data.ground_truth import GroundTruth
from wsol.data.samples import DataSet, Sample
from wsol.data.untrusted import is_path, short_repr
from wsol.errors import NoGroundTruth, WsolError

KIND = "Oxford-IIIT Pet"
TRAIN, TEST, ALL = "trainval.txt", "test.txt", "list.txt"
_LINE = re.compile(r"(?P<name>(?P<breed>\w[\w ]*)_\d+) +\d+ +\d+ +\d+")
"""Name, class number, species, number of the breed within its species."""


def recognise(root: Path) -> bool:
    """Whether one of the lists of images has the published form."""
    return any(_LINE.fullmatch(line) for name in (TRAIN, ALL) for line in _lines(root / "annotations" / name)[:1])


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read the published split.

    Args:
        root: the folder of `annotations` and `images`.
        images: the folder of the images; if None, `root/images`.

    Raises:
        WsolError: a list is malformed.
    """
    folder = root / "images" if images is None else images
    train, test = (_names(root / "annotations" / name) for name in (TRAIN, TEST))
    everything = [] if train else _names(root / "annotations" / ALL)
    class_names = sorted({breed for _, breed in (*train, *test, *everything)})
    labels = {breed: label for label, breed in enumerate(class_names)}

    def samples(named: Sequence[tuple[str, str]]) -> tuple[Sample, ...]:
        return tuple(Sample(f"{name}.jpg", folder / f"{name}.jpg", labels[breed]) for name, breed in named)

    in_train = samples(train or everything)
    return DataSet(
        KIND,
        root,
        tuple(class_names),
        in_train,
        samples(test) if train and test else in_train,
        bool(train and test),
        lambda: _no_ground_truth(root),
    )


def _lines(table: Path) -> list[str]:
    """The lines of a list, without comments; none if it does not exist."""
    try:
        lines = table.read_text(encoding="utf-8-sig", errors="replace").splitlines() if table.is_file() else []
    except OSError as error:
        raise WsolError(
            f"cannot read {table} ({error})", expected="text", remedy="Restore the published list."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _names(table: Path) -> list[tuple[str, str]]:
    """Name and breed of each image of a list."""
    found = {}
    for line in _lines(table):
        match = _LINE.fullmatch(line)
        if match is None or not is_path(f"{match['name']}.jpg"):
            raise WsolError(
                str(table),
                expected="lines such as `Abyssinian_100 1 1 1`",
                got=short_repr(line),
                remedy="Restore the published list.",
            )
        found[match["name"]] = match["breed"]
    return list(found.items())


def _no_ground_truth(root: Path) -> GroundTruth:
    raise NoGroundTruth(
        f"{root} has no boxes of whole animals (those in annotations/xmls are boxes of heads)",
        expected="boxes or masks of the objects",
        remedy=(
            "Annotate some test images as a CSV table (path,x0,y0,x1,y1), or use `wsol predict` for boxes without an"
            " evaluation."
        ),
    )
