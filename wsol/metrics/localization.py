"""The rates of weakly supervised object localization from what was counted per image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt16

from wsol.metrics.bootstrap import Rate, rate
from wsol.metrics.evaluator import Row
from wsol.metrics.pixels import pixel_average_precision
from wsol.metrics.protocols import Protocol
from wsol.metrics.ranking import score_auc

CORRECT_IOU = 0.5
Which = Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class ProtocolResult:
    """All images under one protocol, each once, in the order of their ids; the fields of `Row`, one entry an image."""

    protocol: Protocol
    thresholds: Float[np.ndarray, " thresholds"]
    """At which the sweep is read."""
    image_ids: tuple[str, ...]
    label: Int[np.ndarray, " n"]
    iou: Float[np.ndarray, " n"]
    has_box: Bool[np.ndarray, " n"]
    has_ground_truth: Bool[np.ndarray, " n"]
    sweep: Float32[np.ndarray, "n columns"]
    peak: Int[np.ndarray, " n"]
    rank: Int[np.ndarray, " n"] | None
    """None unless every image has one."""
    mask_iou: Float[np.ndarray, " n"] | None
    """NaN for images without a ground-truth mask; None where no image has one."""
    pixels: UInt16[np.ndarray, "n 2 bins"] | None
    """No pixel counts in images without a ground-truth mask; None where no image has one."""
    score: Float[np.ndarray, " n"] | None = None
    """None unless every image has one."""

    def counted(self) -> Which:
        """The images that box rates are means over."""
        return self.has_ground_truth & self.has_box if self.protocol.empty == "left out" else self.has_ground_truth

    def has_thresholds(self) -> bool:
        """Whether boxes of maps are counted, so that one threshold may be better than another."""
        return bool(self.counted().any()) and self.sweep.shape[1] > 1

    def masked(self) -> int:
        """How many images have a ground-truth mask that was compared with."""
        if self.mask_iou is not None:
            return int(np.isfinite(self.mask_iou).sum())
        return 0 if self.pixels is None else int(self.pixels.any(axis=(1, 2)).sum())

    def is_correct(self, iou: Float[np.ndarray, "*any"], level: float = CORRECT_IOU) -> Bool[np.ndarray, "*any"]:
        """Whether a box that fits so well counts as found."""
        return iou >= level if self.protocol.correct == "at least" else iou > level

    def ranked(self, which: Which | None = None) -> tuple[int, int]:
        """How many right and how many wrong boxes the AUC of the score compares."""
        counted = self.counted() if which is None else self.counted() & which
        right = int(self.is_correct(self.iou[counted]).sum())
        return right, int(counted.sum()) - right

    def curve(self, level: float = CORRECT_IOU) -> Float[np.ndarray, " thresholds"]:
        """The share of images found, for each threshold."""
        counted = self.counted()
        found = np.zeros(len(self.thresholds))
        for peak in np.unique(self.peak[counted]):
            per_column = self.is_correct(self.sweep[counted & (self.peak == peak)], level).sum(axis=0)
            found += per_column[self._columns(int(peak))]
        return np.asarray(found / max(int(counted.sum()), 1))

    def best_threshold(self, level: float = CORRECT_IOU) -> float:
        """The threshold that finds the most images, the middle one of several. Chosen on the judged boxes."""
        return self._best[level][0]

    @cached_property
    def _best(self) -> dict[float, tuple[float, Float[np.ndarray, " n"]]]:
        """For each IoU of the protocol the best threshold, and how well each image's box fits there."""
        found = {}
        for level in self.protocol.levels:
            curve = self.curve(level)
            best = np.flatnonzero(curve == curve.max())
            place = int(best[len(best) // 2])
            columns = np.array([self._columns(peak)[place] for peak in range(256)])[self.peak]
            found[level] = float(self.thresholds[place]), self.sweep[np.arange(len(self.sweep)), columns]
        return found

    def _columns(self, peak: int) -> Int[np.ndarray, " thresholds"]:
        """Which column of the sweep each threshold reads."""
        if self.sweep.shape[1] == 1:  # boxes
            return np.zeros(len(self.thresholds), dtype=int)
        if self.protocol.geometry == "square":
            # Relative to the map's peak and cut to whole numbers, as in wsolevaluation.
            return (self.thresholds * peak).astype(int)
        return np.arange(len(self.thresholds))

    @cached_property
    def rates(self) -> dict[str, Rate]:
        """Every rate of all images, in percent."""
        return self.rates_of(np.ones(len(self.image_ids), dtype=bool))

    def rates_of(self, which: Which) -> dict[str, Rate]:
        """Every rate of some images, in percent, at the best thresholds of all images."""
        counted = which & self.counted()
        rates = {}
        if counted.any():
            rates = self._swept(counted) if self.protocol.threshold == "best" else self._at_threshold(counted)
        if self.mask_iou is not None and np.isfinite(self.mask_iou[which]).any():
            fits = self.mask_iou[which]
            rates["mask_iou"] = rate(fits[np.isfinite(fits)])
        if self.pixels is not None:
            pxap = pixel_average_precision(self.pixels[which])
            rates |= {} if pxap is None else {"pxap": pxap}
        return rates

    def _at_threshold(self, counted: Which) -> dict[str, Rate]:
        is_found = self.is_correct(self.iou)
        rates = {"gt_known": rate(is_found[counted])}
        if self.rank is not None:
            rates["top1_loc"] = rate((is_found & (self.rank < 1))[counted])
            rates["top5_loc"] = rate((is_found & (self.rank < 5))[counted])
        rates["mean_box_iou"] = rate(self.iou[counted])
        if self.has_thresholds():
            _, at_best = self._best[CORRECT_IOU]
            rates["gt_known_best_threshold"] = rate(self.is_correct(at_best)[counted])
        auc = None if self.score is None else score_auc(self.score[counted], is_found[counted])
        if auc is not None:
            rates["score_auc"] = auc
        return rates

    def _swept(self, counted: Which) -> dict[str, Rate]:
        is_found = {level: self.is_correct(at_best, level) for level, (_, at_best) in self._best.items()}
        rates = {f"box_acc_{100 * level:.0f}": rate(found[counted]) for level, found in is_found.items()}
        if self.protocol.name == "wsol-v2":
            rates["max_box_acc_v2"] = rate(np.mean(list(is_found.values()), axis=0)[counted])
        else:
            rates["max_box_acc"] = rates["box_acc_50"]
        _, at_best = self._best[CORRECT_IOU]
        return rates | {"mean_box_iou": rate(at_best[counted])}


def gather(protocol: Protocol, rows: Iterable[Row], thresholds: Float[np.ndarray, " thresholds"]) -> ProtocolResult:
    """Rows from any number of processes, in any order; an image that several of them judged counts once."""
    once = {row.image_id: row for row in rows}
    ordered = [once[image_id] for image_id in sorted(once)]
    ranks = [row.rank for row in ordered if row.rank is not None]
    scores = [row.score for row in ordered if row.score is not None]
    masks = [np.nan if row.mask_iou is None else row.mask_iou for row in ordered]
    pixels = next((row.pixels for row in ordered if row.pixels is not None), None)
    return ProtocolResult(
        protocol=protocol,
        thresholds=thresholds,
        image_ids=tuple(row.image_id for row in ordered),
        label=np.array([row.label for row in ordered], dtype=int),
        iou=np.array([row.iou for row in ordered], dtype=float),
        has_box=np.array([row.has_box for row in ordered], dtype=bool),
        has_ground_truth=np.array([row.has_ground_truth for row in ordered], dtype=bool),
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
    )
