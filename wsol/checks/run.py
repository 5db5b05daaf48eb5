"""`wsol check`: inspect a data set before training on it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsol.checks.duplicates import Group, identical_files, near_duplicates
from wsol.checks.findings import ELONGATED, FEW, HUGE_MEGAPIXELS, TIMES, TINY_PX, FindingKind, Findings, Item
from wsol.checks.image_stats import ImageStats, read_all_stats
from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.ground_truth import size_mistake
from wsol.data.images import images_under
from wsol.data.open import open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.data.unread import unread_of
from wsol.errors import BrokenImage, NoGroundTruth, WsolError
from wsol.runtime.progress import Progress
from wsol.text import number_of

Items = dict[FindingKind, list[Item]]

COMPARED = 100_000
"""Near duplicates are searched for in at most this many images, which takes a minute on two cores."""


def check(
    data: str | Path,
    *,
    images: str | Path | None = None,
    columns: str | None = None,
    image: Decoding = DEFAULT_DECODING,
    quiet: bool = False,
) -> Findings:
    """Inspect a data set before training on it: broken, odd, duplicate and unlabelled images, small classes, mistakes
    in the ground truth.

    Args:
        data: whatever `fit` or `evaluate` takes.
        images: the folder of the images, if it is not the usual folder of the data set.
        image: how image files become pixels, as for `fit`.
        columns: the columns of a table, if they have unusual names: `image=NAME,label=NAME,split=NAME`.
        quiet: print nothing on standard error.

    Returns:
        The findings, by kind.

    Raises:
        WsolError: `data` cannot be read as a data set.
    """
    opened = open_ground_truth(Path(data), None if images is None else Path(images), multi_label=True, columns=columns)
    return check_data(replace(opened, image=image), Progress(quiet=quiet))


def check_data(data: DataSet, progress: Progress, *, compared: int = COMPARED) -> Findings:
    """Decode every image once and collect the findings; near duplicates are searched for in up to `compared` images."""
    # Without a split, the test images are the training images.
    samples = (*data.train, *data.test) if data.has_split else data.train or data.test
    with progress.task("checking", len({sample.path for sample in samples})) as count_one:
        stats_of = read_all_stats([sample.path for sample in samples], count_one, data.image)
    items: Items = defaultdict(list)
    whole: dict[Sample, ImageStats] = {}
    for sample in dict.fromkeys(samples):
        stats = stats_of[sample.path]
        if isinstance(stats, BrokenImage):
            kind: FindingKind = "broken image" if os.path.exists(sample.path) else "missing image"
            items[kind].append(Item(_reason(stats, sample), (sample,)))
        else:
            whole[sample] = stats
            _check_image(sample, stats, items)
            if stats.pages > 1 and data.image.page is None:
                items["several pages"].append(Item(f"{stats.pages} pages", (sample,)))
    _check_duplicates(data, samples, whole, items, compared)
    _check_classes(data, items)
    _check_ground_truth(data, items, whole)
    items["doubtful classes"] += map(Item, data.doubts)
    items["several labels"] += [Item("", (sample,)) for sample in samples if sample.others]
    items["unused class"] += map(Item, data.unused)
    items["no usable label"] += [Item(str(mistake)) for mistake in data.mistakes]
    items["not used"] += _unused(data, {sample.path for sample in samples})
    items["type not read"] += [
        Item(f"{len(paths)} {suffix}, first {paths[0]}") for suffix, paths in unread_of(data).items()
    ]
    return Findings.of(data, items)


def _reason(error: BrokenImage, sample: Sample) -> str:
    """The reason alone: the path and the advice are shown beside it."""
    return str(error).removeprefix(f"cannot decode {sample.path}: ").split(": expected an image")[0]


def _check_image(sample: Sample, stats: ImageStats, items: Items) -> None:
    """Problems of one image by itself."""
    height, width = stats.image_hw
    applies: dict[FindingKind, bool] = {
        "tiny": min(height, width) < TINY_PX,
        "huge": stats.megapixels > HUGE_MEGAPIXELS,
        "elongated": stats.elongation > ELONGATED,
        "turned": stats.is_turned,
        "dark": stats.is_dark,
        "blank": stats.is_blank,
        "grey": stats.is_grey and not stats.is_blank,
    }
    for kind in (kind for kind, holds in applies.items() if holds):
        items[kind].append(Item(f"{width} x {height}", (sample,)))


def _check_duplicates(
    data: DataSet, samples: Sequence[Sample], whole: dict[Sample, ImageStats], items: Items, compared: int
) -> None:
    # A list may name an image both for training and for the test.
    entries = [sample for sample in samples if sample in whole]
    is_train = [i < len(data.train) for i, sample in enumerate(samples) if sample in whole]
    identical = identical_files([sample.path for sample in entries])
    for group in identical:
        _note_group(group, entries, is_train, items, ("same in train and test", "same in two classes", "same image"))
    # A blank image is similar to every other one, and a dark one has too little content to compare.
    comparable = [i for i, sample in enumerate(entries) if not (whole[sample].is_blank or whole[sample].is_dark)]
    if len(comparable) > compared:
        items["not compared"].append(
            Item(f"{len(comparable)} images, more than {compared}: near duplicates were not searched for")
        )
    elif comparable:
        file_of = {i: group[0] for group in identical for i in group}
        for group in near_duplicates(np.stack([whole[entries[i]].thumb for i in comparable])):
            group = tuple(comparable[i] for i in group)
            if len({file_of.get(i, i) for i in group}) > 1:
                kinds: Kinds = ("alike in train and test", "alike in two classes", "alike")
                _note_group(group, entries, is_train, items, kinds)


Kinds = tuple[FindingKind, FindingKind, FindingKind]


def _note_group(group: Group, entries: Sequence[Sample], is_train: Sequence[bool], items: Items, kinds: Kinds) -> None:
    """Add a group of duplicates under each kind that applies: both splits, two classes; else the plain kind."""
    across, mixed, plain = kinds
    samples = tuple(entries[i] for i in group)
    item = Item("", samples)
    is_across = len({is_train[i] for i in group}) > 1
    is_mixed = len({frozenset(sample.labels) for sample in samples}) > 1
    if is_across:
        items[across].append(item)
    if is_mixed:
        items[mixed].append(item)
    if not (is_across or is_mixed):
        items[plain].append(item)


def _check_classes(data: DataSet, items: Items) -> None:
    """Too few classes, or too few training images in a class. A list of test images alone is not trained on."""
    if not data.train:
        return
    counts = Counter(label for sample in data.train for label in sample.labels)
    if len(data.class_names) < 2:
        items["one class"].append(Item(", ".join(data.class_names)))
    for label, name in enumerate(data.class_names):
        item = Item(f"{name}: {number_of(counts[label], 'image')}")
        if not counts[label]:
            items["empty class"].append(item)
            continue
        if counts[label] < FEW:
            items["small class"].append(item)
        if counts[label] * TIMES < max(counts.values()):
            items["imbalance"].append(
                Item(f"{name}: {number_of(counts[label], 'image')}, the largest has {max(counts.values())}")
            )


def _check_ground_truth(data: DataSet, items: Items, whole: dict[Sample, ImageStats]) -> None:
    try:
        ground_truth = data.read_ground_truth()
    except NoGroundTruth as error:
        items["no truth"].append(Item(str(error)))
        return
    except WsolError as error:
        items["unusable ground truth"].append(Item(str(error)))
        return
    # Missing and broken images have kinds of their own.
    mistakes = [mistake for mistake in ground_truth.mistakes if mistake.kind not in ("missing image", "broken image")]
    sizes = (size_mistake(ground_truth, sample.image_id, stats.image_hw) for sample, stats in whole.items())
    items["wrong in the truth"] += [Item(str(mistake)) for mistake in (*mistakes, *filter(None, sizes))]
    items["no true box"] += [Item("", (sample,)) for sample in data.test if sample.image_id not in ground_truth]


def _unused(data: DataSet, used: set[Path]) -> Iterable[Item]:
    """Images below class folders that belong to no class; other layouts list their images."""
    if data.kind != "class folders":
        return
    for path in images_under(data.root):
        name = path.relative_to(data.root).as_posix()
        if path not in used and not name.startswith("masks/"):
            yield Item("", (Sample(name, path, 0),))
