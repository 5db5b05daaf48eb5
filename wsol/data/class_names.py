"""Class names that look the same: two Unicode forms of a name are one class, another case or spacing is refused."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from wsol.data.ground_truth import GroundTruth, ImageTruth
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes
from wsol.text import number_of


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS writes `é` in file names as two characters."""
    return unicodedata.normalize("NFC", name)


def with_distinct_names(data: DataSet) -> DataSet:
    """Compose the class names, and make sure that they can be told apart.

    Args:
        data: the data set.

    Returns:
        The data set; classes whose composed names are equal are one. It is the same if all names are composed.

    Raises:
        WsolError: two names differ only in upper and lower case or in spaces. For single letters it is a doubt.
    """
    if any(name != composed(name) for name in data.class_names):
        data = _with_composed_names(data)
    similar: defaultdict[str, list[str]] = defaultdict(list)
    for name in data.class_names:
        similar[" ".join(name.split()).casefold()].append(name)
    groups = [names for names in similar.values() if len(names) > 1]
    letters = [names for names in groups if all(len(name) == 1 for name in names)]
    for names in groups:
        if names not in letters:
            raise _similar(data, names)
    doubts = [f"{' and '.join(map(repr, names))} are two classes" for names in letters]
    return replace(data, doubts=(*data.doubts, *doubts)) if doubts else data


def _similar(data: DataSet, names: list[str]) -> WsolError:
    samples = {sample.image_id: sample for sample in (*data.train, *data.test)}
    counts = Counter(data.class_names[label] for sample in samples.values() for label in sample.labels)
    listed = " and ".join(f"{name!r} ({number_of(counts[name], 'image')})" for name in names)
    return WsolError(
        f"classes of {data.root} differ only in upper and lower case or in spaces",
        expected="one spelling of each class",
        got=listed,
        remedy="Write the name in one way; if they are different classes, give them different names.",
    )


def _with_composed_names(data: DataSet) -> DataSet:
    names = tuple(dict.fromkeys(map(composed, data.class_names)))
    number = {name: label for label, name in enumerate(names)}
    new_label = {label: number[composed(name)] for label, name in enumerate(data.class_names)} | {NO_LABEL: NO_LABEL}

    def relabelled(samples: Iterable[Sample]) -> tuple[Sample, ...]:
        found = []
        for sample in samples:
            first, *others = dict.fromkeys(new_label[label] for label in sample.labels)
            found.append(replace(sample, label=first, others=tuple(others)))
        return tuple(found)

    train = relabelled(data.train)
    return replace(
        data,
        class_names=names,
        train=train,
        test=train if data.test is data.train else relabelled(data.test),
        read_ground_truth=lambda: _composed_truth(data.read_ground_truth()),
        unused=tuple(dict.fromkeys(map(composed, data.unused))),
        no_object=frozenset(new_label[label] for label in data.no_object),
        unlabelled=Splits(*map(relabelled, data.unlabelled)),
    )


def _composed_truth(ground_truth: GroundTruth) -> GroundTruth:
    by_id = {image_id: replace(one, by_class=_composed_classes(one)) for image_id, one in ground_truth.by_id.items()}
    return replace(ground_truth, by_id=by_id)


def _composed_classes(truth: ImageTruth) -> dict[str, ImageTruth]:
    found: dict[str, ImageTruth] = {}
    for name, one in truth.by_class.items():
        before = found.get(composed(name))
        if before is None:
            found[composed(name)] = one
        else:  # both forms in one image: two masks are not joined
            boxes = Boxes(np.concatenate([before.boxes.xyxy, one.boxes.xyxy]))
            found[composed(name)] = replace(before, boxes=boxes, read_mask=None)
    return found
