"""Stage 2: the true class's map of every training picture, and its Gaussian prior (Wei et al. 2021, Alg. 1, line 3)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from wsol import pseudo_store
from wsol.config import Pseudo, RunConfig
from wsol.data.pictures import Batch, Pictures
from wsol.data.samples import DataSet
from wsol.engine import Engine, choose_engine, gathered, wait_for_all
from wsol.errors import WsolError
from wsol.folders import file_hash, is_finished, write_manifest
from wsol.inference import class_maps, score_maps
from wsol.launch import part
from wsol.models.checkpoint import MffCard, load_mffnet
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.opinions import BATCH_SIZE
from wsol.progress import Progress
from wsol.pseudo import GAUSSIANS_PER_IMAGE, fit_gaussians, share_of_peak
from wsol.pseudo_store import ABSENT, EMPTY, NOT_FINITE, WHOLE, PseudoStore
from wsol.run_config import save_config
from wsol.shards import (
    PARTS,
    Shards,
    assemble_skipped,
    batches_of,
    clear,
    open_scratch,
    skipped_of,
    unfinished,
    write_parts,
)
from wsol.stopwatch import Stopwatch, figures_of
from wsol.together import new_shared_folder

STAGE = "make-pseudo"


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Write `run/pseudo`: one small map and its Gaussians per training picture. Thresholds apply when it is read.

    Launched as several processes, each makes its shards.

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
    folder, is_first = run / "pseudo", part().is_first
    if is_finished(folder, STAGE, settings, inputs):
        if is_first:
            clear(folder)
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    engine = choose_engine(config.device, config.precision)
    engine.place(network)
    started = time.perf_counter()
    if is_first:
        save_config(run, config)
    with new_shared_folder(folder, engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
            _claim(scratch, data, card.resize_px, network, engine, config.pseudo)
        wait_for_all(engine)
        shards = Shards(scratch / PARTS, len(data.train), ".npy")
        record = np.load(scratch / pseudo_store.FILE, mmap_mode="r").dtype
        watches = gathered([_make(shards, record, data, network, card, engine, config, progress)], engine)
        if is_first:
            counts = _assemble(shards, scratch, data)
            figures = (
                counts
                | {"bytes": (scratch / pseudo_store.FILE).stat().st_size}
                | figures_of(watches, time.perf_counter() - started)
            )
            write_manifest(scratch, STAGE, settings, inputs, figures)
    if is_first:
        clear(folder)
        progress.say(
            f"{STAGE}: {counts['usable']} maps, {counts['empty']} empty, {counts['not_finite']} not finite, {counts['broken_pictures']} broken pictures"
        )
    return folder


def _claim(
    scratch: Path, data: DataSet, side_px: int, network: torch.nn.Module, engine: Engine, pseudo: Pseudo
) -> None:
    """The whole store, before the work begins: where there is no room for it, one need not wait to be told."""
    if (scratch / pseudo_store.FILE).exists():
        return
    with torch.inference_mode():
        map_hw = tuple(network(torch.zeros(1, 3, side_px, side_px, device=engine.device)).fused.shape[2:])
    pseudo_store.create(scratch, [s.image_id for s in data.train], map_hw, GAUSSIANS_PER_IMAGE[pseudo.gaussian])


def _make(
    shards: Shards, record: np.dtype, data: DataSet, network: MffNet | OriginalCam, card: MffCard, engine: Engine, config: RunConfig, progress: Progress,
) -> Stopwatch:  # fmt: skip
    """Write the parts of this process that an earlier run has not left."""
    todo = unfinished(shards, part(), lambda shard: _read(shards, shard, record) is not None)
    orders = batches_of(shards, todo, BATCH_SIZE)
    everything = len(batches_of(shards, part().of(range(len(shards))), BATCH_SIZE))
    pictures = Pictures([sample.path for sample in data.train], card.resize_px, workers=config.workers)
    with progress.task(STAGE, everything, done=everything - len(orders)) as advance:
        watch = Stopwatch(sum(map(len, orders)))

        def records(batch: Batch) -> np.ndarray:
            labels = torch.tensor([data.train[i].label for i in batch.indices.tolist()])
            maps = class_maps(score_maps(network, card, batch.pixels, engine), labels)
            found = np.zeros(len(labels), record)
            found["state"] = _states(maps)  # waits for the device, so that the next lap is the Gaussians' own
            watch.lap("network")
            shares = share_of_peak(maps)
            found["map"] = pseudo_store.encode(shares).cpu().numpy()
            found["gaussians"] = fit_gaussians(shares, config.pseudo).cpu().numpy()
            watch.lap("gaussians")
            return found

        found = _numbered(pictures.batches(orders), records, watch, advance)
        ids = [sample.image_id for sample in data.train]
        write_parts(
            shards, todo, found, lambda shard, rows: _to_bytes(shards.items(shard), rows, record), ids, pictures.broken
        )
    return watch


def _numbered(
    batches: Iterator[Batch],
    records: Callable[[Batch], np.ndarray],
    watch: Stopwatch,
    advance: Callable[[], None],
) -> Iterator[tuple[int, np.void]]:
    for batch in batches:
        watch.lap("waiting")
        yield from zip(batch.indices.tolist(), records(batch), strict=True)
        advance()


def _states(maps: torch.Tensor) -> np.ndarray:
    peaks = maps.float().amax((1, 2)).cpu().numpy()
    return np.where(~np.isfinite(peaks), NOT_FINITE, np.where(peaks > 0, WHOLE, EMPTY))


def _to_bytes(items: range, rows: dict[int, np.void], record: np.dtype) -> bytes:
    records = np.zeros(len(items), record)
    for number, row in rows.items():
        records[number - items.start] = row
    file = io.BytesIO()
    np.save(file, records)
    return file.getvalue()


def _read(shards: Shards, shard: int, record: np.dtype) -> np.ndarray | None:
    """The records of a part; None if it is damaged."""
    try:
        records = np.load(shards.path(shard), mmap_mode="r")
    except (ValueError, OSError, EOFError):
        return None
    return records if records.dtype == record and len(records) == len(shards.items(shard)) else None


def _assemble(shards: Shards, scratch: Path, data: DataSet) -> dict[str, int]:
    """Copy all parts into the store, every picture there or skipped."""
    store = np.load(scratch / pseudo_store.FILE, mmap_mode="r+")
    for shard in range(len(shards)):
        items, records = shards.items(shard), _read(shards, shard, store.dtype)
        absent = [] if records is None else np.flatnonzero(records["state"] == ABSENT).tolist()
        skipped = [row["image"] for row in skipped_of(shards, shard)]
        if records is None or [data.train[items[i]].image_id for i in absent] != skipped:
            raise WsolError(
                f"{shards.path(shard)} is damaged: expected the maps of {len(items)} pictures. Remove it, and the same command makes it again."
            )
        store[items.start : items.stop] = records
    store.flush()
    for _ in assemble_skipped(shards, scratch / "skipped.json"):
        pass
    counts = PseudoStore(scratch).counts()
    if not counts["usable"]:
        raise WsolError(
            f"{STAGE}: none of {len(data.train)} maps can be used ({counts}): expected stage 1 to have learned something. Train it longer, or look at {scratch.parent / 'cam'}."
        )
    return counts
