"""The lists of clovaai/wsolevaluation (Choe et al. 2020): a folder of four tables, or one such folder per split.

Lines are `path`; `path,label`; `path,x0,y0,x1,y1` or `path,mask,ignored`, one or more per image; `path,width,height`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from wsol.data.ground_truth import Collector, GroundTruth, GroundTruthMask, Mistake
from wsol.data.image_files import image_root
from wsol.data.images import check_format, is_image, open_regular
from wsol.data.samples import DataSet, Sample
from wsol.data.untrusted import is_path, short_repr, size_of, whole_in
from wsol.errors import BrokenImage, NoGroundTruth, WsolError

IDS, LABELS, LOCALIZATION, SIZES = "image_ids.txt", "class_labels.txt", "localization.txt", "image_sizes.txt"
TRAIN_NAMES = ("train", "train-weaksup")
TEST_NAMES = ("test", "val", "train-fullsup")
MOST_CLASSES = 1_000_000
"""Larger numbers are not accepted as labels: class names are made for every label up to the highest."""
FIX = "Fix the line, or restore the published table."


@dataclass(frozen=True)
class _List:
    """The images of one folder of tables, each once."""

    folder: Path
    image_ids: dict[str, None]


def recognise(root: Path) -> bool:
    """Whether a folder, or its `train`, `val` or `test`, holds such tables."""
    return any(_is_list(folder) for folder in (root, *(root / name for name in (*TRAIN_NAMES, *TEST_NAMES))))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels. A folder that holds the tables itself is a test list.

    Images and masks are searched for below `images`, `root` and `root/images` (masks also below `root/masks`).

    Args:
        root: the folder of the tables, or of one such folder per split.
        images: the folder of the images, if it is not one of the usual ones.

    Raises:
        WsolError: no such tables, or a malformed line.
    """
    trains = [] if _is_list(root) else [root / name for name in TRAIN_NAMES if _is_list(root / name)]
    tests = [root] if _is_list(root) else [root / name for name in TEST_NAMES if _is_list(root / name)]
    lists = [_List(folder, dict.fromkeys(_image_ids(folder / IDS))) for folder in (*trains[:1], *tests[:1])]
    if not lists:
        raise WsolError(
            f"no {IDS} in {root}", expected="wsolevaluation's tables", remedy="Give the folder that holds them."
        )
    folders = [folder for folder in (images, root, root / "images") if folder is not None]
    mistakes: list[Mistake] = []
    samples = [_samples(one, folders, mistakes) for one in lists]
    return DataSet(
        "wsolevaluation",
        root,
        _class_names([sample for split in samples for sample in split]),
        samples[0] if trains else (),
        samples[-1] if tests else (),
        True,
        lambda: _read_truth(lists, [*folders, root / "masks"]),
        tuple(mistakes),
    )


def _is_list(folder: Path) -> bool:
    return (folder / IDS).is_file() and any((folder / name).is_file() for name in (LABELS, LOCALIZATION))


def _lines(table: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not text ({error})", expected="UTF-8", remedy="Restore the published table."
        ) from None
    except FileNotFoundError:
        raise NoGroundTruth(
            f"no {table.name} in {table.parent}",
            expected=f"the tables of wsolevaluation ({IDS}, {LABELS}, {LOCALIZATION}, {SIZES})",
            remedy="Restore that file, or write it.",
        ) from None
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _image_ids(table: Path) -> Iterator[str]:
    for number, line in _lines(table):
        if not is_path(line):
            raise WsolError(
                f"{table}, line {number}", expected="the path of an image", got=short_repr(line), remedy=FIX
            )
        yield line


def _samples(listed: _List, folders: list[Path], mistakes: list[Mistake]) -> tuple[Sample, ...]:
    labels = _labels(listed.folder / LABELS, mistakes)
    images = image_root(folders, listed.image_ids)
    unlabelled = [path for path in listed.image_ids if path not in labels]
    expected = "expected a line `path,label`, got none"
    mistakes += [Mistake("unknown class", f"{listed.folder / LABELS}, {path}", expected) for path in unlabelled]
    found = ((path, labels.get(path)) for path in listed.image_ids)
    return tuple(Sample(path, images / path, label) for path, label in found if label is not None)


def _labels(table: Path, mistakes: list[Mistake]) -> dict[str, int | None]:
    """Labels by image id; None for an image of several classes."""
    labels: dict[str, int | None] = {}
    for number, line in _lines(table):
        path, _, text = line.rpartition(",")
        label = whole_in(text)
        if not path or label is None or label >= MOST_CLASSES:
            raise WsolError(
                f"{table}, line {number}",
                expected="`path,label` with a label from 0",
                got=short_repr(line),
                remedy=FIX,
            )
        if labels.setdefault(path, label) not in (label, None):
            expected = f"expected one label of {path}, got {labels[path]} and {label}"
            mistakes.append(Mistake("several classes", f"{table}, line {number}", expected))
            labels[path] = None
    return labels


def _class_names(samples: list[Sample]) -> tuple[str, ...]:
    """The first folders of the images if they correspond one-to-one to the labels, else the labels."""
    folders = {(sample.label, _first_folder(sample.image_id)) for sample in samples}
    by_label = dict(folders)
    numbers = [str(label) for label in range(max(by_label, default=-1) + 1)]
    names = [by_label.get(label, number) for label, number in enumerate(numbers)]
    is_one_to_one = len(folders) == len(by_label) and "" not in names and len(set(names)) == len(names)
    return tuple(names if is_one_to_one else numbers)


def _first_folder(image_id: str) -> str:
    folder, slash, _ = image_id.partition("/")
    return folder if slash else ""


def _read_truth(lists: list[_List], mask_folders: list[Path]) -> GroundTruth:
    ground_truth = Collector(corners_are_pixels=True)
    for listed in lists:
        table = listed.folder / LOCALIZATION
        if listed is not lists[-1] and not table.exists():  # published training lists have no localization.txt
            continue
        lines = list(_lines(table))
        collect = partial(_collect_masks, folders=mask_folders) if _has_masks(lines) else _collect_boxes
        located = collect(ground_truth, listed, lines)
        for path in listed.image_ids:
            if path not in located:
                ground_truth.note("no true box", f"{table}, {path}", "expected at least one line, got none")
    return ground_truth.ground_truth()


def _has_masks(lines: list[tuple[int, str]]) -> bool:
    fields = lines[0][1].rsplit(",", 2) if lines else []
    return len(fields) == 3 and is_image(Path(fields[1]))


def _collect_boxes(ground_truth: Collector, listed: _List, lines: list[tuple[int, str]]) -> set[str]:
    """Add the lines to the collector; returns the image ids in them."""
    table = str(listed.folder / LOCALIZATION)
    sizes = _sizes(listed.folder / SIZES)
    found: set[str] = set()
    for number, line in lines:
        where = f"{table}, line {number}"
        try:
            path, *texts = line.rsplit(",", 4)
            x0, y0, x1, y1 = map(float, texts)
        except ValueError:
            raise WsolError(where, expected="`path,x0,y0,x1,y1`", got=short_repr(line), remedy=FIX) from None
        if path not in listed.image_ids:
            ground_truth.note("unknown image", where, f"expected an image of {IDS}, got {path}")
        elif path in sizes:
            ground_truth.add(path, (x0, y0, x1, y1), sizes[path], where)
        elif path not in found:
            ground_truth.note("no true box", where, f"expected a line `{path},width,height` in {SIZES}, got none")
        found.add(path)
    return found


def _sizes(table: Path) -> dict[str, tuple[int, int]]:
    """(height, width) by image id."""
    sizes = {}
    for number, line in _lines(table):
        path, *texts = line.rsplit(",", 2)
        width, height = (whole_in(text) or 0 for text in texts) if len(texts) == 2 else (0, 0)
        image_hw = size_of(height, width)
        if image_hw is None:
            raise WsolError(
                f"{table}, line {number}",
                expected="`path,width,height` in whole pixels",
                got=short_repr(line),
                remedy=FIX,
            )
        sizes[path] = image_hw
    return sizes


def _collect_masks(
    ground_truth: Collector, listed: _List, lines: list[tuple[int, str]], folders: list[Path]
) -> set[str]:
    """Add the lines to the collector; returns the image ids in them."""
    table = listed.folder / LOCALIZATION
    masks: dict[str, list[str]] = defaultdict(list)
    ignored: dict[str, list[str]] = defaultdict(list)
    for number, line in lines:
        path, *files = line.rsplit(",", 2)
        if len(files) != 2 or not files[0] or not all(map(is_path, files)):
            raise WsolError(f"{table}, line {number}", expected="`path,mask,ignored`", got=short_repr(line), remedy=FIX)
        if path not in listed.image_ids:
            ground_truth.note("unknown image", f"{table}, line {number}", f"expected an image of {IDS}, got {path}")
            continue
        masks[path].append(files[0])
        ignored[path] += filter(None, files[1:])
    sizes: Mapping[str, tuple[int, int]] = _sizes(listed.folder / SIZES) if (listed.folder / SIZES).exists() else {}
    holder = image_root(folders, (files[0] for files in masks.values()))
    for path, files in masks.items():
        is_object, is_ignored = (tuple(holder / name for name in names) for names in (files, ignored[path]))
        ground_truth.add_mask(path, partial(_read_mask, is_object, is_ignored), sizes.get(path))
    return set(masks)


def _read_mask(objects: tuple[Path, ...], ignored: tuple[Path, ...], image_hw: tuple[int, int]) -> GroundTruthMask:
    """The union of all objects; pixels that are both object and ignored are object."""
    is_object = _any_of(objects, image_hw)
    return GroundTruthMask(is_object, _any_of(ignored, image_hw) & ~is_object)


def _any_of(paths: tuple[Path, ...], image_hw: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    found = np.zeros(image_hw, dtype=bool)
    for path in paths:
        found |= _decoded(path, image_hw)
    return found


def _decoded(path: Path, image_hw: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    # OpenCV from file to threshold, as in the reference evaluator, for the same grey values and nearest pixels.
    check_format(path)  # OpenCV reads more formats than wsol
    try:
        with open_regular(path) as file:
            grey = cv2.imdecode(np.frombuffer(file.read(), dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
        reason = "its format is unknown"
    except (OSError, cv2.error) as error:
        grey, reason = None, str(error).strip()
    if grey is None:
        raise BrokenImage(
            f"cannot decode the mask {path}: {reason}", expected="an image", remedy="Restore it, or its list."
        )
    return np.asarray(cv2.resize(np.float32(grey), image_hw[::-1], interpolation=cv2.INTER_NEAREST) > 0.5)
