"""The metrics of weakly supervised object localization from the rows of all images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped, UInt16

from wsol.metrics.bootstrap import Rate, mean_count, rate
from wsol.metrics.evaluator import Row
from wsol.metrics.pixels import pixel_average_precision
from wsol.metrics.protocols import Protocol
from wsol.metrics.ranking import average_precision, score_auc
from wsol.metrics.several_objects import Detections, counts_of_objects, rates_of_objects

CORRECT_IOU = 0.5
LOOSE_IOU = 0.3
OF_EMPTY_IMAGES = ("empty_correct", "false_positives")
"""Metrics of the images without an object."""
OF_IMAGE_SCORES = ("image_auroc", "image_ap", "ap_50", "recall_50", "count_right", "count_within_one")
"""Metrics of all images, with and without an object."""
Which = Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class ProtocolResult:
    """All images under one protocol, each once for each of its labels, ordered by id; the fields of `Row`."""

    protocol: Protocol
    thresholds: Float[np.ndarray, " thresholds"]
    """The thresholds at which the sweep is read."""
    image_ids: tuple[str, ...]
    label: Int[np.ndarray, " n"]
    iou: Float[np.ndarray, " n"]
    has_box: Bool[np.ndarray, " n"]
    has_ground_truth: Bool[np.ndarray, " n"]
    has_object: Bool[np.ndarray, " n"]
    """Images without an object have no ground truth."""
    sweep: Float32[np.ndarray, "n columns"]
    peak: Int[np.ndarray, " n"]
    rank: Int[np.ndarray, " n"] | None
    """None unless every image has one."""
    mask_iou: Float[np.ndarray, " n"] | None
    """NaN for images without a ground-truth mask; None if no image has one."""
    pixels: UInt16[np.ndarray, "n 2 bins"] | None
    """All zero for images without a ground-truth mask; None if no image has one."""
    score: Float[np.ndarray, " n"] | None = None
    """None unless every image has one."""
    otsu_iou: Float[np.ndarray, " n"] | None = None
    """None unless every image has one."""
    box_count: Int[np.ndarray, " n"] | None = None
    """Boxes found in images without an object; None if every image has an object or the protocol is not `original`."""
    pointing: Float[np.ndarray, " n"] | None = None
    """NaN for images without ground truth; None if there is none, or no map."""
    image_score: Float[np.ndarray, " n"] | None = None
    """None unless every image has one."""
    detections: tuple[Detections, ...] | None = None
    """None unless every image has them."""

    def is_evaluated(self) -> Which:
        """Which images are in the rates of boxes."""
        return self.has_ground_truth & self.has_box if self.protocol.empty == "left-out" else self.has_ground_truth

    def has_thresholds(self) -> bool:
        """Whether boxes come from maps, so that thresholds can be compared."""
        return bool(self.is_evaluated().any()) and self.sweep.shape[1] > 1

    def masked(self) -> int:
        """The number of images whose ground-truth mask was used."""
        if self.mask_iou is not None:
            return int(np.isfinite(self.mask_iou).sum())
        return 0 if self.pixels is None else int(self.pixels.any(axis=(1, 2)).sum())

    def empty(self, which: Which | None = None) -> int:
        """The number of images without an object, of all or of some images."""
        return int((~self.has_object if which is None else ~self.has_object & which).sum())

    def is_correct(self, iou: Float[np.ndarray, "*any"], level: float = CORRECT_IOU) -> Bool[np.ndarray, "*any"]:
        """Whether an IoU counts as a correct box, at an IoU level of the protocol."""
        return iou >= level if self.protocol.correct == "at least" else iou > level

    def ranked(self, which: Which | None = None) -> tuple[int, int]:
        """The numbers of right and of wrong boxes in the AUC of the score."""
        is_ranked = self.is_evaluated() if which is None else self.is_evaluated() & which
        right = int(self.is_correct(self.iou[is_ranked]).sum())
        return right, int(is_ranked.sum()) - right

    def curve(self, level: float = CORRECT_IOU) -> Float[np.ndarray, " thresholds"]:
        """The fraction of images with a correct box at each threshold."""
        is_evaluated = self.is_evaluated()
        correct = np.zeros(len(self.thresholds))
        for peak in np.unique(self.peak[is_evaluated]):
            per_column = self.is_correct(self.sweep[is_evaluated & (self.peak == peak)], level).sum(axis=0)
            correct += per_column[self._columns(int(peak))]
        return np.asarray(correct / max(int(is_evaluated.sum()), 1))

    def best_threshold(self, level: float = CORRECT_IOU) -> float:
        """The threshold with the most correct boxes, the middle one of several; chosen on the evaluated images."""
        return self._best[level][0]

    @cached_property
    def _best(self) -> dict[float, tuple[float, Float[np.ndarray, " n"]]]:
        """For each IoU level of the protocol, the best threshold and the IoU of each image at it."""
        by_level = {}
        for level in self.protocol.levels:
            curve = self.curve(level)
            best = np.flatnonzero(curve == curve.max())
            index = int(best[len(best) // 2])
            columns = np.array([self._columns(peak)[index] for peak in range(256)])[self.peak]
            by_level[level] = float(self.thresholds[index]), self.sweep[np.arange(len(self.sweep)), columns]
        return by_level

    def _columns(self, peak: int) -> Int[np.ndarray, " thresholds"]:
        """The column of the sweep for each threshold."""
        if self.sweep.shape[1] == 1:  # boxes
            return np.zeros(len(self.thresholds), dtype=int)
        if self.protocol.geometry == "square":
            # Relative to the map's peak and truncated to integers, as in wsolevaluation.
            return (self.thresholds * peak).astype(int)
        return np.arange(len(self.thresholds))

    @cached_property
    def rates(self) -> dict[str, Rate]:
        """Every rate of all images, in percent."""
        return self.rates_of(np.ones(len(self.image_ids), dtype=bool))

    def rates_of(self, which: Which) -> dict[str, Rate]:
        """Every rate of some images, in percent, at the best thresholds of all images."""
        counted = {name: values[which & np.isfinite(values)] for name, values in self.per_image.items()}
        rates = {name: rate(values) for name, values in counted.items() if len(values)}
        mask_iou, empty_correct = (rates.pop(name, None) for name in ("mask_iou", "empty_correct"))
        if self.score is not None and self.protocol.threshold != "best":
            boxed = which & self.is_evaluated()
            auc = score_auc(self.score[boxed], self.is_correct(self.iou[boxed]))
            rates |= {} if auc is None else {"score_auc": auc}
        rates |= {} if mask_iou is None else {"mask_iou": mask_iou}
        if self.pixels is not None:
            pxap = pixel_average_precision(self.pixels[which & self.has_object])
            rates |= {} if pxap is None else {"pxap": pxap}
        rates |= {} if empty_correct is None else {"empty_correct": empty_correct}
        return rates | self._of_counts(which)

    def _of_counts(self, which: Which) -> dict[str, Rate]:
        """What needs images without an object, and is no mean over images in percent."""
        rates, empty = {}, which & ~self.has_object
        if self.box_count is not None and empty.any():
            rates["false_positives"] = mean_count(self.box_count[empty])
        if self.image_score is not None:
            scores, has_object = self.image_score[which], self.has_object[which]
            ranked = {"image_auroc": score_auc(scores, has_object), "image_ap": average_precision(scores, has_object)}
            rates |= {name: one for name, one in ranked.items() if one is not None}
        if self.detections is not None:
            rates |= rates_of_objects([self.detections[i] for i in np.flatnonzero(which)])
        return rates

    @cached_property
    def per_image(self) -> dict[str, Float[np.ndarray, " n"]]:
        """The metrics that are means over images, by name: the value of each image in [0, 1], NaN where the image does
        not count.
        """
        boxed, values = self.is_evaluated(), {}
        if boxed.any():
            of_boxes = self._swept() if self.protocol.threshold == "best" else self._at_threshold()
            values = {name: np.where(boxed, one, np.nan) for name, one in of_boxes.items()}
        if self.pointing is not None:
            values["pointing_game"] = self.pointing
        if self.mask_iou is not None:
            values["mask_iou"] = self.mask_iou
        if self.box_count is not None:
            values["empty_correct"] = np.where(self.has_object, np.nan, self.box_count == 0)
        if self.detections is not None:
            values |= counts_of_objects(self.detections)
        return values

    def _at_threshold(self) -> dict[str, Shaped[np.ndarray, " n"]]:
        is_correct = self.is_correct(self.iou)
        values: dict[str, Shaped[np.ndarray, " n"]] = {"gt_known": is_correct}
        if self.protocol.name == "original":
            values["gt_known_30"] = self.is_correct(self.iou, LOOSE_IOU)
        if self.rank is not None:
            values["top1_loc"] = is_correct & (self.rank < 1)
            values["top5_loc"] = is_correct & (self.rank < 5)
        values["mean_box_iou"] = self.iou
        if self.has_thresholds():
            _, at_best = self._best[CORRECT_IOU]
            values["gt_known_best_threshold"] = self.is_correct(at_best)
        if self.otsu_iou is not None:
            values["gt_known_otsu"] = self.is_correct(self.otsu_iou)
        return values

    def _swept(self) -> dict[str, Shaped[np.ndarray, " n"]]:
        is_correct = {level: self.is_correct(at_best, level) for level, (_, at_best) in self._best.items()}
        values: dict[str, Shaped[np.ndarray, " n"]] = {
            f"box_acc_{100 * level:.0f}": correct for level, correct in is_correct.items()
        }
        if self.protocol.name == "wsol-v2":
            values["max_box_acc_v2"] = np.mean(list(is_correct.values()), axis=0)
        else:
            values["max_box_acc"] = values["box_acc_50"]
        _, at_best = self._best[CORRECT_IOU]
        return values | {"mean_box_iou": at_best}


def gather(protocol: Protocol, rows: Iterable[Row], thresholds: Float[np.ndarray, " thresholds"]) -> ProtocolResult:
    """Combine rows of any number of processes, in any order; an image with several rows counts once.

    Args:
        protocol: the protocol of the rows.
        rows: one per image, or per label of an image with several.
        thresholds: at which the sweep of a row is read.
    """
    once = {(row.image_id, row.label): row for row in rows}
    ordered = [once[key] for key in sorted(once)]
    ranks = [row.rank for row in ordered if row.rank is not None]
    scores = [row.score for row in ordered if row.score is not None]
    otsu = [row.otsu_iou for row in ordered if row.otsu_iou is not None]
    detections = [row.detections for row in ordered if row.detections is not None]
    image_scores = [row.image_score for row in ordered if row.image_score is not None]
    masks = [np.nan if row.mask_iou is None else row.mask_iou for row in ordered]
    pointing = [np.nan if row.pointing is None else row.pointing for row in ordered]
    has_object = np.array([row.has_object for row in ordered], dtype=bool)
    pixels = next((row.pixels for row in ordered if row.pixels is not None), None)
    return ProtocolResult(
        protocol=protocol,
        thresholds=thresholds,
        image_ids=tuple(row.image_id for row in ordered),
        label=np.array([row.label for row in ordered], dtype=int),
        iou=np.array([row.iou for row in ordered], dtype=float),
        has_box=np.array([row.has_box for row in ordered], dtype=bool),
        has_ground_truth=np.array([row.has_ground_truth for row in ordered], dtype=bool),
        has_object=has_object,
        sweep=np.stack([row.sweep for row in ordered]),
        peak=np.array([row.peak for row in ordered], dtype=int),
        rank=np.array(ranks, dtype=int) if len(ranks) == len(ordered) else None,
        mask_iou=np.array(masks) if np.isfinite(masks).any() else None,
        pixels=(
            None
            if pixels is None
            else np.stack([np.zeros_like(pixels) if row.pixels is None else row.pixels for row in ordered])
        ),
        score=np.array(scores, dtype=float) if len(scores) == len(ordered) else None,
        otsu_iou=np.array(otsu, dtype=float) if len(otsu) == len(ordered) else None,
        box_count=(
            np.array([row.box_count for row in ordered], dtype=int)
            if protocol.name == "original" and not has_object.all()
            else None
        ),
        pointing=np.array(pointing) if np.isfinite(pointing).any() else None,
        image_score=np.array(image_scores, dtype=float) if len(image_scores) == len(ordered) else None,
        detections=tuple(detections) if len(detections) == len(ordered) else None,
    )
