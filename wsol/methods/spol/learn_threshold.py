"""After stage 3: where its probabilities part object from background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from wsol.config.options import RunConfig
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.image_threshold import THRESHOLDS as OF_IMAGES
from wsol.geometry.image_threshold import ImageThreshold
from wsol.geometry.threshold_sweep import largest_component, layers_at
from wsol.methods.spol.mask_store import SIZE_PX, PseudoStore, upsampled
from wsol.models.checkpoint import load_mffnet
from wsol.models.forward import foreground, score_maps
from wsol.runs.box_threshold import LearnedThreshold, read_threshold, write_threshold
from wsol.runtime.engine import Engine, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.links import refuse_link
from wsol.text import number_of

STAGE = "learn-threshold"
IMAGES = 500
"""At most so many, spread over the training images: their mean IoU is known within a point, and the curve is flat at
its top."""


def run(data: DataSet, seg: Path, store: PseudoStore, config: RunConfig, progress: Progress) -> LearnedThreshold:
    """The thresholds at which the network in `seg` fits the pseudo masks of `store` best; written beside it, and kept
    if they are there.

    One process learns them for all.

    Raises:
        WsolError: none of the masks has an object, or the file is damaged.
    """
    engine = choose_engine(config.device, config.precision)
    if part().is_first and read_threshold(seg) is None:
        refuse_link(seg)
        boxes, masks = _fits(data, seg, store, store.usable(), config, engine, progress)
        learned = learned_of(boxes, masks)
        write_threshold(seg, learned)
        progress.say(
            f"{STAGE}: {learned.threshold:.2f}, midway between where boxes fit those of"
            f" {number_of(learned.n, 'pseudo mask')} best ({learned.box_threshold:.2f}, IoU {learned.box_iou:.2f}) and"
            f" masks do ({learned.mask_threshold:.2f}, {learned.mask_iou:.2f}); each image's own threshold is brought"
            " there"
        )
    wait_for_all(engine)
    found = read_threshold(seg)
    assert found is not None, "the first process has just written it"
    return found


def _fits(
    data: DataSet,
    seg: Path,
    store: PseudoStore,
    usable: Sequence[int],
    config: RunConfig,
    engine: Engine,
    progress: Progress,
) -> tuple[list[Fits], list[Fits]]:
    """Of each image that has an object and can be read, how well boxes and masks fit at each threshold."""
    network, model_config = load_mffnet(seg)
    engine.place(network)
    count = min(IMAGES, len(usable))
    chosen = [usable[i * len(usable) // count] for i in range(count)]
    images = ImageLoader([data.train[i].path for i in chosen], model_config.resize_px, workers=config.workers)
    orders = in_order(len(chosen), BATCH_SIZE)
    boxes: list[Fits] = []
    overlaps: list[Fits] = []
    with progress.task(STAGE, len(orders)) as advance:
        for batch in images.batches(orders):
            scores = score_maps(network, model_config, torch.from_numpy(batch.pixels), engine)
            heatmaps = foreground(scores).cpu().numpy()
            records = torch.tensor([chosen[i] for i in batch.indices.tolist()])
            planes = store.at_size(records, SIZE_PX, torch.device("cpu"))
            masks = (plane.numpy() > 0.5 for plane in store.targets(planes, config.pseudo))
            for heatmap, inside, known in zip(heatmaps, *masks, strict=True):
                if np.logical_and(inside, known).any():
                    evidence = upsampled(heatmap)
                    boxes.append(box_fits(evidence, inside))
                    overlaps.append(mask_fits(evidence, inside, known))
            advance()
    if not boxes:
        raise WsolError(
            f"{STAGE}: none of {number_of(len(chosen), 'pseudo mask')} has an object",
            expected="stage 1 to have learned something",
            remedy="Train it longer (`--cam.epochs`).",
        )
    return boxes, overlaps


THRESHOLDS = np.arange(1, 100) / 100


ONE_HALF = np.array([0.5])


Plane = Float32[np.ndarray, "side side"]


Mask = Bool[np.ndarray, "side side"]


Fits = Float[np.ndarray, " thresholds"]
"""Of one image, the IoU at each of `THRESHOLDS`."""


class Best(NamedTuple):
    """A threshold and the mean IoU over images that it reaches."""

    threshold: float
    mean_iou: float


def box_fits(heatmap: Plane, inside: Mask) -> Fits:
    """IoU of the box of the largest component above each of `THRESHOLDS` with that of `inside`; 0 where nothing is
    above it.
    """
    fits = np.zeros(len(THRESHOLDS))
    found = largest_component(layers_at(heatmap, THRESHOLDS))
    if len(found) and inside.any():
        fits[: len(found)] = iou(
            Boxes(found), Boxes(largest_component(layers_at(inside.astype(np.float32), ONE_HALF)))
        )[:, 0]
    return fits


def mask_fits(heatmap: Plane, inside: Mask, known: Mask) -> Fits:
    """IoU of what is above each of `THRESHOLDS` with `inside`, among the pixels that are known. Needs a known pixel
    inside.
    """
    places = np.searchsorted(THRESHOLDS.astype(np.float32), heatmap)  # how many thresholds a pixel is above
    above = [_above(places[known & side]) for side in (inside, ~inside)]
    return np.asarray(above[0] / ((known & inside).sum() + above[1]))


def _above(places: np.ndarray) -> Float[np.ndarray, " thresholds"]:
    """How many pixels are above each threshold."""
    counts = np.bincount(places, minlength=len(THRESHOLDS) + 1)
    return counts[::-1].cumsum()[::-1][1:].astype(np.float64)


def learned_of(boxes: list[Fits], masks: list[Fits]) -> LearnedThreshold:
    """What images teach, of which each has how its boxes and its masks fit."""
    box, mask = best_of(boxes), best_of(masks)
    threshold = round((box.threshold + mask.threshold) / 2, 3)
    means = (np.mean(boxes, axis=0) + np.mean(masks, axis=0)) / 2
    fits = tuple(round(float(fit), 4) for fit in np.interp(OF_IMAGES, THRESHOLDS, means))
    return LearnedThreshold(
        threshold=threshold,
        box_threshold=box.threshold,
        box_iou=box.mean_iou,
        mask_threshold=mask.threshold,
        mask_iou=mask.mean_iou,
        n=len(boxes),
        for_images=ImageThreshold(threshold=threshold, fits=fits),
    )


def best_of(rows: list[Fits]) -> Best:
    """The threshold of the highest mean over images; of equal ones the middle."""
    means = np.mean(rows, axis=0)
    best = np.flatnonzero(means >= means.max() - 1e-12)
    place = int(best[len(best) // 2])
    return Best(float(THRESHOLDS[place]), float(means[place]))
