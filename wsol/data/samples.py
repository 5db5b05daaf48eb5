"""What a reader of any data set returns. Boxes and masks stand apart, so that training cannot see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsol.boxes import Boxes
from wsol.errors import WsolError
from wsol.folders import text_hash


@dataclass(frozen=True)
class Sample:
    """One labelled picture; `image_id` is its path below the data set's image root, with forward slashes."""

    image_id: str
    path: Path
    label: int


@dataclass(frozen=True)
class Truth:
    """What evaluation compares with: at least one box, in pixels of the upright picture, and perhaps a mask file."""

    boxes: Boxes
    mask: Path | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set on disk, its truth unread until `read_truth` is called."""

    kind: str
    root: Path
    class_names: tuple[str, ...]
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    has_split: bool
    read_truth: Callable[[], Mapping[str, Truth]]
    """Truth by image id. Raises `WsolError` where the data set has none."""

    def training_hash(self) -> str:
        """Identity of what training reads: names, labels and sizes of the training pictures."""
        lines = (
            f"{s.image_id}\t{self.class_names[s.label]}\t{s.path.stat().st_size}" for s in self.train if s.path.exists()
        )
        return text_hash(lines)

    def describe(self) -> str:
        """One line for people."""
        counts = Counter(sample.label for sample in self.train)
        split = (
            f"{len(self.train)} training and {len(self.test)} test pictures"
            if self.has_split
            else f"{len(self.train)} pictures, no split"
        )
        return f"{self.kind} {self.root}: {len(self.class_names)} classes, {split}, {min(counts.values())} to {max(counts.values())} a class"


def checked(data: DataSet) -> DataSet:
    """The data set, if something can be learned from it.

    Raises:
        WsolError: fewer than two classes, or a class without pictures.
    """
    if len(data.class_names) < 2:
        raise WsolError(
            f"{data.root} has one class ({data.class_names[0]}): expected at least two. A network that has nothing to tell apart "
            "learns no map; add a class of other pictures (for example of the same scenes without the object)."
        )
    empty = set(range(len(data.class_names))) - {sample.label for sample in data.train}
    if empty:
        names = ", ".join(data.class_names[label] for label in sorted(empty)[:5])
        raise WsolError(
            f"{len(empty)} classes of {data.root} have no training pictures ({names}): expected one at least. Add pictures, or remove the classes."
        )
    return data
