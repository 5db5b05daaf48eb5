"""After stage 3: where its probabilities part object from background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from wsol.config.options import RunConfig
from wsol.data.loader import Pictures, in_order
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.inference.outputs import BATCH_SIZE
from wsol.methods.spol.mask_store import SIDE_PX, PseudoStore, upsampled
from wsol.models.checkpoint import load_mffnet
from wsol.models.forward import foreground, score_maps
from wsol.runs.box_threshold import (
    Fits,
    LearnedThreshold,
    box_fits,
    learned_of,
    mask_fits,
    read_threshold,
    write_threshold,
)
from wsol.runtime.engine import Engine, choose_engine, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.links import refuse_link
from wsol.text import number_of

STAGE = "learn-threshold"
PICTURES = 500
"""At most so many, spread over the training pictures: their mean IoU is known within a point, and the curve is flat at its top."""


def run(data: DataSet, seg: Path, store: PseudoStore, config: RunConfig, progress: Progress) -> LearnedThreshold:
    """The thresholds at which the network in `seg` fits the pseudo masks of `store` best; written beside it, and kept if they are there.

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
            f"{STAGE}: {learned.threshold:.2f}, midway between where boxes fit those of {number_of(learned.n, 'pseudo mask')} best ({learned.box_threshold:.2f}, IoU {learned.box_iou:.2f}) and masks do ({learned.mask_threshold:.2f}, {learned.mask_iou:.2f}); each image's own threshold is brought there"
        )
    wait_for_all(engine)
    found = read_threshold(seg)
    assert found is not None, "the first process has just written it"
    return found


def _fits(
    data: DataSet, seg: Path, store: PseudoStore, usable: Sequence[int], config: RunConfig, engine: Engine, progress: Progress
) -> tuple[list[Fits], list[Fits]]:  # fmt: skip
    """Of each picture that has an object and can be read, how well boxes and masks fit at each threshold."""
    network, card = load_mffnet(seg)
    engine.place(network)
    count = min(PICTURES, len(usable))
    chosen = [usable[i * len(usable) // count] for i in range(count)]
    pictures = Pictures([data.train[i].path for i in chosen], card.resize_px, workers=config.workers)
    orders = in_order(len(chosen), BATCH_SIZE)
    boxes: list[Fits] = []
    overlaps: list[Fits] = []
    with progress.task(STAGE, len(orders)) as advance:
        for batch in pictures.batches(orders):
            heatmaps = foreground(score_maps(network, card, batch.pixels, engine)).cpu().numpy()
            records = torch.tensor([chosen[i] for i in batch.indices.tolist()])
            planes = store.at_size(records, SIDE_PX, torch.device("cpu"))
            masks = (plane.numpy() > 0.5 for plane in store.targets(planes, config.pseudo))
            for heatmap, inside, known in zip(heatmaps, *masks, strict=True):
                if np.logical_and(inside, known).any():
                    evidence = upsampled(heatmap)
                    boxes.append(box_fits(evidence, inside))
                    overlaps.append(mask_fits(evidence, inside, known))
            advance()
    if not boxes:
        raise WsolError(
            f"{STAGE}: none of {number_of(len(chosen), 'pseudo mask')} has an object: expected stage 1 to have learned something. Train it longer (`--cam.epochs`)."
        )
    return boxes, overlaps
