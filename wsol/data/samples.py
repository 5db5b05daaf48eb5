"""The data set that every reader returns. Boxes and masks are separate, so that training cannot use them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.ground_truth import GroundTruth, Mistake
from wsol.errors import WsolError
from wsol.storage.folders import text_hash
from wsol.text import number_of

WNID = re.compile(r"n\d{8}")
"""A WordNet id, which is ImageNet's name of a class."""
IMAGENET_FILE = "ILSVRC2012_val_"
WITHOUT_OBJECT = ("BACKGROUND_Google", "257.clutter")
"""Classes of published data sets (Caltech-101, Caltech-256) whose images contain no object."""
NO_LABEL = -1
"""Label of an image that is listed without any."""


@dataclass(frozen=True)
class Sample:
    """One labelled image; `image_id` is its path relative to the image root of the data set, with forward slashes."""

    image_id: str
    path: Path
    label: int
    others: tuple[int, ...] = ()
    """Further labels of an image with several."""

    @property
    def labels(self) -> tuple[int, ...]:
        """All labels."""
        return (self.label, *self.others)

    def of_each_label(self) -> tuple[Sample, ...]:
        """The image once for each of its labels; the rest are its `others`."""
        labels = self.labels
        return tuple(
            replace(self, label=label, others=(*labels[:i], *labels[i + 1 :])) for i, label in enumerate(labels)
        )


class Splits(NamedTuple):
    """Images of both splits; without a split they are in both."""

    train: tuple[Sample, ...] = ()
    test: tuple[Sample, ...] = ()


NO_IMAGES = Splits()


@dataclass(frozen=True)
class DataSet:
    """A data set on disk; its ground truth is read only by `read_ground_truth`. Either split may be empty."""

    kind: str
    root: Path
    class_names: tuple[str, ...]
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    has_split: bool
    read_ground_truth: Callable[[], GroundTruth]
    """Boxes and masks by image id. Raises `WsolError` if the data set has none."""
    mistakes: tuple[Mistake, ...] = ()
    """Why images were left out of `train` and `test`: their label cannot be used."""
    listed: tuple[Path, ...] = ()
    """Existing folders whose contents are the classes or images of the data set, except hidden files."""
    doubts: tuple[str, ...] = ()
    """Doubts whether the layout was read as intended, as sentences."""
    unused: tuple[str, ...] = ()
    """Classes that were left out, since no image has this class alone."""
    no_object: frozenset[int] = frozenset()
    """Labels of the classes whose images contain no object."""
    unlabelled: Splits = NO_IMAGES
    """Images that are listed without any label. They are left out, unless they are images without an object."""
    image: Decoding = DEFAULT_DECODING
    """How its image files become pixels."""

    def has_object(self, sample: Sample) -> bool:
        """Whether an image contains an object, by its classes."""
        return not self.no_object.issuperset(sample.labels)

    @property
    def is_multi_label(self) -> bool:
        """Whether a training image has several labels."""
        return any(sample.others for sample in self.train)

    @property
    def is_imagenet(self) -> bool:
        """Whether these are images of ImageNet in any layout: by their file names, or by WordNet ids as classes."""
        named = any(IMAGENET_FILE in sample.image_id for sample in self.test[:20])
        return named or all(WNID.fullmatch(name) for name in self.class_names)

    def notes(self) -> list[str]:
        """Notes for the user before training."""
        names = ", ".join(self.unused[:5]) + (", ..." if len(self.unused) > 5 else "")
        unused = [f"no image has only one of these classes, so they are left out: {names}"] if self.unused else []
        empty = [
            f"the images of {name} contain no object: `--no-object {name}`"
            for label, name in enumerate(self.class_names)
            if name in WITHOUT_OBJECT and label not in self.no_object
        ]
        return [*unused, *self.doubts, *empty]

    def training_hash(self) -> str:
        """A hash of the training data: names, classes and file sizes of the training images, and how they are read."""
        lines = (
            f"{s.image_id}\t{'|'.join(self.class_names[label] for label in s.labels)}\t{s.path.stat().st_size}"
            for s in self.train
            if s.path.exists()
        )
        changes = self.image.changes()
        return text_hash(chain(lines, [f"{changes}"] if changes else []))

    def describe(self) -> str:
        """The data set in one line: kind, path, and the numbers of classes and images."""
        counts = Counter(label for sample in self.train or self.test for label in sample.labels)
        if not self.train:
            split = f"{number_of(len(self.test), 'test image')}, none to train on"
        elif self.has_split:
            split = f"{len(self.train)} training and {number_of(len(self.test), 'test image')}"
        else:
            split = f"{number_of(len(self.train), 'image')}, no split"
        several = sum(bool(sample.others) for sample in self.train or self.test)
        split += f", {several} with several labels" if several else ""
        left_out = f", {number_of(len(self.mistakes), 'image')} left out" if self.mistakes else ""
        left_out += f", {number_of(len(self.unused), 'unused class', 'unused classes')} left out" if self.unused else ""
        few, many = min(counts.values(), default=0), max(counts.values(), default=0)
        return (
            f"{self.kind} {self.root}: {number_of(len(self.class_names), 'class')}, {split}, {few} to {many} a"
            f" class{left_out}"
        )


def checked(data: DataSet) -> DataSet:
    """The data set, if it can be trained on.

    Raises:
        WsolError: no training images, fewer than two classes, or a class without training images.
    """
    if not data.train:
        raise WsolError(
            f"no training images in {data.root} ({data.describe()})",
            expected="at least one of each class",
            remedy="Add a training split, or use it as the ground truth of an evaluation only.",
        )
    if len(data.class_names) < 2:
        raise WsolError(
            f"{data.root} has one class ({data.class_names[0]})",
            expected="at least two",
            remedy=(
                "A network learns no localization from one class; add a class of other images (for example of the same"
                " scenes without the object)."
            ),
        )
    empty = set(range(len(data.class_names))) - {label for sample in data.train for label in sample.labels}
    if empty:
        names = ", ".join(data.class_names[label] for label in sorted(empty)[:5])
        raise WsolError(
            f"{number_of(len(empty), f'class of {data.root} has', f'classes of {data.root} have')} no training images"
            f" ({names})",
            expected="at least one",
            remedy="Add images, or remove the class.",
        )
    return data
