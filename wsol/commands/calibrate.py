"""Learn the box threshold of a run, and the probabilities behind its scores, from a few annotated boxes."""

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
from wsol.data.loader import ImageLoader, batch_size, in_order
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

MIN_IMAGES = 5
MIN_OVERLAP = 0.1
"""At least one box must reach this IoU at some threshold; even a heatmap of noise reaches more with boxes of the same
images."""
PROTOCOL = PROTOCOLS["original"]


def format_threshold(threshold: float) -> str:
    """A threshold with two decimals, or three if the third is not 0, as for learned thresholds."""
    return f"{threshold:.3f}".removesuffix("0")


@dataclass(frozen=True)
class Comparison:
    """A metric in percent, before and after the calibration, on the same images."""

    own: Rate
    """With the run's own threshold and unchanged scores."""
    calibrated: Rate
    """With a calibration on all other images (leave-one-out)."""
    difference: Rate
    """`calibrated` minus `own`, paired by image."""


@dataclass(frozen=True)
class CalibrationData:
    """The annotated images to learn from."""

    data: DataSet
    sample: ReviewedSample | None = None
    """The reviewed sample; None for the boxes of a data set."""


@dataclass(frozen=True)
class Accuracy:
    """How often the run is right, estimated on a random sample of images."""

    right: int
    """Number of images whose box has an IoU of at least 0.5 with an annotated one, or that have neither. The threshold
    is that of the calibration, chosen on the other images."""
    n: int
    """Size of the sample."""
    accepted: int
    """Number of images whose boxes were accepted as predicted."""

    @property
    def rate(self) -> Rate:
        """In percent, with Wilson's 95 % interval for all images."""
        return wilson(self.right, self.n)

    def __str__(self) -> str:
        """The estimate in a sentence."""
        rate = self.rate
        return (
            f"{self.right} of the {number_of(self.n, 'image')} drawn at random are right (IoU of at least"
            f" {CORRECT_IOU}): expect {rate.value:.0f} % of all such images to be right ({rate.low:.0f} to"
            f" {rate.high:.0f}, Wilson's interval).{self._about_accepted()}"
        )

    def _about_accepted(self) -> str:
        if not self.accepted:
            return ""
        return (
            f" {number_of(self.accepted, 'box was', 'boxes were')} accepted as predicted, which biases mean box IoU and"
            " threshold towards the default."
        )


@dataclass(frozen=True)
class CalibrationResult:
    """The calibration, and its effect on images that it was not learned from."""

    calibration: Calibration
    own_threshold: float
    tried_threshold: float
    """The threshold that the boxes choose. If it is significantly worse on images that it was not chosen on, the
    calibration keeps the run's own."""
    right: int
    """Number of images with a right box at the threshold of the calibration."""
    gt_known: Comparison
    mean_box_iou: Comparison
    brier: Comparison
    """Mean squared difference between the score and 1 for a right box, 0 for a wrong one (Brier 1950); lower is
    better."""
    left_out: tuple[str, ...]
    """Why some annotated images were not used."""
    mistakes: tuple[Mistake, ...]
    """What is wrong with the boxes."""
    accuracy: Accuracy | None = None
    """None if the images are not a random sample."""

    def verdict(self) -> str:
        """Whether the calibration is a gain: a sentence about the threshold, and perhaps one about the scores."""
        return f"{self._about_threshold()} {self._about_scores()}".rstrip()

    def _about_scores(self) -> str:
        brier = self.brier.difference
        shown = f"Brier {brier.value:+.1f} ({brier.low:+.1f} to {brier.high:+.1f})"
        if brier.low > 0:
            return f"The scores stay unchanged: as probabilities they would be worse, {shown}. More boxes would help."
        if self.calibration.curve is None:
            return (
                f"The scores stay unchanged: among these {self.calibration.n} boxes, of which {self.right} are right,"
                " higher scores are not right more often. More boxes, right and wrong ones, would help."
            )
        if brier.high < 0:
            return f"The scores are better as probabilities: {shown}."
        return ""

    def _about_threshold(self) -> str:
        gain, tried = self.mean_box_iou.difference, self.tried_threshold
        shown = f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f}) points of mean box IoU"
        if tried == self.own_threshold:
            return (
                f"The threshold stays at {format_threshold(tried)}: no other one is clearly better on these"
                f" {self.calibration.n} boxes."
            )
        if gain.low > 0:
            return f"Threshold {format_threshold(tried)} is better: {shown} on images that it was not chosen on."
        if gain.high < 0:
            return (
                f"The threshold stays at {format_threshold(self.own_threshold)}: {format_threshold(tried)}, the choice"
                f" of these {self.calibration.n} boxes, is worse, {shown} on images that it was not chosen on."
                " More boxes would help."
            )
        return (
            f"No significant gain with threshold {format_threshold(tried)}: {shown} on images that it was not chosen"
            " on. More boxes would help."
        )

    def as_json(self) -> dict[str, Any]:
        """The content of the `--json` file."""
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


def calibration_data(boxes: Path | None, reviewed: Path | None, images: Path | None) -> CalibrationData:
    """Open what to learn from.

    Args:
        boxes: a data set with annotated boxes.
        reviewed: instead of `boxes`, a prediction folder with a reviewed sample.
        images: the folder of the images, if they have moved.

    Returns:
        The annotated images.

    Raises:
        WsolError: not exactly one of the two, no data set, or a review without a sample or with undecided images.
    """
    if (boxes is None) == (reviewed is None):
        raise WsolError("nothing to calibrate with", expected="either boxes or reviewed", remedy="Name one of them.")
    if boxes is not None:
        return CalibrationData(open_ground_truth(boxes, images))
    assert reviewed is not None
    opened = open_predictions(reviewed)
    sample = reviewed_sample(opened if images is None else replace(opened, image_root=images))
    return CalibrationData(sample.data, sample)


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
) -> CalibrationResult:
    """Learn the box threshold of a run, and the probabilities behind its scores, from a few annotated boxes.

    Writes `run/calibration.json`, which `predict` and `evaluate` then use. Class labels are not needed.

    Args:
        run: a finished run.
        boxes: images with annotated boxes, in any format that `evaluate` accepts; not the images that you evaluate on.
        reviewed: instead of `boxes`, a folder that `predict` wrote, after `wsol review REVIEWED --sample 20`.
        images: the folder of the images, if they have moved.
        dry_run: compute the result without writing it.
        device, precision, quiet: as for `predict`.

    Returns:
        The calibration and its effect, with 95 % intervals.

    Raises:
        WsolError: the run or the review is unfinished, fewer than `MIN_IMAGES` images have a usable box, no box
            overlaps its prediction, or another command writes the run.

    Example:
        `wsol.calibrate("runs/birds", reviewed="boxes").gt_known`
    """
    run = Path(run)
    source = calibration_data(*(None if one is None else Path(one) for one in (boxes, reviewed, images)))
    progress = Progress(quiet=quiet)
    with nullcontext() if dry_run else held(run, "wsol calibrate", "name another run"):
        return _calibrated(run, source, is_dry=dry_run, device=device, precision=precision, progress=progress)


def _calibrated(
    run: Path, source: CalibrationData, *, is_dry: bool, device: str, precision: Precision, progress: Progress
) -> CalibrationResult:
    data = source.data
    ground_truth = data.read_ground_truth()
    # Without a split, the test images are the training images.
    samples = list({one.image_id: one for one in (*data.train, *data.test) if _has_box(ground_truth, one)}.values())
    _check_enough(len(samples), source, (), ground_truth)
    opened = Run.open(run)
    own = opened.box().threshold
    localizer = Localizer.load(run, threshold=own, device=device, precision=precision)
    if not localizer.networks.has_maps:
        raise WsolError(
            f"{run} has no threshold to learn",
            expected="a method with heatmaps",
            got=f"{opened.config.method}, which predicts boxes directly",
            remedy="Use the run without a calibration.",
        )
    images, left_out = _fit_images(localizer, samples, ground_truth, own, progress)
    _check_enough(len(images), source, left_out, ground_truth)
    empty, broken = ([], 0) if source.sample is None else _fit_empty(localizer, source.sample.empty)
    image_fits = _ImageFits(images, own_grid(own), own, empty, localizer.box)
    _check_overlap(run, data, image_fits, progress)
    everything = np.ones(len(images), dtype=bool)
    chosen = image_fits.choice(everything)
    gt_known, mean_box_iou, brier = _leave_one_out(image_fits, image_fits.choices_of_others(), empty_at=chosen)
    index = chosen
    if mean_box_iou.difference.high < 0:  # significantly worse on images that it was not chosen on
        index = image_fits.own
        brier = _leave_one_out(image_fits, np.full(len(images), index), empty_at=index)[2]
    curve = None if brier.difference.low > 0 else image_fits.curve(index, everything)
    calibration = new_calibration(
        opened.calibrated_weights, data.root, float(image_fits.thresholds[index]), curve, len(images)
    )
    if not is_dry:
        write_calibration(run, calibration)
    return CalibrationResult(
        calibration,
        own,
        float(image_fits.thresholds[chosen]),
        int(image_fits.is_right[:, index].sum()),
        gt_known,
        mean_box_iou,
        brier,
        tuple(left_out),
        (*data.mistakes, *ground_truth.mistakes),
        (
            None
            if source.sample is None
            else _accuracy(
                source.sample,
                image_fits,
                index,
                gt_known.own if index == image_fits.own else gt_known.calibrated,
                len(left_out) + broken,
            )
        ),
    )


def _accuracy(sample: ReviewedSample, image_fits: _ImageFits, index: int, gt_known: Rate, left_out: int) -> Accuracy:
    """The accuracy on all images of the sample that can be read, including those without an object."""
    right = round(gt_known.value / 100 * len(image_fits.images)) + int(
        np.isnan(image_fits.wrong_scores_at(index)).sum()
    )
    return Accuracy(right, sample.drawn - left_out, sample.accepted)


def _has_box(ground_truth: GroundTruth, sample: Sample) -> bool:
    return sample.image_id in ground_truth and len(ground_truth[sample.image_id].boxes) > 0


def _check_enough(n: int, source: CalibrationData, left_out: Sequence[str], ground_truth: GroundTruth) -> None:
    data = source.data
    if n < MIN_IMAGES:
        check_there(data.root, (*data.train, *data.test))
        why = (
            f"The first that was left out: {left_out[0]}."
            if left_out
            else remedy_for(ground_truth.mistakes)
            if ground_truth.mistakes
            else ""
        )
        raise WsolError(
            f"too few usable boxes in {data.root}",
            expected=f"at least {MIN_IMAGES} images with one",
            got=f"{n}",
            remedy=f"{_more_boxes(source)} {why}".rstrip(),
        )


def _more_boxes(source: CalibrationData) -> str:
    if source.sample is None:
        return "Annotate more images; 20 to 50 are a good number."
    drawn, others = source.sample.drawn, source.sample.drawn - len(source.data.test) - len(source.sample.empty)
    more = shlex.join(["wsol", "review", f"{source.data.root}", "--sample", f"{max(50, 2 * drawn)}"])
    empty = len(source.sample.empty)
    return (
        f"Of {number_of(drawn, 'drawn image')}, {empty} {'has' if empty == 1 else 'have'} no object, and {others}"
        f" {'was' if others == 1 else 'were'} rejected. `{more}` draws more."
    )


def _check_overlap(run: Path, data: DataSet, image_fits: _ImageFits, progress: Progress) -> None:
    """Refuse boxes that do not overlap the predictions, since any threshold would do; warn if none fits well."""
    best = float(image_fits.fits.max())
    if best < MIN_OVERLAP:
        raise WsolError(
            f"none of {number_of(len(image_fits.images), 'box')} of {data.root} overlaps the prediction of {run} at any"
            f" threshold (the best IoU is {best:.2f})",
            expected="boxes x0,y0,x1,y1 in pixels around the objects of these images",
            remedy="Check that the boxes belong to these images, and that the run finds the objects (`wsol report`).",
        )
    if best < CORRECT_IOU:
        progress.say(
            f"warning: none of {number_of(len(image_fits.images), 'box')} reaches an IoU of {CORRECT_IOU} at any"
            f" threshold (the best is {best:.2f}), so little can be learned. Check that the corners are x0,y0,x1,y1 in"
            " pixels, and what the run finds (`wsol report`)."
        )


@dataclass(frozen=True)
class _ImageFit:
    """The heatmap of an image, and the IoU of its box with the annotated one at each threshold."""

    heatmap: Heatmap
    image_hw: tuple[int, int]
    fits: Float[np.ndarray, " thresholds"]
    colours: Colours | None = None


def _fit_images(
    localizer: Localizer, samples: Sequence[Sample], ground_truth: GroundTruth, own: float, progress: Progress
) -> tuple[list[_ImageFit], list[str]]:
    """Predict and compare each image; the second list says why some were left out."""
    evaluator = Evaluator([PROTOCOL], {PROTOCOL.name: own})
    images = ImageLoader([sample.path for sample in samples], localizer.size_px, localizer.image)
    fits, left_out = [], []
    orders = in_order(len(samples), batch_size(images.size_px))
    with progress.task("calibrate", len(orders)) as advance:
        for batch in images.batches(orders):
            outputs = localizer.outputs(batch.pixels)
            assert outputs.heatmaps is not None and outputs.colours is not None, "has_maps is true"
            for i, heatmap, colours, (height, width) in zip(
                batch.indices.tolist(), outputs.heatmaps, outputs.colours, batch.image_hw.tolist(), strict=True
            ):
                sample, image_hw = samples[i], (height, width)
                annotated = ground_truth[sample.image_id]
                if annotated.image_hw not in (None, image_hw):
                    what = f"expected the (height, width) {annotated.image_hw} of its annotation, got {image_hw}"
                    left_out.append(str(Mistake("other size", sample.image_id, what)))
                    continue
                result = ImageResult(sample.image_id, sample.label, image_hw, heatmap)
                row = evaluator(result, ImageTruth(annotated.boxes, image_hw))[PROTOCOL.name]
                fits.append(_ImageFit(heatmap, image_hw, row.sweep.astype(float), colours))
            advance()
    return fits, [*left_out, *images.broken.values()]


def _fit_empty(localizer: Localizer, samples: Sequence[Sample]) -> tuple[list[_ImageFit], int]:
    """Predict images without an object, in which every box is wrong; the second value counts unreadable images."""
    images = ImageLoader([sample.path for sample in samples], localizer.size_px, localizer.image)
    fits = []
    for batch in images.batches(in_order(len(samples), batch_size(images.size_px))):
        outputs = localizer.outputs(batch.pixels)
        assert outputs.heatmaps is not None and outputs.colours is not None, "has_maps is true"
        rows = zip(outputs.heatmaps, outputs.colours, batch.image_hw.tolist(), strict=True)
        fits += [
            _ImageFit(heatmap, (height, width), np.zeros(0), colours) for heatmap, colours, (height, width) in rows
        ]
    return fits, len(images.broken)


class _ImageFits:
    """All images, and the threshold and curve that any subset of them chooses.

    Images without an object (`empty`) choose no threshold. The boxes predicted in them are wrong, which the curve and
    the accuracy count.
    """

    def __init__(
        self,
        images: Sequence[_ImageFit],
        thresholds: Float[np.ndarray, " thresholds"],
        own: float,
        empty: Sequence[_ImageFit] = (),
        box: Box | None = None,
    ) -> None:
        self.images = images
        self.empty = empty
        self._box = box or Box()
        self.thresholds = thresholds
        self.own = int(np.searchsorted(thresholds, own))
        self.fits = np.stack([one.fits for one in images])
        self.is_right = self.fits >= CORRECT_IOU
        self.scores_at = cache(self._scores_at)  # only few thresholds are ever chosen
        self.wrong_scores_at = cache(self._wrong_scores_at)

    def _scores_at(self, index: int) -> Float[np.ndarray, " n"]:
        """The score of each image's largest object at a threshold; 0 if there is none."""
        box = Box(threshold=float(self.thresholds[index]))
        objects_of = [find_objects(one.heatmap, one.image_hw, box, one.colours) for one in self.images]
        return np.array([objects[0].score if objects else 0.0 for objects in objects_of])

    def _wrong_scores_at(self, index: int) -> Float[np.ndarray, " empty"]:
        """The score of the largest object predicted in each image without an object; NaN if nothing is found there."""
        box = Box(**self._box.model_dump() | {"threshold": float(self.thresholds[index])})
        objects_of = [find_objects(one.heatmap, one.image_hw, box, one.colours) for one in self.empty]
        return np.array([objects[0].score if objects else np.nan for objects in objects_of])

    def choice(self, which: Bool[np.ndarray, " n"]) -> int:
        """The index of the threshold that the images of a mask choose."""
        return chosen_threshold(self.fits[which], self.thresholds, float(self.thresholds[self.own]))

    def choices_of_others(self) -> Int[np.ndarray, " n"]:
        """For each image, the index of the threshold that all other images choose."""
        return np.array([self.choice(which) for which in ~np.eye(len(self.images), dtype=bool)])

    def curve(self, index: int, which: Bool[np.ndarray, " n"], without: int | None = None) -> ScoreCurve | None:
        """The score curve of the images of a mask, and of all images without an object but one, at a threshold; None if
        it does not rise.
        """
        wrong = self.wrong_scores_at(index)
        wrong = np.delete(wrong, [] if without is None else without)
        wrong = wrong[~np.isnan(wrong)]
        is_right = np.append(self.is_right[which, index], np.zeros(len(wrong), dtype=bool))
        return fitted_curve(np.append(self.scores_at(index)[which], wrong), is_right)


def _leave_one_out(
    image_fits: _ImageFits, indices: Int[np.ndarray, " n"], *, empty_at: int | None = None
) -> tuple[Comparison, Comparison, Comparison]:
    """GT-known Loc, mean box IoU and Brier score, for each image at its own threshold, with the curve that all other
    images give there. Images without an object have a Brier score only, at one threshold (by default the run's own).
    """
    n = len(image_fits.images)
    others = ~np.eye(n, dtype=bool)
    rows = np.arange(n)
    fits, is_right = image_fits.fits[rows, indices], image_fits.is_right[rows, indices]
    scores = np.array([image_fits.scores_at(index)[i] for i, index in enumerate(indices.tolist())])
    curves = [image_fits.curve(index, which) for index, which in zip(indices.tolist(), others, strict=True)]
    predicted = np.array(
        [
            score if curve is None else probability(curve, score)
            for curve, score in zip(curves, scores.tolist(), strict=True)
        ]
    )
    own_fits, own_right, own_scores = (
        image_fits.fits[:, image_fits.own],
        image_fits.is_right[:, image_fits.own],
        image_fits.scores_at(image_fits.own),
    )
    return (
        _compared(own_right.astype(float), is_right.astype(float)),
        _compared(own_fits, fits),
        _compared(
            np.append((own_scores - own_right) ** 2, np.nan_to_num(image_fits.wrong_scores_at(image_fits.own)) ** 2),
            np.append((predicted - is_right) ** 2, _wrong_probabilities(image_fits, empty_at) ** 2),
        ),
    )


def _wrong_probabilities(image_fits: _ImageFits, empty_at: int | None) -> Float[np.ndarray, " empty"]:
    """Of each box in an image without an object, by the curve of all other images; 0 if nothing is found there."""
    index = image_fits.own if empty_at is None else empty_at
    everything = np.ones(len(image_fits.images), dtype=bool)
    found = []
    for one, score in enumerate(np.nan_to_num(image_fits.wrong_scores_at(index)).tolist()):
        curve = image_fits.curve(index, everything, without=one)
        found.append(score if curve is None or score == 0 else probability(curve, score))
    return np.array(found)


def _compared(own: Float[np.ndarray, " n"], calibrated: Float[np.ndarray, " n"]) -> Comparison:
    return Comparison(rate(own), rate(calibrated), rate(calibrated - own))
