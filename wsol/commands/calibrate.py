"""Learn a run's box threshold, and what its scores are worth, from a few drawn boxes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from wsol.config.base import Precision
from wsol.config.options import Box
from wsol.data.ground_truth import GroundTruth, ImageTruth, Mistake, remedy_for
from wsol.data.image_files import check_there
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.data.open import open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.contrast import Colours
from wsol.geometry.objects import Heatmap, find_objects
from wsol.inference.localizer import Localizer
from wsol.metrics.bootstrap import Rate, rate, wilson
from wsol.metrics.evaluator import Evaluator, ImageResult, own_grid
from wsol.metrics.localization import CORRECT_IOU
from wsol.metrics.protocols import PROTOCOLS
from wsol.predictions.records import open_predictions
from wsol.predictions.review_sample import ReviewedSample, reviewed_sample
from wsol.runs.calibration import (
    Calibration,
    ScoreCurve,
    chosen_threshold,
    fitted_curve,
    new_calibration,
    probability,
    write_calibration,
)
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.storage.locks import held
from wsol.text import number_of

FEWEST = 5
LEAST_OVERLAP = 0.1
"""The IoU that one box at least reaches at one threshold at least; a map of noise has higher ones with boxes of the
objects."""
PROTOCOL = PROTOCOLS["original"]


def shown_threshold(threshold: float) -> str:
    """To a hundredth, or as finely as runs learn theirs where that tells it from its neighbours."""
    return f"{threshold:.3f}".removesuffix("0")


@dataclass(frozen=True)
class Compared:
    """One figure in percent, over the same images."""

    own: Rate
    """At the run's own threshold, of its scores as they are."""
    calibrated: Rate
    """Of each image by a calibration on all the others (leave-one-out)."""
    difference: Rate
    """The second less the first, image by image."""


@dataclass(frozen=True)
class Few:
    """Images with drawn boxes, and where they were drawn at random, how many there were in all."""

    data: DataSet
    sample: ReviewedSample | None = None


@dataclass(frozen=True)
class Accuracy:
    """How often the run is right, of images that were drawn at random."""

    right: int
    """With a box of an IoU of at least 0.5 with a drawn one, or neither; at the threshold that the calibration has,
    chosen by the other images."""
    n: int
    accepted: int
    """Whose boxes were left as predicted."""

    @property
    def rate(self) -> Rate:
        """In percent, with the interval in which that of all images is to be expected."""
        return wilson(self.right, self.n)

    def __str__(self) -> str:
        """A sentence."""
        share = self.rate
        return (
            f"{self.right} of the {number_of(self.n, 'image')} drawn at random are right (IoU of at least"
            f" {CORRECT_IOU}): of all images like these, expect {share.value:.0f} % to be ({share.low:.0f} to"
            f" {share.high:.0f}, Wilson's interval).{self._of_accepted()}"
        )

    def _of_accepted(self) -> str:
        if not self.accepted:
            return ""
        return (
            f" {number_of(self.accepted, 'box was', 'boxes were')} accepted as predicted: mean box IoU, and the"
            " threshold, lean to the default by that."
        )


@dataclass(frozen=True)
class Calibrated:
    """What was learned, and what it is worth on images that it was not learned from."""

    calibration: Calibration
    own_threshold: float
    tried_threshold: float
    """What the boxes chose. Where that surely loses on others than they were chosen on, the calibration keeps the run's
    own."""
    right: int
    """How many of the images have a right box at the calibration's threshold."""
    gt_known: Compared
    mean_box_iou: Compared
    brier: Compared
    """The mean squared distance of the score from 1 where the box is right and 0 where it is wrong (Brier 1950); low is
    good."""
    left_out: tuple[str, ...]
    """Why images with a box were not used."""
    mistakes: tuple[Mistake, ...]
    """What is wrong with the boxes."""
    accuracy: Accuracy | None = None
    """Where the images were drawn at random."""

    def verdict(self) -> str:
        """Whether anything was gained: a sentence for the threshold, one for the scores where it is sure."""
        return f"{self._of_threshold()} {self._of_scores()}".rstrip()

    def _of_scores(self) -> str:
        brier = self.brier.difference
        shown = f"Brier {brier.value:+.1f} ({brier.low:+.1f} to {brier.high:+.1f})"
        if brier.low > 0:
            return (
                f"The scores stay as they are, since as probabilities they would lose: {shown}. More boxes would help."
            )
        if self.calibration.curve is None:
            return (
                f"The scores stay as they are: of these {self.calibration.n} boxes, {self.right} of them right, those"
                " of a higher score are not right more often. More boxes, right ones and wrong ones, would help."
            )
        if brier.high < 0:
            return f"The scores gain as probabilities: {shown}."
        return ""

    def _of_threshold(self) -> str:
        gain, to = self.mean_box_iou.difference, self.tried_threshold
        shown = f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f}) points of mean box IoU"
        if to == self.own_threshold:
            return (
                f"The threshold stays at {shown_threshold(to)}: these {self.calibration.n} boxes do not tell a better"
                " one from it."
            )
        if gain.low > 0:
            return f"Threshold {shown_threshold(to)} gains: {shown} on images that it was not chosen on."
        if gain.high < 0:
            return (
                f"The threshold stays at {shown_threshold(self.own_threshold)}: {shown_threshold(to)}, which these"
                f" {self.calibration.n} boxes choose, loses {shown} on images that it was not chosen on. More boxes"
                " would tell."
            )
        return (
            f"No gain to be sure of at threshold {shown_threshold(to)}: {shown} on images that it was not chosen on."
            " More boxes would tell."
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        figures = {"gt_known": self.gt_known, "mean_box_iou": self.mean_box_iou, "brier": self.brier}
        return {
            "n": self.calibration.n,
            "right": self.right,
            "left_out": len(self.left_out),
            "own_threshold": self.own_threshold,
            "tried_threshold": self.tried_threshold,
            "calibration": self.calibration.model_dump(),
            "accuracy": (
                self.accuracy and {"right": self.accuracy.right, "n": self.accuracy.n, **self.accuracy.rate._asdict()}
            ),
            "metrics": {
                name: {what: rate._asdict() for what, rate in vars(one).items()} for name, one in figures.items()
            },
            "verdict": self.verdict(),
        }


def few_of(boxes: Path | None, reviewed: Path | None, images: Path | None) -> Few:
    """What to learn from: the boxes of a data set, or the sample of a review.

    Raises:
        WsolError: not exactly one of the two, no data set, or a review without a sample or with undecided images in it.
    """
    if (boxes is None) == (reviewed is None):
        raise WsolError("expected either boxes or a review to learn from. Name one of them.")
    if boxes is not None:
        return Few(open_ground_truth(boxes, images))
    assert reviewed is not None
    opened = open_predictions(reviewed)
    sample = reviewed_sample(opened if images is None else replace(opened, image_root=images))
    return Few(sample.data, sample)


def calibrate(
    run: str | Path,
    boxes: str | Path | None = None,
    *,
    reviewed: str | Path | None = None,
    images: str | Path | None = None,
    dry_run: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Calibrated:
    """Learn a run's box threshold, and what its scores are worth, from a few annotated boxes; write
    `run/calibration.json`.

    `predict` and `evaluate` then use both. The images' class labels do not matter.

    Args:
        run: a finished run.
        boxes: images with annotated boxes, whatever `evaluate` takes as ground truth; other images than those you
            evaluate on.
        reviewed: in place of boxes, what `predict` wrote, after `wsol review REVIEWED --sample 20`.
        images: the folder of the images, if they are not where boxes or review say.
        dry_run: report, and leave the run as it is.
        device, precision, quiet: as for `predict`.

    Returns:
        What was learned, and what it gains, with intervals.

    Raises:
        WsolError: an unfinished run, an unfinished review, fewer than `FEWEST` images with a usable box, none overlaps
            its prediction, or another command writes the run.

    Example:
        `wsol.calibrate("runs/birds", reviewed="boxes").gt_known`
    """
    run = Path(run)
    few = few_of(*(None if one is None else Path(one) for one in (boxes, reviewed, images)))
    progress = Progress(quiet=quiet)
    with nullcontext() if dry_run else held(run, "wsol calibrate", "name another run"):
        return _calibrated(run, few, is_dry=dry_run, device=device, precision=precision, progress=progress)


def _calibrated(
    run: Path, few: Few, *, is_dry: bool, device: str, precision: Precision, progress: Progress
) -> Calibrated:
    boxes = few.data
    ground_truth = boxes.read_ground_truth()
    # Without a split, the test images are the training images.
    samples = list({one.image_id: one for one in (*boxes.train, *boxes.test) if _has_box(ground_truth, one)}.values())
    _check_enough(len(samples), few, (), ground_truth)
    opened = Run.open(run)
    own = opened.box().threshold
    localizer = Localizer.load(run, threshold=own, device=device, precision=precision)
    if not localizer.networks.has_maps:
        raise WsolError(
            f"{run} has no threshold to learn",
            expected=f"a method with maps, and {opened.config.method} gives boxes without",
            remedy="Use it as it is.",
        )
    seen, left_out = _seen(localizer, samples, ground_truth, own, progress)
    _check_enough(len(seen), few, left_out, ground_truth)
    lessons = _Lessons(seen, own_grid(own), own)
    _check_overlap(run, boxes, lessons, progress)
    everything = np.ones(len(seen), dtype=bool)
    chosen = lessons.place(everything)
    gt_known, mean_box_iou, brier = _leave_one_out(lessons, lessons.places_of_others())
    place = chosen
    if mean_box_iou.difference.high < 0:  # what surely loses on images that it was not learned from is not taken
        place = lessons.own
        brier = _leave_one_out(lessons, np.full(len(seen), place))[2]
    curve = None if brier.difference.low > 0 else lessons.curve(place, everything)
    calibration = new_calibration(
        opened.calibrated_weights, boxes.root, float(lessons.thresholds[place]), curve, len(seen)
    )
    if not is_dry:
        write_calibration(run, calibration)
    return Calibrated(
        calibration,
        own,
        float(lessons.thresholds[chosen]),
        int(lessons.is_right[:, place].sum()),
        gt_known,
        mean_box_iou,
        brier,
        tuple(left_out),
        (*boxes.mistakes, *ground_truth.mistakes),
        (
            None
            if few.sample is None
            else _accuracy(
                few.sample,
                localizer,
                float(lessons.thresholds[place]),
                gt_known.own if place == lessons.own else gt_known.calibrated,
                len(seen),
                len(left_out),
            )
        ),
    )


def _accuracy(
    sample: ReviewedSample, localizer: Localizer, threshold: float, gt_known: Rate, n: int, left_out: int
) -> Accuracy:
    """Of all images of the sample that can be read: those without a box count too."""
    right, broken = _found_empty(sample.empty, localizer, threshold)
    return Accuracy(round(gt_known.value / 100 * n) + right, sample.drawn - left_out - broken, sample.accepted)


def _found_empty(samples: Sequence[Sample], localizer: Localizer, threshold: float) -> tuple[int, int]:
    """In how many of these the run finds nothing, and how many cannot be read."""
    images = ImageLoader([sample.path for sample in samples], localizer.size_px)
    count = 0
    for batch in images.batches(in_order(len(samples), BATCH_SIZE)):
        count += int((localizer.heatmaps(batch.pixels).max(axis=(1, 2)) <= threshold).sum())
    return count, len(images.broken)


def _has_box(ground_truth: GroundTruth, sample: Sample) -> bool:
    return sample.image_id in ground_truth and len(ground_truth[sample.image_id].boxes) > 0


def _check_enough(n: int, few: Few, left_out: Sequence[str], ground_truth: GroundTruth) -> None:
    boxes = few.data
    if n < FEWEST:
        check_there(boxes.root, (*boxes.train, *boxes.test))
        why = (
            f"The first that was left out: {left_out[0]}."
            if left_out
            else remedy_for(ground_truth.mistakes)
            if ground_truth.mistakes
            else ""
        )
        raise WsolError(
            f"{number_of(n, f'image of {boxes.root} has', f'images of {boxes.root} have')} a usable box: expected at"
            f" least {FEWEST}, since fewer tell nothing. {_more_boxes(few)} {why}".rstrip()
        )


def _more_boxes(few: Few) -> str:
    if few.sample is None:
        return "Draw more boxes; 20 to 50 are worth the while."
    drawn, others = few.sample.drawn, few.sample.drawn - len(few.data.test) - len(few.sample.empty)
    more = shlex.join(["wsol", "review", f"{few.data.root}", "--sample", f"{max(50, 2 * drawn)}"])
    return f"Of the {drawn} images drawn at random {others} are rejected, and wrong therefore. `{more}` draws more."


def _check_overlap(run: Path, boxes: DataSet, lessons: _Lessons, progress: Progress) -> None:
    """Refuse boxes of which none fits what the run finds: they would move the threshold to wherever chance has it. Warn
    where none fits well.
    """
    best = float(lessons.fits.max())
    if best < LEAST_OVERLAP:
        raise WsolError(
            f"none of {number_of(len(lessons.seen), 'box')} of {boxes.root} overlaps what {run} finds, at any threshold"
            f" (the best IoU is {best:.2f})",
            expected="boxes x0,y0,x1,y1 in pixels around the objects of these images",
            remedy="Look whether the boxes belong to these images, and whether the run finds anything (`wsol report`).",
        )
    if best < CORRECT_IOU:
        progress.say(
            f"warning: none of {number_of(len(lessons.seen), 'box')} comes to an IoU of {CORRECT_IOU} at any threshold"
            f" (the best is {best:.2f}): they teach little. Look whether the corners are x0,y0,x1,y1 in pixels, and"
            " what the run finds (`wsol report`)."
        )


@dataclass(frozen=True)
class _Seen:
    """An image: stage 3's map, and how well the box fits at each threshold."""

    heatmap: Heatmap
    image_hw: tuple[int, int]
    fits: Float[np.ndarray, " thresholds"]
    colours: Colours | None = None


def _seen(
    localizer: Localizer, samples: Sequence[Sample], ground_truth: GroundTruth, own: float, progress: Progress
) -> tuple[list[_Seen], list[str]]:
    """What the run makes of each image, and why some could not be used."""
    evaluator = Evaluator([PROTOCOL], {PROTOCOL.name: own})
    images = ImageLoader([sample.path for sample in samples], localizer.size_px)
    seen, left_out = [], []
    orders = in_order(len(samples), BATCH_SIZE)
    with progress.task("calibrate", len(orders)) as advance:
        for batch in images.batches(orders):
            said = localizer.outputs(batch.pixels)
            assert said.heatmaps is not None and said.colours is not None, "has_maps is true"
            for i, heatmap, colours, (height, width) in zip(
                batch.indices.tolist(), said.heatmaps, said.colours, batch.image_hw.tolist(), strict=True
            ):
                sample, image_hw = samples[i], (height, width)
                true = ground_truth[sample.image_id]
                if true.image_hw not in (None, image_hw):
                    what = f"expected the (height, width) {true.image_hw} that its box is for, got {image_hw}"
                    left_out.append(str(Mistake("other size", sample.image_id, what)))
                    continue
                result = ImageResult(sample.image_id, sample.label, image_hw, heatmap)
                row = evaluator(result, ImageTruth(true.boxes, image_hw))[PROTOCOL.name]
                seen.append(_Seen(heatmap, image_hw, row.sweep.astype(float), colours))
            advance()
    return seen, [*left_out, *images.broken.values()]


class _Lessons:
    """The images, and what any part of them teaches."""

    def __init__(self, seen: Sequence[_Seen], thresholds: Float[np.ndarray, " thresholds"], own: float) -> None:
        self.seen = seen
        self.thresholds = thresholds
        self.own = int(np.searchsorted(thresholds, own))
        self.fits = np.stack([one.fits for one in seen])
        self.is_right = self.fits >= CORRECT_IOU
        self.scores_at = cache(self._scores_at)  # few thresholds are ever chosen

    def _scores_at(self, place: int) -> Float[np.ndarray, " n"]:
        """The score of each image's largest object at a threshold; 0 where there is none."""
        box = Box(threshold=float(self.thresholds[place]))
        found = [find_objects(one.heatmap, one.image_hw, box, one.colours) for one in self.seen]
        return np.array([objects[0].score if objects else 0.0 for objects in found])

    def place(self, which: Bool[np.ndarray, " n"]) -> int:
        """Where the threshold lies that some of the images choose."""
        return chosen_threshold(self.fits[which], self.thresholds, float(self.thresholds[self.own]))

    def places_of_others(self) -> Int[np.ndarray, " n"]:
        """For each image where the threshold lies that all the others choose."""
        return np.array([self.place(which) for which in ~np.eye(len(self.seen), dtype=bool)])

    def curve(self, place: int, which: Bool[np.ndarray, " n"]) -> ScoreCurve | None:
        """The curve that some of the images give at a threshold, if they give one."""
        return fitted_curve(self.scores_at(place)[which], self.is_right[which, place])


def _leave_one_out(lessons: _Lessons, places: Int[np.ndarray, " n"]) -> tuple[Compared, Compared, Compared]:
    """GT-known Loc, mean box IoU and Brier score, each image at its place among the thresholds, by the curve that all
    the others teach there.
    """
    n = len(lessons.seen)
    others = ~np.eye(n, dtype=bool)
    rows = np.arange(n)
    fits, is_right = lessons.fits[rows, places], lessons.is_right[rows, places]
    scores = np.array([lessons.scores_at(place)[i] for i, place in enumerate(places.tolist())])
    curves = [lessons.curve(place, which) for place, which in zip(places.tolist(), others, strict=True)]
    predicted = np.array(
        [
            score if curve is None else probability(curve, score)
            for curve, score in zip(curves, scores.tolist(), strict=True)
        ]
    )
    own_fits, own_right, own_scores = (
        lessons.fits[:, lessons.own],
        lessons.is_right[:, lessons.own],
        lessons.scores_at(lessons.own),
    )
    return (
        _compared(own_right.astype(float), is_right.astype(float)),
        _compared(own_fits, fits),
        _compared((own_scores - own_right) ** 2, (predicted - is_right) ** 2),
    )


def _compared(own: Float[np.ndarray, " n"], calibrated: Float[np.ndarray, " n"]) -> Compared:
    return Compared(rate(own), rate(calibrated), rate(calibrated - own))
