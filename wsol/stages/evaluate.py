"""Judge a run against true boxes under protocol `original`: the picture's own pixels, the largest component, plain IoU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from wsol.boxes import Boxes, iou
from wsol.config import Box, Precision
from wsol.data.pictures import Pictures, in_order
from wsol.data.samples import DataSet, Sample, Truth
from wsol.engine import choose_engine
from wsol.errors import WsolError
from wsol.images import read_mask
from wsol.inference import BATCH_SIZE, cam_probabilities, normalised_class_maps, score_maps
from wsol.localizer import Localizer, Opinions
from wsol.maps import find_objects, sweep_ious
from wsol.metrics.localization import THRESHOLDS, Judged
from wsol.models.checkpoint import load_mffnet
from wsol.progress import Progress
from wsol.run_config import load_config

Which = Literal["seg", "cam"]
PROTOCOL = "original"


@dataclass(frozen=True)
class Evaluation:
    """A judgement, with what is needed to read it."""

    which: Which
    threshold: float
    judged: Judged
    left_out: tuple[str, ...]
    """Why test pictures were not judged: broken, or without a true box."""

    def as_json(self) -> dict[str, Any]:
        """One object of `--json`."""
        metrics = {name: rate._asdict() for name, rate in self.judged.metrics().items()}
        return {
            "protocol": PROTOCOL,
            "n": len(self.judged.iou),
            "threshold": self.threshold,
            "best_threshold": self.judged.best_threshold(),
            "metrics": metrics,
        }


def run(
    run: Path,
    data: DataSet,
    *,
    which: Which,
    threshold: float | None,
    device: str,
    precision: Precision,
    progress: Progress,
) -> Evaluation:
    """Judge stage 3's masks (`seg`), or stage 1's maps of the true class (`cam`), on the test pictures.

    Raises:
        WsolError: no boxes to judge with, an unfinished run, or a run of other classes.
    """
    truth = data.read_truth()
    samples = [sample for sample in data.test if sample.image_id in truth]
    left_out = [f"{sample.image_id}: no true box" for sample in data.test if sample.image_id not in truth]
    if not samples:
        raise WsolError(
            f"none of the {len(data.test)} test pictures of {data.root} has a true box: expected boxes by image path. Check the paths in the table of boxes."
        )
    source, box, side_px, class_names = (
        _seg(run, threshold, device, precision) if which == "seg" else _cam(run, threshold, device, precision)
    )
    if class_names != data.class_names:
        raise WsolError(
            f"{run} was trained on other classes than {data.root} has: expected {len(class_names)} ({class_names[0]}, ...), got {len(data.class_names)}. Name the data set it was trained on."
        )
    pictures = Pictures([sample.path for sample in samples], side_px, cache_gb=0, workers=None)
    judge = _Judge(truth, box)
    rows = list(_rows(pictures, samples, source, judge, progress))
    left_out += list(pictures.broken.values())
    return Evaluation(which, box.threshold, _gather(rows), tuple(left_out))


Networks = Callable[[UInt8[Tensor, "batch 3 side side"], Tensor], Opinions]


def _seg(
    run: Path, threshold: float | None, device: str, precision: Precision
) -> tuple[Networks, Box, int, tuple[str, ...]]:
    localizer = Localizer.load(run, threshold=threshold, objects="largest", device=device, precision=precision)
    return lambda pixels, labels: localizer.opinions(pixels), localizer.box, localizer.side_px, localizer.class_names


def _cam(
    run: Path, threshold: float | None, device: str, precision: Precision
) -> tuple[Networks, Box, int, tuple[str, ...]]:
    config = load_config(run)
    engine = choose_engine(device, precision)
    network, card = load_mffnet(run / "cam")
    engine.place(network)

    def opinions(pixels: Tensor, labels: Tensor) -> Opinions:
        scores = score_maps(network, card, pixels, engine)
        return Opinions(normalised_class_maps(scores, labels).cpu().numpy(), cam_probabilities(network, scores).cpu())

    return (
        opinions,
        Box(threshold=config.cam.threshold if threshold is None else threshold),
        card.resize_px,
        card.class_names,
    )


@dataclass(frozen=True)
class _Row:
    iou: float
    sweep: np.ndarray
    rank: int | None
    mask_iou: float | None


class _Judge:
    """Compares one picture's heatmap with its truth."""

    def __init__(self, truth: Mapping[str, Truth], box: Box) -> None:
        self.truth = truth
        self.box = box

    def __call__(
        self,
        sample: Sample,
        image_hw: tuple[int, int],
        heatmap: Float32[np.ndarray, "height width"],
        probabilities: Tensor | None,
    ) -> _Row:
        truth = self.truth[sample.image_id]
        found = find_objects(heatmap, image_hw, self.box)
        fits = iou(Boxes.of([one.xyxy for one in found]), truth.boxes).max(initial=0.0)
        rank = None if probabilities is None else int((probabilities > probabilities[sample.label]).sum())
        mask_iou = None
        if truth.mask is not None:
            true_mask = read_mask(truth.mask)
            if true_mask.shape != image_hw:
                raise WsolError(
                    f"{truth.mask} has (height, width) {true_mask.shape}: expected {image_hw}, the upright size of "
                    f"{sample.path}. Resize the mask, or remove it."
                )
            mask = np.logical_or.reduce([one.mask for one in found]) if found else np.zeros(image_hw, dtype=bool)
            mask_iou = float((mask & true_mask).sum() / max((mask | true_mask).sum(), 1))
        return _Row(float(fits), sweep_ious(heatmap, image_hw, truth.boxes, THRESHOLDS), rank, mask_iou)


def _rows(
    pictures: Pictures, samples: Sequence[Sample], networks: Networks, judge: _Judge, progress: Progress
) -> Iterator[_Row]:
    batches = in_order(len(samples), BATCH_SIZE)
    with (
        ThreadPoolExecutor() as pool,
        progress.task("evaluate", len(batches)) as advance,
    ):  # OpenCV lets go of the interpreter
        for batch in pictures.batches(batches):
            numbers = batch.indices.tolist()
            opinions = networks(batch.pixels, torch.tensor([samples[i].label for i in numbers]))
            probabilities = [None] * len(numbers) if opinions.probabilities is None else list(opinions.probabilities)
            sizes = [(int(h), int(w)) for h, w in batch.image_hw]
            yield from pool.map(judge, [samples[i] for i in numbers], sizes, opinions.heatmaps, probabilities)
            advance()


def _gather(rows: Sequence[_Row]) -> Judged:
    if not rows:
        raise WsolError(
            "no test picture could be read: expected one at least. See the reasons above, and repair the files."
        )
    ranks = [row.rank for row in rows if row.rank is not None]
    mask_ious = [row.mask_iou for row in rows if row.mask_iou is not None]
    return Judged(
        iou=np.array([row.iou for row in rows]),
        sweep=np.stack([row.sweep for row in rows]),
        rank=np.array(ranks) if len(ranks) == len(rows) else None,
        mask_iou=np.array(mask_ious) if len(mask_ious) == len(rows) else None,
    )
