"""Stage 2: the true class's map of every training picture, and its Gaussian prior (Wei et al. 2021, Alg. 1, line 3)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsol import pseudo_store
from wsol.config import RunConfig
from wsol.data.pictures import Pictures, in_order, write_skipped
from wsol.data.samples import DataSet
from wsol.engine import choose_engine
from wsol.errors import WsolError
from wsol.folders import file_hash, is_finished, new_folder, read_json, start_over, write_json, write_manifest
from wsol.inference import BATCH_SIZE, class_maps, score_maps
from wsol.models.checkpoint import load_mffnet
from wsol.progress import Progress
from wsol.pseudo import GAUSSIANS_PER_IMAGE, fit_gaussians, share_of_peak
from wsol.pseudo_store import EMPTY, NOT_FINITE, WHOLE, PseudoStore
from wsol.run_config import save_config

STAGE = "make-pseudo"


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Write `run/pseudo`: one small map and its Gaussians per training picture. Thresholds apply when it is read.

    Raises:
        WsolError: no stage 1 in the run, other classes than it was trained on, or no usable map at all.
    """
    network, card = load_mffnet(run / "cam")
    if card.class_names != data.class_names:
        raise WsolError(
            f"{run / 'cam'} was trained on other classes than {data.root} has: expected {len(card.class_names)}, got {len(data.class_names)}. Name the data set it was trained on."
        )
    settings = {
        "gaussian": config.pseudo.gaussian,
        "gaussian_divisor": config.pseudo.gaussian_divisor,
        "precision": config.precision,
    }
    inputs = {"training": data.training_hash(), "cam": file_hash(run / "cam" / "model.safetensors")}
    folder = run / "pseudo"
    if is_finished(folder, STAGE, settings, inputs):
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    engine = choose_engine(config.device, config.precision)
    engine.place(network)
    started = time.perf_counter()
    save_config(run, config)
    with new_folder(folder) as scratch:
        identity = {"settings": settings, "inputs": inputs}
        if (scratch / "settings.json").exists() and read_json(scratch / "settings.json", STAGE) != identity:
            start_over(scratch)
        records = _open(scratch, data, card.resize_px, network, engine.device, config)
        write_json(scratch / "settings.json", identity)
        todo = np.flatnonzero(records["state"] == pseudo_store.ABSENT)
        pictures = Pictures([data.train[i].path for i in todo], card.resize_px, cache_gb=0, workers=config.workers)
        labels = torch.tensor([data.train[i].label for i in todo])
        batches = in_order(len(todo), BATCH_SIZE)
        with progress.task(STAGE, len(batches)) as advance:
            for batch in pictures.batches(batches):
                maps = class_maps(score_maps(network, card, batch.pixels, engine), labels[batch.indices])
                shares = share_of_peak(maps)
                at = todo[batch.indices.numpy()]
                records["map"][at] = pseudo_store.encode(shares).cpu().numpy()
                records["gaussians"][at] = fit_gaussians(shares, config.pseudo).cpu().numpy()
                records["state"][at] = _states(maps)  # last: a killed run redoes what has no state
                advance()
        records.flush()
        write_skipped(scratch, [data.train[i].image_id for i in todo], pictures)
        counts = PseudoStore(scratch).counts()
        if not counts["usable"]:
            raise WsolError(
                f"{STAGE}: none of {len(data.train)} maps can be used ({counts}): expected stage 1 to have learned something. Train it longer, or look at {run / 'cam'}."
            )
        (scratch / "settings.json").unlink()
        figures = counts | {
            "bytes": (scratch / pseudo_store.FILE).stat().st_size,
            "seconds": time.perf_counter() - started,
        }
        write_manifest(scratch, STAGE, settings, inputs, figures)
    progress.say(
        f"{STAGE}: {counts['usable']} maps, {counts['empty']} empty, {counts['not_finite']} not finite, {counts['broken_pictures']} broken pictures"
    )
    return folder


def _open(
    scratch: Path, data: DataSet, side_px: int, network: torch.nn.Module, device: torch.device, config: RunConfig
) -> np.memmap[Any, Any]:
    if (scratch / pseudo_store.INDEX).exists() and (scratch / pseudo_store.FILE).exists():
        return np.lib.format.open_memmap(scratch / pseudo_store.FILE, mode="r+")
    with torch.inference_mode():
        map_hw = tuple(network(torch.zeros(1, 3, side_px, side_px, device=device)).fused.shape[2:])
    return pseudo_store.create(
        scratch, [s.image_id for s in data.train], map_hw, GAUSSIANS_PER_IMAGE[config.pseudo.gaussian]
    )


def _states(maps: torch.Tensor) -> np.ndarray:
    peaks = maps.float().amax((1, 2)).cpu().numpy()
    return np.where(~np.isfinite(peaks), NOT_FINITE, np.where(peaks > 0, WHOLE, EMPTY))
