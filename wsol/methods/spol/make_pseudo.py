"""Stage 2: the pseudo mask of every training image (Wei et al. 2021, Alg. 1, line 3; or of cues that need no
training).
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wsol.config.groups import first_networks
from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.data.loader import BATCH_SIZE, SKIPPED, Batch, ImageLoader, broken_summary
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import AROUND_OTSU, brought
from wsol.methods.spol import cues
from wsol.methods.spol import mask_store as pseudo_store
from wsol.methods.spol.gaussian_prior import GAUSSIANS_PER_IMAGE, fit_gaussians
from wsol.methods.spol.mask_store import ABSENT, EMPTY, NOT_FINITE, WHOLE, PseudoStore, upsampled
from wsol.models.checkpoint import MffConfig, ModelConfig, load_mffnet
from wsol.models.forward import class_maps, score_maps
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.models.outputs import LocalizationModel, fraction_of_peak
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine, gathered, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.arrays import writable_memmap
from wsol.storage.folders import file_hash, is_finished, write_manifest
from wsol.storage.shards import (
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
from wsol.storage.shared_folder import new_shared_folder
from wsol.storage.stopwatch import Stopwatch, figures_of
from wsol.text import number_of

STAGE = "make-pseudo"


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Write `run/pseudo`: a mask of every training image, or the small map and Gaussians of one whose thresholds apply
    when it is read.

    What masks are made from without training, `run/cues`, is made first if it is not there. Launched as several
    processes, each makes its shards.

    Raises:
        WsolError: no stage 1 in the run where the masks need it, other classes than it was trained on, or no usable map
            at all.
    """
    if config.pseudo.masks == "cues":
        cues.fit(data, run, config, progress)
    source = run / first_networks(config)[0]
    settings = _settings(config)
    inputs = {"training": data.training_hash(), source.name: file_hash(_weights(source))}
    folder, is_first = run / "pseudo", part().is_first
    if is_finished(folder, STAGE, settings, inputs):
        if is_first:
            clear(folder)
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    engine = choose_engine(config.device, config.precision)
    maker = (
        _CueMasks(cues.load(run, engine), engine) if config.pseudo.masks == "cues" else _Maps.load(run, engine, config)
    )
    if maker.model_config.class_names != data.class_names:
        raise WsolError(
            f"{source} was made from other classes than {data.root} has",
            expected=f"{len(maker.model_config.class_names)}",
            got=f"{len(data.class_names)}",
            remedy="Name the data set it was made from.",
        )
    started = time.perf_counter()
    if is_first:
        save_config(run, config)
    with new_shared_folder(folder, engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
            # The whole store, before the work begins: where there is no room for it, one need not wait to be told.
            if not (scratch / pseudo_store.FILE).exists():
                pseudo_store.create(scratch, [sample.image_id for sample in data.train], maker.layout())
        wait_for_all(engine)
        shards = Shards(scratch / PARTS, len(data.train), ".npy")
        record = np.load(scratch / pseudo_store.FILE, mmap_mode="r").dtype
        watches = gathered([_make(shards, record, data, maker, config, progress)], engine)
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
            f"{STAGE}: {number_of(counts['usable'], 'map')}, {counts['empty']} empty, {counts['not_finite']} not"
            f" finite, {broken_summary(folder)}{_told_choices(counts)}"
        )
    return folder


def _weights(source: Path) -> Path:
    """The weights in a folder of the run that masks are made from."""
    weights = source / "model.safetensors"
    if not weights.exists():
        raise WsolError(
            f"no network in {source}",
            expected="the stage before",
            remedy=f"Make it with `wsol train-cam DATA --run {source.parent}`, or all stages with `wsol fit`.",
        )
    return weights


def _settings(config: RunConfig) -> dict[str, Any]:
    """What the folder's contents depend on. A Gaussian's thresholds apply later, and other masks have no Gaussian."""
    pseudo = config.pseudo
    settings: dict[str, Any] = {"masks": pseudo.masks, "precision": config.precision}
    if pseudo.masks == "thresholds":
        settings |= {"gaussian": pseudo.gaussian, "gaussian_divisor": pseudo.gaussian_divisor}
    return settings


def _told_choices(counts: dict[str, int]) -> str:
    """Which cue carried the masks: in most images there is one salient part, and nothing to choose."""
    if not counts["chosen"]:
        return ""
    return f"; the class chose another part than the largest in {counts['chosen']} of them"


@runtime_checkable  # the tests check arguments as they run
class _Maker(Protocol):
    """Makes the records of batches."""

    @property
    def model_config(self) -> ModelConfig:
        """Of the network that is asked."""

    def layout(self) -> np.dtype[Any]:
        """Of a record."""

    def records(self, batch: Batch, labels: Tensor, watch: Stopwatch) -> np.ndarray:
        """What is kept of each image of a batch."""


@dataclass(frozen=True)
class _CueMasks:
    """Masks of salient parts."""

    model: LocalizationModel
    engine: Engine

    @property
    def model_config(self) -> ModelConfig:
        return self.model.model_config

    def layout(self) -> np.dtype[Any]:
        return pseudo_store.mask_record()

    def records(self, batch: Batch, labels: Tensor, watch: Stopwatch) -> np.ndarray:
        seen = cues.seen(self.model, torch.from_numpy(batch.pixels), labels, self.engine)
        watch.lap("network")
        found = np.zeros(len(labels), self.layout())
        maps = [cues.chosen(*one) for one in seen]
        largest = [cues.chosen(salience, *2 * [np.zeros_like(salience)]) for salience, *_ in seen]
        found["chosen"] = [not np.array_equal(*both) for both in zip(maps, largest, strict=True)]
        own = brought(AROUND_OTSU, np.stack(maps), map(colours_of, batch.pixels))
        inside = np.array([upsampled(one) > cues.THRESHOLD for one in own])
        found["inside"] = np.packbits(inside, axis=-1)
        found["state"] = np.where(inside.any(axis=(1, 2)), WHOLE, EMPTY)
        watch.lap("masks")
        return found


@dataclass(frozen=True)
class _Maps:
    """Stage 1's maps of the true class and their Gaussians."""

    network: MffNet | OriginalCam
    model_config: MffConfig
    pseudo: Pseudo
    engine: Engine

    @classmethod
    def load(cls, run: Path, engine: Engine, config: RunConfig) -> _Maps:
        network, model_config = load_mffnet(run / "cam")
        engine.place(network)
        return cls(network, model_config, config.pseudo, engine)

    def layout(self) -> np.dtype[Any]:
        size_px = self.model_config.resize_px
        with torch.inference_mode():
            scores = self.network(torch.zeros(1, 3, size_px, size_px, device=self.engine.device))
        height, width = scores.fused.shape[2:]
        return pseudo_store.record_of((height, width), GAUSSIANS_PER_IMAGE[self.pseudo.gaussian])

    def records(self, batch: Batch, labels: Tensor, watch: Stopwatch) -> np.ndarray:
        scores = score_maps(self.network, self.model_config, torch.from_numpy(batch.pixels), self.engine)
        maps = class_maps(scores, labels)
        found = np.zeros(len(labels), self.layout())
        found["state"] = _states(maps)  # waits for the device, so that the next lap is the masks' own
        watch.lap("network")
        shares = fraction_of_peak(maps)
        found["map"] = pseudo_store.encode(shares).cpu().numpy()
        found["gaussians"] = fit_gaussians(shares, self.pseudo).cpu().numpy()
        watch.lap("masks")
        return found


def _make(
    shards: Shards, record: np.dtype[Any], data: DataSet, maker: _Maker, config: RunConfig, progress: Progress
) -> Stopwatch:
    """Write the parts of this process that an earlier run has not left."""
    todo = unfinished(shards, part(), lambda shard: _read(shards, shard, record) is not None)
    orders = batches_of(shards, todo, BATCH_SIZE)
    everything = len(batches_of(shards, part().of(range(len(shards))), BATCH_SIZE))
    samples = data.train
    images = ImageLoader([sample.path for sample in samples], maker.model_config.resize_px, workers=config.workers)

    def records(batch: Batch) -> np.ndarray:
        return maker.records(batch, torch.tensor([samples[i].label for i in batch.indices.tolist()]), watch)

    with progress.task(STAGE, everything, done=everything - len(orders)) as advance:
        watch = Stopwatch(sum(map(len, orders)))
        found = _numbered(images.batches(orders), records, watch, advance)
        ids = [sample.image_id for sample in samples]
        write_parts(
            shards, todo, found, lambda shard, rows: _to_bytes(shards.items(shard), rows, record), ids, images.broken
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


def _to_bytes(items: range, rows: dict[int, np.void], record: np.dtype[Any]) -> bytes:
    records = np.zeros(len(items), record)
    for number, row in rows.items():
        records[number - items.start] = row
    file = io.BytesIO()
    np.save(file, records)
    return file.getvalue()


def _read(shards: Shards, shard: int, record: np.dtype[Any]) -> np.ndarray | None:
    """The records of a part; None if it is damaged."""
    try:
        records = np.load(shards.path(shard), mmap_mode="r")
    except (ValueError, OSError, EOFError):
        return None
    return records if records.dtype == record and len(records) == len(shards.items(shard)) else None


def _assemble(shards: Shards, scratch: Path, data: DataSet) -> dict[str, int]:
    """Copy all parts into the store, every image there or skipped."""
    store = writable_memmap(scratch / pseudo_store.FILE)
    for shard in range(len(shards)):
        items, records = shards.items(shard), _read(shards, shard, store.dtype)
        absent = [] if records is None else np.flatnonzero(records["state"] == ABSENT).tolist()
        skipped = [row["image"] for row in skipped_of(shards, shard)]
        if records is None or [data.train[items[i]].image_id for i in absent] != skipped:
            raise WsolError(
                f"{shards.path(shard)} is damaged",
                expected=f"the maps of {number_of(len(items), 'image')}",
                remedy="Remove it, and the same command makes it again.",
            )
        store[items.start : items.stop] = records
    store.flush()
    for _ in assemble_skipped(shards, scratch / SKIPPED):
        pass
    counts = PseudoStore(scratch).counts()
    if not counts["usable"]:
        raise WsolError(
            f"{STAGE}: none of {number_of(len(data.train), 'map')} can be used ({counts})",
            expected="the stage before to have learned something",
            remedy="Train it longer, or look at what it finds.",
        )
    return counts
