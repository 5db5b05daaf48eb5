"""The rates of weakly supervised object localization from what was counted per image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from wsol.metrics.bootstrap import Rate, rate

THRESHOLDS = np.arange(1, 100) / 100
"""The grid on which the best threshold is looked for."""
CORRECT_IOU = 0.5


@dataclass(frozen=True)
class Judged:
    """Per image: how well the box fits at the run's own threshold and at every threshold of the grid, and the class."""

    iou: Float[np.ndarray, " n"]
    sweep: Float[np.ndarray, "n thresholds"]
    rank: Int[np.ndarray, " n"] | None
    """Place of the true class among the predicted, 0 is first; None without a classifier."""
    mask_iou: Float[np.ndarray, " n"] | None
    """None without true masks."""

    def best_threshold(self) -> float:
        """The threshold of the grid with the most correct boxes, the middle one of several. Chosen on the judged boxes."""
        correct = (self.sweep >= CORRECT_IOU).mean(axis=0)
        best = np.flatnonzero(correct == correct.max())
        return float(THRESHOLDS[best[len(best) // 2]])

    def metrics(self) -> dict[str, Rate]:
        """GT-known, Top-1 and Top-5 Loc, mean IoU of boxes and masks, and GT-known at the best threshold, in percent."""
        is_found = self.iou >= CORRECT_IOU
        rates = {"gt_known": rate(is_found.astype(float))}
        if self.rank is not None:
            rates["top1_loc"] = rate((is_found & (self.rank < 1)).astype(float))
            rates["top5_loc"] = rate((is_found & (self.rank < 5)).astype(float))
        rates["mean_box_iou"] = rate(self.iou)
        if self.mask_iou is not None:
            rates["mask_iou"] = rate(self.mask_iou)
        at_best = self.sweep[:, self.best_threshold() == THRESHOLDS][:, 0]
        return rates | {"gt_known_best_threshold": rate((at_best >= CORRECT_IOU).astype(float))}
