"""Evaluate the results of any system against ground truth: a folder of heatmaps, or boxes, with or without classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wsol.config.base import ProtocolName
from wsol.config.options import BoxChoice
from wsol.data.ground_truth import GroundTruth, ImageTruth, Mistake
from wsol.data.images import image_hw
from wsol.data.multi_label import with_each_label
from wsol.data.no_object import with_no_object
from wsol.data.open import open_ground_truth
from wsol.data.readers import coco
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Boxes
from wsol.metrics.empty_images import evaluated_samples, truth_of, with_empty_images, without_truth
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.evaluator import STEP, Evaluator, ImageResult, Row
from wsol.metrics.protocols import Empty, Protocol, chosen_protocols, default_protocols
from wsol.results.boxes import ScoredBoxes, read_boxes
from wsol.results.classes import read_classes
from wsol.results.heatmaps import find_heatmaps, read_heatmap
from wsol.runtime.progress import Progress
from wsol.runtime.threads import in_threads
from wsol.text import number_of

CHUNK_SIZE = 128
"""Number of images that a thread evaluates at a time."""

SHOWN_NAMES = 3
"""Number of names in a message, of perhaps thousands."""


NOT_NAMED = 2**31 - 1
"""The rank of a class that a system does not predict: never among the first five."""


@dataclass(frozen=True)
class Results:
    """Paths of the results of a system: either heatmaps or boxes, and perhaps classes, the best first."""

    heatmaps: Path | None = None
    boxes: Path | None = None
    classes: Path | None = None


@dataclass(frozen=True)
class Entry:
    """One image, its ground truth, and its result."""

    image_id: str
    label: int
    ground_truth: ImageTruth
    heatmap: Path | None
    boxes: Boxes | None
    scores: Float[np.ndarray, " n"] | None
    rank: int | None


def evaluate_results(
    truth: str | Path,
    *,
    heatmaps: str | Path | None = None,
    boxes: str | Path | None = None,
    classes: str | Path | None = None,
    protocol: str | None = None,
    threshold: float | None = None,
    threshold_step: float = STEP,
    empty: Empty = "wrong",
    images: str | Path | None = None,
    columns: str | None = None,
    no_object: str | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate the heatmaps or boxes of any system. No image is decoded; heatmaps are read one at a time.

    Images without a heatmap, or with a broken one, are left out and listed. An image without a box counts as not found,
    one without a class as wrong in Top-1 and Top-5 Loc. In images without an object every box counts as a mistake.

    Args:
        truth: a data set with annotated boxes or masks; if it contains the image sizes, the images are not needed.
        heatmaps: a folder with one .npy file per image, named after its image id, with or without its suffix.
        boxes: instead of `heatmaps`, COCO results, a CSV table (path,x0,y0,x1,y1), a folder that `predict` wrote, or an
            export as coco or csv.
        classes: for Top-1 and Top-5 Loc, a CSV table (path,first,second,...), or a folder that `predict` wrote.
        protocol: as for `evaluate`; by default original, or wsol-v1,wsol-v2 for heatmaps.
        threshold, threshold_step, empty, images, columns, quiet: as for `evaluate`.
        no_object: classes whose images contain no object, separated by commas.
        workers: number of threads that evaluate heatmaps.

    Returns:
        The rates of every protocol, with 95 % intervals.

    Raises:
        WsolError: not exactly one of heatmaps and boxes, damaged results or ground truth, or an unknown protocol.
    """
    if (heatmaps is None) == (boxes is None):
        raise WsolError("nothing to evaluate", expected="either heatmaps or boxes", remedy="Name one of them.")
    if workers < 1:
        raise WsolError("--workers", expected="at least 1", got=f"{workers}", remedy="It is a number of threads.")
    named = protocol or default_protocols(has_maps=heatmaps is not None)
    protocols = chosen_protocols(
        named, empty=empty, threshold=threshold, step=threshold_step, has_classes=classes is not None
    )
    files = [None if path is None else Path(path) for path in (heatmaps, boxes, classes)]
    opened = open_ground_truth(
        Path(truth), None if images is None else Path(images), multi_label=boxes is not None, columns=columns
    )
    data = with_no_object(with_each_label(opened), no_object)
    progress = Progress(quiet=quiet)
    if heatmaps is not None and find_spec("numba") is None:
        progress.say("note: without numba a map takes seconds; `pip install 'wsol[evaluate]'` makes it a hundredth")
    return _evaluation(Results(*files), data, protocols, threshold, threshold_step, workers, progress)


def _evaluation(
    results: Results,
    data: DataSet,
    protocols: Sequence[Protocol],
    threshold: float | None,
    step: float,
    workers: int,
    progress: Progress,
) -> Evaluation:
    ground_truth = with_empty_images(data, data.read_ground_truth())
    samples = evaluated_samples(data, ground_truth)
    thresholds = _thresholds(protocols, threshold, data, has_maps=results.heatmaps is not None)
    notes: list[str] = []
    entries, left_out = _entries(results, samples, ground_truth, data, notes)
    _check_sizes(protocols, entries, data, needs_sizes=results.boxes is not None)
    has_several = any(one.boxes is not None and len(one.boxes) > 1 for one in entries)
    evaluator = Evaluator(protocols, thresholds, step, BoxChoice(objects="all" if has_several else "largest"))
    rows: list[dict[ProtocolName, Row]] = []
    with progress.task("evaluate", -(-len(entries) // CHUNK_SIZE)) as advance:
        for chunk_rows, broken in _chunks(evaluator, entries, workers):
            rows += chunk_rows
            left_out += broken
            advance()
    left_out += without_truth(data, ground_truth)
    return evaluation_of(
        "boxes" if results.heatmaps is None else "maps",
        evaluator,
        rows,
        expected=len(data.test),
        class_names=data.class_names,
        left_out=left_out,
        mistakes=[*data.mistakes, *ground_truth.mistakes],
        notes=notes,
    )


def _thresholds(
    protocols: Sequence[Protocol], threshold: float | None, data: DataSet, *, has_maps: bool
) -> dict[ProtocolName, float | None]:
    thresholds: dict[ProtocolName, float | None] = {}
    for one in protocols:
        thresholds[one.name] = one.threshold_for(threshold, is_imagenet=data.is_imagenet)
        if has_maps and one.threshold == "own" and threshold is None:
            raise WsolError(
                f"protocol {one.name} needs the threshold of the system, which a folder of heatmaps does not contain",
                expected="--threshold",
                remedy="Give it, or use --protocol wsol-v1,wsol-v2, which search for the best threshold.",
            )
    return thresholds if has_maps else dict.fromkeys(thresholds)


def _entries(
    results: Results, samples: Sequence[Sample], ground_truth: GroundTruth, data: DataSet, notes: list[str]
) -> tuple[list[Entry], list[str]]:
    ids = list(dict.fromkeys(sample.image_id for sample in samples))
    ranks = None if results.classes is None else _ranks(results.classes, samples, data.class_names, notes)
    maps = {} if results.heatmaps is None else find_heatmaps(results.heatmaps, ids)
    boxes: dict[str, ScoredBoxes] = {}
    if results.boxes is not None:
        table = read_boxes(results.boxes, ids, coco.image_ids_of(data.root) if data.kind == "COCO" else None)
        boxes = table.by_id
        if table.unknown:
            notes.append(
                f"{number_of(len(table.unknown), f'image in {results.boxes} is', f'images in {results.boxes} are')} not"
                f" in the ground truth: {_some(table.unknown)}"
            )
        with_object = list(dict.fromkeys(sample.image_id for sample in samples if data.has_object(sample)))
        without = sum(not len(boxes[i].boxes) for i in with_object if i in boxes)
        if without:
            notes.append(
                f"{without} of {number_of(len(with_object), 'image')} {'has' if without == 1 else 'have'} no box in"
                f" {results.boxes}: counted as not found"
            )
    # Equal or absent scores do not rank the boxes.
    has_scores = len({score for one in boxes.values() for score in one.scores.tolist()}) > 1
    is_multi_label = any(sample.others for sample in samples)
    entries, left_out = [], []
    for sample in samples:
        i = sample.image_id
        if results.heatmaps is not None and i not in maps:
            left_out.append(f"{i}: no heatmap")
            continue
        rank = None if ranks is None else ranks.get((i, sample.label), NOT_NAMED)
        own = boxes.get(i)
        if own is not None and (sample.others or (is_multi_label and len(set(own.class_names)) > 1)):
            own = own.of_class(data.class_names[sample.label])
        found_boxes, scores = (None, None) if own is None else (own.boxes, own.scores if has_scores else None)
        of_image = truth_of(sample, data, ground_truth)
        assert of_image is not None, "evaluated_samples leaves such images out"
        if not of_image.has_object and of_image.image_hw is None:
            of_image = replace(of_image, image_hw=_size_of(sample.path))
        entries.append(Entry(i, sample.label, of_image, maps.get(i), found_boxes, scores, rank))
    return entries, left_out


def _size_of(path: Path) -> tuple[int, int] | None:
    """The upright (height, width) of an image in pixels; None without a usable file."""
    try:
        return image_hw(path)
    except BrokenImage:
        return None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")


def _ranks(
    file: Path, samples: Sequence[Sample], class_names: tuple[str, ...], notes: list[str]
) -> dict[tuple[str, int], int]:
    ids = list(dict.fromkeys(sample.image_id for sample in samples))
    table = read_classes(file, ids, class_names)
    named = table.by_id
    if table.unknown:
        notes.append(
            f"{number_of(len(table.unknown), f'class in {file} is', f'classes in {file} are')} not in the ground truth:"
            f" {_some(table.unknown)}; wrong for every image"
        )
    without = len(ids) - len(named)
    if without:
        notes.append(
            f"{without} of {number_of(len(ids), 'image')} {'has' if without == 1 else 'have'} no class in {file}:"
            " counted as wrong"
        )
    found = {}
    for sample in samples:
        if sample.image_id in named:
            # The other labels of the image are no wrong answers.
            wrong_or_own = [label for label in named[sample.image_id] if label not in sample.others]
            ranks = {label: rank for rank, label in enumerate(wrong_or_own)}
            found[sample.image_id, sample.label] = ranks.get(sample.label, NOT_NAMED)
    return found


def _check_sizes(protocols: Sequence[Protocol], entries: Sequence[Entry], data: DataSet, *, needs_sizes: bool) -> None:
    of_objects = (entry for entry in entries if entry.ground_truth.has_object)
    without = next((entry.image_id for entry in of_objects if entry.ground_truth.image_hw is None), None)
    needing = [one.name for one in protocols if one.geometry != "square"]
    if without is not None and (needing or needs_sizes):
        raise WsolError(
            f"the ground truth in {data.root} lacks the size of {without}",
            expected=f"its width and height, which {', '.join(needing) or 'boxes'} need",
            remedy="Add them (image_sizes.txt, width and height), or use --protocol wsol-v1,wsol-v2 with heatmaps.",
        )


def _chunks(
    evaluator: Evaluator, entries: Sequence[Entry], workers: int
) -> Iterator[tuple[list[dict[ProtocolName, Row]], list[str]]]:
    chunks = [entries[start : start + CHUNK_SIZE] for start in range(0, len(entries), CHUNK_SIZE)]
    # Threads suffice: OpenCV and the compiled component tree release the GIL.
    return in_threads(partial(_evaluate_chunk, evaluator), chunks, threads=workers if workers > 1 else 0)


def _evaluate_chunk(evaluator: Evaluator, chunk: Sequence[Entry]) -> tuple[list[dict[ProtocolName, Row]], list[str]]:
    rows, broken = [], []
    for entry in chunk:
        try:
            heatmap = None if entry.heatmap is None else read_heatmap(entry.heatmap)
        except WsolError as error:
            broken.append(f"{entry.image_id}: {error}")
            continue
        result = ImageResult(
            entry.image_id,
            entry.label,
            entry.ground_truth.image_hw,
            heatmap,
            boxes=entry.boxes,
            scores=entry.scores,
            rank=entry.rank,
        )
        try:
            rows.append(evaluator(result, entry.ground_truth))
        except BrokenImage as error:
            broken.append(str(Mistake("broken mask", entry.image_id, str(error))))
    return rows, broken
