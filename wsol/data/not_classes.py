"""Recognise folders that are not classes: splits of a data set, or kinds of files (images, masks, depth) of the same
images.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import pairwise
from pathlib import Path

from wsol.data.splits import SplitName, mentioned_split, split_folders, split_of, words_of
from wsol.errors import WsolError

Files = Mapping[str, Sequence[str]]
"""The images of each class folder: paths relative to that folder, without suffix."""

PIECES = frozenset({"fold", "part", "batch", "set", "subset", "split", "chunk", "shard", "half", "portion", "section"})
# fmt: off
IMAGE_KINDS = frozenset({
    "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "rgb", "color", "colour", "jpegimages",
    "original", "originals", "input", "inputs",
})
OTHER_KINDS = frozenset({
    "mask", "masks", "label", "labels", "ann", "annotation", "annotations", "gt", "groundtruth", "seg", "segmentation",
    "segmentations", "segmentationclass", "segmentationobject", "depth", "disparity", "normals", "edges", "heatmap",
    "heatmaps", "overlay", "overlays", "target", "targets", "ir", "nir", "infrared", "thermal",
})
# fmt: on
_KIND_AT_END = re.compile(rf"[ _.-]+(?:{'|'.join(sorted(IMAGE_KINDS | OTHER_KINDS))})$", re.IGNORECASE)
_NUMBER = re.compile("[0-9]+")

FEWEST_COMMON = 5
"""Two folders must have at least this many names in common before it is taken as a sign."""
SPARSE = 10
"""Numbers are taken as consecutive if most are closer than this to the next: two folders have such numbers in common by
chance."""


def check_classes(root: Path, files: Files) -> tuple[str, ...]:
    """Check that class folders can be classes.

    Args:
        root: the folder that holds the class folders.
        files: the images of each class folder.

    Returns:
        Doubts, as sentences.

    Raises:
        WsolError: the folders are certainly not classes.
    """
    _refuse_kinds(root, files)  # also folders without images: labels may be text files
    files = {name: paths for name, paths in files.items() if paths}
    if len(files) < 2:
        return ()
    below = {name: {path.split("/")[0] for path in paths if "/" in path} for name, paths in files.items()}
    _refuse_parts(root, files)
    _refuse_parts_within(root, below)
    _refuse_kinds_within(root, below)
    doubts = _same_folders(root, below)
    _refuse_shared_names(root, files)
    return doubts


def _refuse_parts(root: Path, names: Iterable[str]) -> None:
    """Refuse `test` and `val` if there is no other folder, and `birds_train` and `birds_test` in any case."""
    parts = {name: mentioned_split(name) for name in names}
    has_pair = any(len(found) > 1 for rest, found in _parts_by_rest(names).items() if rest)
    if has_pair or (len(set(parts.values())) > 1 and all(parts.values())):
        raise WsolError(
            f"{_some(parts)} in {root} look like the folders of a split",
            expected="train/<class>/ and test/<class>/, or a folder for each class",
            remedy=(
                "Rename them to train and test and sort their images by class, or give the folder that holds the"
                " classes."
            ),
        )


def _parts_by_rest(names: Iterable[str]) -> dict[tuple[str, ...], set[SplitName]]:
    """The split names by the remaining words of a folder name: `seg_train` and `seg_test` both belong to `seg`."""
    found: defaultdict[tuple[str, ...], set[SplitName]] = defaultdict(set)
    for name in names:
        words = words_of(name)
        parts = {word: part for word in words if (part := split_of(word))}
        found[tuple(word for word in words if word not in parts)].update(parts.values())
    return found


def _refuse_parts_within(root: Path, below: Mapping[str, Set[str]]) -> None:
    """Refuse `owl/train` and `owl/test` in every class: the test images would be trained on."""
    if all(_is_split(folders) for folders in below.values()):
        name, folders = next(iter(below.items()))
        raise WsolError(
            f"each class folder of {root} has its own split, {name} has {_some(folders)}",
            expected="split folders above the class folders",
            remedy=f"Move the folders: {name}/train to train/{name}, and so on.",
        )


def _is_split(folders: Set[str]) -> bool:
    """Whether there are only split folders, or both `train` and `test` beside a folder such as `ground_truth`."""
    return (
        split_folders(folders, lambda _: False) is not None or len({"train", "test"} & set(map(split_of, folders))) > 1
    )


def _refuse_kinds(root: Path, files: Files) -> None:
    """Refuse `images` and `masks`; if there are other folders, only if the two have the same file names."""
    images = [name for name in files if _kind(name) in IMAGE_KINDS]
    others = [name for name in files if _kind(name) in OTHER_KINDS]
    stems = {name: _stems(files[name]) for name in (*images, *others)} if images and others else {}
    for image, other in ((image, other) for image in images for other in others):
        if len(images) + len(others) == len(files) or _most_in_common(stems[image], stems[other]):
            raise WsolError(
                f"{image} and {other} in {root} hold different kinds of files of the same images",
                expected="a folder for each class",
                remedy=(
                    "Sort the images by class, and give that folder; masks may be beside the class folders as"
                    " masks/<class>/<image>.png."
                ),
            )


def _refuse_kinds_within(root: Path, below: Mapping[str, Set[str]]) -> None:
    """Refuse `owl/images` and `owl/masks` in every class: the masks would be trained on."""
    kinds = [{_kind(name) for name in folders} for folders in below.values()]
    if all(found & IMAGE_KINDS and found & OTHER_KINDS for found in kinds):
        name, folders = next(iter(below.items()))
        raise WsolError(
            f"each class folder of {root} holds different kinds of files of its images, {name} has {_some(folders)}",
            expected="images only",
            remedy=(
                "Move the images up into the folder of their class, and masks to masks/<class>/<image>.png beside the"
                " class folders."
            ),
        )


def _refuse_shared_names(root: Path, files: Files) -> None:
    """Refuse two folders with most file names in common; consecutive names (`000`, `IMG_0001`) do not count."""
    stems_of = {name: _without_consecutive(_stems(paths)) for name, paths in files.items()}
    sizes = {name: len(_stems(paths)) for name, paths in files.items()}
    first: dict[str, str] = {}
    common: Counter[tuple[str, str]] = Counter()
    for name, stems in stems_of.items():
        common.update((first[stem], name) for stem in stems if first.setdefault(stem, name) != name)
    for (one, other), count in common.items():
        smaller = min(sizes[one], sizes[other])
        if count >= FEWEST_COMMON and 2 * count > smaller:
            example = sorted(stems_of[one] & stems_of[other])[0]
            raise WsolError(
                f"{one} and {other} in {root} have {count} of {smaller} file names in common, such as {example}",
                expected="other images in each class; these seem to be different kinds of files of the same images",
                remedy="Keep one of the two folders, or use different file names in each class.",
            )


def _same_folders(root: Path, below: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """Doubts if every class has the same subfolders: those may be classes inside splits, or views inside classes."""
    folders = next(iter(below.values()))
    if len(folders) < 2 or any(other != folders for other in below.values()):
        return ()
    problem = f"{_some(below)} in {root} have the same folders each, {_some(folders)}"
    # At least half: `train` beside `car` and `bus` is a class.
    are_parts = 2 * sum(map(bool, map(mentioned_split, below))) >= len(below)
    if are_parts or all(PIECES.intersection(words_of(name)) for name in below):
        raise WsolError(
            f"{problem}, and look like the parts of a data set",
            expected="a folder for each class",
            remedy=(
                "If they are a split, rename them to train and test; if not, merge their folders, or give one of them."
            ),
        )
    return (f"{problem}: if those are the classes, and this is a split, rename it to train and test.",)


def _kind(name: str) -> str:
    return "".join(words_of(name))


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    if len(listed) == 2:
        return " and ".join(listed)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def _stems(paths: Iterable[str]) -> set[str]:
    """Names without suffixes such as `_mask`, so that `owl-1.jpg` and `owl-1_mask.png` have the same."""
    return {_KIND_AT_END.sub("", path) for path in paths}


def _most_in_common(one: Set[str], other: Set[str]) -> bool:
    return 2 * len(one & other) > min(len(one), len(other))


def _without_consecutive(stems: Set[str]) -> set[str]:
    """The names except consecutive ones of a camera or a script, such as `IMG_0001`, `owl (3)`, `007`, `7_224x224`."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for stem in stems:
        for match in _NUMBER.finditer(stem):
            numbers[_masked(stem, match)].append(int(match[0]))
    consecutive = {key for key, values in numbers.items() if _are_consecutive(values, is_whole_name=key == "#")}
    return {stem for stem in stems if not any(_masked(stem, match) in consecutive for match in _NUMBER.finditer(stem))}


def _are_consecutive(numbers: Sequence[int], *, is_whole_name: bool) -> bool:
    """Whether most numbers are close to the next one; a few others, such as a date, do not matter."""
    ordered = sorted(numbers)
    are_close = [above - below < SPARSE for below, above in pairwise(ordered)]
    return 2 * sum(are_close) > len(are_close) or (not are_close and is_whole_name)


def _masked(stem: str, number: re.Match[str]) -> str:
    return f"{stem[: number.start()]}#{stem[number.end() :]}"
