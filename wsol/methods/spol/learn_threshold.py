"""After stage 3: learn the threshold between object and background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from wsol.config.options import RunConfig
from wsol.data.loader import ImageLoader, batch_size, in_order
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.image_threshold import THRESHOLDS as IMAGE_THRESHOLDS
from wsol.geometry.image_threshold import ImageThreshold
from wsol.geometry.threshold_sweep import largest_component, layers_at
from wsol.methods.passes import evenly_spaced
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
"""Maximum number of evenly spaced training images. Their mean IoU is accurate to one point, and the curve is flat near
its maximum."""
QUIET = 0.95
"""Fraction of the training images without an object in which nothing is found."""
THRESHOLDS = np.arange(1, 100) / 100
ONE_HALF = np.array([0.5])

Plane = Float32[np.ndarray, "size size"]
Mask = Bool[np.ndarray, "size size"]
Fits = Float[np.ndarray, " thresholds"]
"""IoU of one image at each of `THRESHOLDS`."""


class Best(NamedTuple):
    """A threshold and its mean IoU over images."""

    threshold: float
    mean_iou: float


def learn(data: DataSet, seg: Path, store: PseudoStore, config: RunConfig, progress: Progress) -> LearnedThreshold:
    """Learn the thresholds with the highest IoU against the pseudo masks, and write them to `seg`.

    One process learns them for all. Thresholds that were written before are kept.

    Args:
        data: the training images.
        seg: folder of stage 3's network.
        store: the pseudo masks.
        config: the configuration of the run.
        progress: receives messages and progress.

    Returns:
        The thresholds and their IoU.

    Raises:
        WsolError: no pseudo mask has an object, or the file is damaged.
    """
    engine = choose_engine(config.device, config.precision)
    if part().is_first and read_threshold(seg) is None:
        refuse_link(seg)
        with_object, empty = (
            [number for number in store.usable() if data.has_object(data.train[number]) == has_object]
            for has_object in (True, False)
        )
        boxes, masks = _fits(data, seg, store, with_object, config, engine, progress)
        learned = learned_of(boxes, masks, _peaks(data, seg, empty, config, engine, progress))
        write_threshold(seg, learned)
        progress.say(
            f"{STAGE}: {learned.threshold:.2f}, the midpoint of the thresholds with the highest box IoU"
            f" ({learned.box_threshold:.2f}, IoU {learned.box_iou:.2f}) and mask IoU ({learned.mask_threshold:.2f}, IoU"
            f" {learned.mask_iou:.2f}) on {number_of(learned.n, 'pseudo mask')}; each heatmap is shifted so that the"
            " image's own threshold is there"
        )
    wait_for_all(engine)
    written = read_threshold(seg)
    assert written is not None, "the first process has just written it"
    return written


def _fits(
    data: DataSet,
    seg: Path,
    store: PseudoStore,
    usable: Sequence[int],
    config: RunConfig,
    engine: Engine,
    progress: Progress,
) -> tuple[list[Fits], list[Fits]]:
    """Box IoU and mask IoU at each threshold, for each readable image whose pseudo mask has an object."""
    chosen = [usable[i] for i in evenly_spaced(len(usable), IMAGES)]
    boxes: list[Fits] = []
    overlaps: list[Fits] = []
    for numbers, heatmaps in _heatmaps(data, seg, chosen, config, engine, progress):
        planes = store.at_size(torch.tensor(numbers), SIZE_PX, torch.device("cpu"))
        masks = (plane.numpy() > 0.5 for plane in store.targets(planes, config.pseudo))
        for heatmap, inside, known in zip(heatmaps, *masks, strict=True):
            if np.logical_and(inside, known).any():
                evidence = upsampled(heatmap)
                boxes.append(box_fits(evidence, inside))
                overlaps.append(mask_fits(evidence, inside, known))
    if not boxes:
        raise WsolError(
            f"{STAGE}: none of {number_of(len(chosen), 'pseudo mask')} has an object",
            expected="objects in the pseudo masks",
            remedy="Train stage 1 longer (`--cam.epochs`).",
        )
    return boxes, overlaps


def _peaks(
    data: DataSet, seg: Path, empty: Sequence[int], config: RunConfig, engine: Engine, progress: Progress
) -> list[float]:
    """The highest probability in each of some readable images without an object."""
    chosen = [empty[i] for i in evenly_spaced(len(empty), IMAGES)]
    peaks: list[float] = []
    for _, heatmaps in _heatmaps(data, seg, chosen, config, engine, progress):
        peaks += heatmaps.max(axis=(1, 2)).tolist()
    return peaks


def _heatmaps(
    data: DataSet, seg: Path, chosen: Sequence[int], config: RunConfig, engine: Engine, progress: Progress
) -> Iterator[tuple[list[int], Float32[np.ndarray, "batch height width"]]]:
    """Indices and foreground probabilities of some training images, batch by batch; broken images are left out."""
    if not chosen:
        return
    network, model_config = load_mffnet(seg)
    engine.place(network)
    images = ImageLoader(
        [data.train[i].path for i in chosen], model_config.resize_px, data.image, workers=config.workers
    )
    orders = in_order(len(chosen), batch_size(images.size_px))
    with progress.task(STAGE, len(orders)) as advance:
        for batch in images.batches(orders):
            scores = score_maps(network, model_config, torch.from_numpy(batch.pixels), engine)
            yield [chosen[i] for i in batch.indices.tolist()], foreground(scores).cpu().numpy()
            advance()


def box_fits(heatmap: Plane, inside: Mask) -> Fits:
    """IoU of two boxes at each of `THRESHOLDS`: of the largest component above it, and of `inside`; 0 if nothing is
    above it.
    """
    fits = np.zeros(len(THRESHOLDS))
    boxes = largest_component(layers_at(heatmap, THRESHOLDS))
    if len(boxes) and inside.any():
        fits[: len(boxes)] = iou(
            Boxes(boxes), Boxes(largest_component(layers_at(inside.astype(np.float32), ONE_HALF)))
        )[:, 0]
    return fits


def mask_fits(heatmap: Plane, inside: Mask, known: Mask) -> Fits:
    """IoU of the pixels above each of `THRESHOLDS` and `inside`, over the known pixels; at least one must be inside."""
    ranks = np.searchsorted(THRESHOLDS.astype(np.float32), heatmap)  # number of thresholds below each pixel
    intersection, outside = (_above(ranks[known & region]) for region in (inside, ~inside))
    return np.asarray(intersection / ((known & inside).sum() + outside))


def _above(ranks: np.ndarray) -> Float[np.ndarray, " thresholds"]:
    """The number of pixels above each threshold."""
    counts = np.bincount(ranks, minlength=len(THRESHOLDS) + 1)
    return counts[::-1].cumsum()[::-1][1:].astype(np.float64)


def learned_of(boxes: list[Fits], masks: list[Fits], peaks: Sequence[float] = ()) -> LearnedThreshold:
    """The learned thresholds from box IoU and mask IoU of each image, and the peaks in images without an object."""
    box, mask = best_of(boxes), best_of(masks)
    threshold = round((box.threshold + mask.threshold) / 2, 3)
    floor = round(float(np.quantile(peaks, QUIET)), 4) if len(peaks) else 0.0
    means = (np.mean(boxes, axis=0) + np.mean(masks, axis=0)) / 2
    fits = tuple(round(float(fit), 4) for fit in np.interp(IMAGE_THRESHOLDS, THRESHOLDS, means))
    return LearnedThreshold(
        threshold=threshold,
        box_threshold=box.threshold,
        box_iou=box.mean_iou,
        mask_threshold=mask.threshold,
        mask_iou=mask.mean_iou,
        n=len(boxes),
        for_images=ImageThreshold(threshold=threshold, fits=fits, floor=floor),
    )


def best_of(rows: list[Fits]) -> Best:
    """The threshold with the highest mean IoU; the middle one of equal ones."""
    means = np.mean(rows, axis=0)
    best = np.flatnonzero(means >= means.max() - 1e-12)
    middle = int(best[len(best) // 2])
    return Best(float(THRESHOLDS[middle]), float(means[middle]))
