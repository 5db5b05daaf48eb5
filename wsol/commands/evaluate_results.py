"""Judge any system's results against a list of truth: a folder of maps, or a file of boxes, with or without classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wsol.config.base import ProtocolName
from wsol.data.ground_truth import ImageTruth, Mistake, remedy_for
from wsol.data.image_files import check_there
from wsol.data.open import open_ground_truth
from wsol.data.readers import coco
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Boxes
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.evaluator import STEP, Evaluator, ImageResult, Row
from wsol.metrics.protocols import Empty, Protocol, chosen_protocols, default_protocols
from wsol.results.boxes import ScoredBoxes, read_boxes
from wsol.results.classes import read_classes
from wsol.results.heatmaps import find_heatmaps, read_heatmap
from wsol.runtime.progress import Progress
from wsol.runtime.threads import in_threads
from wsol.text import number_of

AT_ONCE = 128
"""Images that a thread takes at a time."""

SHOWN = 3
"""So many names, where there may be thousands."""


NOT_NAMED = 2**31 - 1
"""The rank of a class that a system does not name: never among the first five, however few classes there are."""


@dataclass(frozen=True)
class Results:
    """Where a system's results are: exactly one of maps and boxes, perhaps the classes it names, best first."""

    heatmaps: Path | None = None
    boxes: Path | None = None
    classes: Path | None = None


@dataclass(frozen=True)
class Entry:
    """One image, its truth, and where its result is."""

    image_id: str
    label: int
    truth: ImageTruth
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
    workers: int = 1,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate any system's maps or boxes against ground truth; no image is decoded, and maps are read one at a time.

    An image without a map, or with a broken one, is left out and listed; one without a box has found nothing; one
    without a class is wrong in Top-1 and Top-5.

    Args:
        truth: the data set with its boxes; where it has the images' sizes, the images need not be there.
        heatmaps: a folder with one .npy an image, named like its image id, with or without the image's own suffix.
        boxes: in place of heatmaps, COCO results, a CSV table (path,x0,y0,x1,y1), what `predict` wrote, or an export as
            coco or csv.
        classes: for Top-1 and Top-5, a CSV table (path,first,second,...), or what `predict` wrote.
        protocol: as for `evaluate`; by default original, and wsol-v1,wsol-v2 for maps.
        threshold, threshold_step, empty, images, quiet: as for `evaluate`.
        workers: threads that evaluate maps.

    Returns:
        The rates of every protocol, with intervals.

    Raises:
        WsolError: not exactly one of maps and boxes, results or ground truth are not as expected, or no such protocol.
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
    data = open_ground_truth(Path(truth), None if images is None else Path(images))
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
    truth = data.read_ground_truth()
    samples = [sample for sample in data.test if sample.image_id in truth]
    if not samples:
        check_there(data.root, data.test)
        raise WsolError(
            f"none of the {number_of(len(data.test), 'image')} of {data.root} has a truth that can be used",
            expected="boxes or masks by image path",
            remedy=remedy_for(truth.mistakes),
        )
    thresholds = _thresholds(protocols, threshold, data, has_maps=results.heatmaps is not None)
    notes: list[str] = []
    entries, left_out = _entries(results, samples, truth.by_id, data, notes)
    _check_sizes(protocols, entries, data, needs_sizes=results.boxes is not None)
    evaluator = Evaluator(protocols, thresholds, step)
    rows: list[dict[ProtocolName, Row]] = []
    with progress.task("evaluate", -(-len(entries) // AT_ONCE)) as advance:
        for judged, broken in _judged(evaluator, entries, workers):
            rows += judged
            left_out += broken
            advance()
    left_out += [f"{sample.image_id}: no true box" for sample in data.test if sample.image_id not in truth]
    return evaluation_of(
        "boxes" if results.heatmaps is None else "maps",
        evaluator,
        rows,
        expected=len(data.test),
        class_names=data.class_names,
        left_out=left_out,
        mistakes=[*data.mistakes, *truth.mistakes],
        notes=notes,
    )


def _thresholds(
    protocols: Sequence[Protocol], asked: float | None, data: DataSet, *, has_maps: bool
) -> dict[ProtocolName, float | None]:
    thresholds: dict[ProtocolName, float | None] = {}
    for one in protocols:
        thresholds[one.name] = one.threshold_for(asked, is_imagenet=data.is_imagenet)
        if has_maps and one.threshold == "own" and asked is None:
            raise WsolError(
                f"protocol {one.name} takes the system's own threshold, which a folder of maps does not tell",
                expected="--threshold",
                remedy="Give it, or use --protocol wsol-v1,wsol-v2, which look for the best.",
            )
    return thresholds if has_maps else dict.fromkeys(thresholds)


def _entries(
    results: Results, samples: Sequence[Sample], truth: Mapping[str, ImageTruth], data: DataSet, notes: list[str]
) -> tuple[list[Entry], list[str]]:
    ids = [sample.image_id for sample in samples]
    ranks = None if results.classes is None else _ranks(results.classes, samples, data.class_names, notes)
    maps = {} if results.heatmaps is None else find_heatmaps(results.heatmaps, ids)
    boxes: dict[str, ScoredBoxes] = {}
    if results.boxes is not None:
        found = read_boxes(results.boxes, ids, coco.image_ids_of(data.root) if data.kind == "COCO" else None)
        boxes = found.by_id
        if found.unknown:
            notes.append(
                f"{number_of(len(found.unknown), f'image in {results.boxes} is', f'images in {results.boxes} are')} not"
                f" in the truth: {_some(found.unknown)}"
            )
        without = sum(not len(one.boxes) for one in boxes.values())
        if without:
            notes.append(
                f"{without} of {number_of(len(samples), 'image')} {'has' if without == 1 else 'have'} no box in"
                f" {results.boxes}: counted as not found"
            )
    # All alike, or none in the file: they say nothing of which box is the surer one.
    has_scores = len({score for one in boxes.values() for score in one.scores.tolist()}) > 1
    entries, left_out = [], []
    for sample in samples:
        i = sample.image_id
        if results.heatmaps is not None and i not in maps:
            left_out.append(f"{i}: no map")
            continue
        rank = None if ranks is None else ranks.get(i, NOT_NAMED)
        own = boxes.get(i)
        found_boxes, scores = (None, None) if own is None else (own.boxes, own.scores if has_scores else None)
        entries.append(Entry(i, sample.label, truth[i], maps.get(i), found_boxes, scores, rank))
    return entries, left_out


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _ranks(file: Path, samples: Sequence[Sample], class_names: tuple[str, ...], notes: list[str]) -> dict[str, int]:
    found = read_classes(file, [sample.image_id for sample in samples], class_names)
    named = found.by_id
    if found.unknown:
        notes.append(
            f"{number_of(len(found.unknown), f'class in {file} is', f'classes in {file} are')} not in the truth:"
            f" {_some(found.unknown)}; wrong for every image"
        )
    without = len(samples) - len(named)
    if without:
        notes.append(
            f"{without} of {number_of(len(samples), 'image')} {'has' if without == 1 else 'have'} no class in {file}:"
            " counted as wrong"
        )
    places = {image_id: {label: place for place, label in enumerate(labels)} for image_id, labels in named.items()}
    return {
        sample.image_id: places[sample.image_id].get(sample.label, NOT_NAMED)
        for sample in samples
        if sample.image_id in named
    }


def _check_sizes(protocols: Sequence[Protocol], entries: Sequence[Entry], data: DataSet, *, needs_sizes: bool) -> None:
    without = next((entry.image_id for entry in entries if entry.truth.image_hw is None), None)
    needing = [one.name for one in protocols if one.geometry != "square"]
    if without is not None and (needing or needs_sizes):
        raise WsolError(
            f"the truth in {data.root} does not say how large {without} is",
            expected=f"its width and height, which {', '.join(needing) or 'boxes'} need",
            remedy="Add them (image_sizes.txt, width and height), or use --protocol wsol-v1,wsol-v2 with maps.",
        )


def _judged(
    evaluator: Evaluator, entries: Sequence[Entry], workers: int
) -> Iterator[tuple[list[dict[ProtocolName, Row]], list[str]]]:
    chunks = [entries[start : start + AT_ONCE] for start in range(0, len(entries), AT_ONCE)]
    # Threads are enough: OpenCV and the compiled component tree release the GIL.
    return in_threads(partial(_judge_chunk, evaluator), chunks, threads=workers if workers > 1 else 0)


def _judge_chunk(evaluator: Evaluator, chunk: Sequence[Entry]) -> tuple[list[dict[ProtocolName, Row]], list[str]]:
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
            entry.truth.image_hw,
            heatmap,
            boxes=entry.boxes,
            scores=entry.scores,
            rank=entry.rank,
        )
        try:
            rows.append(evaluator(result, entry.truth))
        except BrokenImage as error:
            broken.append(str(Mistake("broken mask", entry.image_id, str(error))))
    return rows, broken
