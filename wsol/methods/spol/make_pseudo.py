"""Stage 2: a pseudo mask of every training image, from class maps (Wei et al. 2021, Alg. 1, line 3) or from cues."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wsol.config.groups import first_networks
from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.data.loader import SKIPPED, Batch, ImageLoader, batch_size, broken_summary
from wsol.data.no_object import names_without_object
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import brought
from wsol.methods.instant import shift_of
from wsol.methods.spol import cues, mask_store
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


def make(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Write `run/pseudo`: a mask of every training image, or a small map and its Gaussians, to which the thresholds are
    applied when they are read.

    For masks from cues, `run/cues` is made first if it is absent. With several processes, each makes some shards.

    Args:
        data: training images with labels.
        run: folder of the run.
        config: the configuration of the run.
        progress: receives messages and progress.

    Returns:
        The folder.

    Raises:
        WsolError: stage 1 is needed and absent, it was trained on other classes, or no map is usable.
    """
    if config.pseudo.masks == "cues":
        cues.fit(data, run, config, progress)
    source = run / first_networks(config)[0]
    settings = _settings(data, config)
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
            f"{source} was made from other classes than those of {data.root}",
            expected=f"{number_of(len(maker.model_config.class_names), 'class', 'classes')}",
            got=f"{len(data.class_names)}",
            remedy="Use the data set it was made from.",
        )
    started = time.perf_counter()
    if is_first:
        save_config(run, config)
    with new_shared_folder(folder, engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
            # Allocate the whole store first, so that a full disk is reported before the work begins.
            if not (scratch / mask_store.MASKS_FILE).exists():
                mask_store.create(scratch, [sample.image_id for sample in data.train], maker.layout())
        wait_for_all(engine)
        shards = Shards(scratch / PARTS, len(data.train), ".npy")
        record = np.load(scratch / mask_store.MASKS_FILE, mmap_mode="r").dtype
        watches = gathered([_make(shards, record, data, maker, config, progress)], engine)
        if is_first:
            counts = _assemble(shards, scratch, data)
            figures = (
                counts
                | {"bytes": (scratch / mask_store.MASKS_FILE).stat().st_size}
                | figures_of(watches, time.perf_counter() - started)
            )
            write_manifest(scratch, STAGE, settings, inputs, figures)
    if is_first:
        clear(folder)
        progress.say(
            f"{STAGE}: {number_of(counts['usable'], 'map')}, {counts['empty']} empty, {counts['not_finite']} not"
            f" finite, {broken_summary(folder)}{_choices_text(counts)}"
        )
    return folder


def _weights(source: Path) -> Path:
    """The weights from which masks are made."""
    weights = source / "model.safetensors"
    if not weights.exists():
        raise WsolError(
            f"no network in {source}",
            expected="that of the previous stage",
            remedy=f"Make it with `wsol train-cam DATA --run {source.parent}`, or all stages with `wsol fit`.",
        )
    return weights


def _settings(data: DataSet, config: RunConfig) -> dict[str, Any]:
    """Settings on which the folder depends. Thresholds are applied later, and masks from cues have no Gaussian."""
    pseudo = config.pseudo
    settings: dict[str, Any] = {"masks": pseudo.masks, "precision": config.precision}
    if pseudo.masks == "thresholds":
        settings |= {"gaussian": pseudo.gaussian, "gaussian_divisor": pseudo.gaussian_divisor}
    if data.no_object:  # older runs have no such option
        settings["no_object"] = names_without_object(data)
    return settings


def _choices_text(counts: dict[str, int]) -> str:
    """In how many images the chosen part is not the largest; most images have only one salient part."""
    if not counts["chosen"]:
        return ""
    return f"; in {counts['chosen']} of them, not the largest part was chosen, by class evidence and likeness"


Labels = tuple[int, ...]
"""All labels of an image."""


def rounds_of(labels: Sequence[Labels]) -> list[Tensor]:
    """Return the first label of each image, then the second, and so on; an image with fewer repeats its first.

    Args:
        labels: of each image.
    """
    count = max(map(len, labels))
    return [torch.tensor([own[i] if i < len(own) else own[0] for own in labels]) for i in range(count)]


@runtime_checkable  # the tests check arguments as they run
class _Maker(Protocol):
    """Makes the records of batches."""

    @property
    def model_config(self) -> ModelConfig:
        """Configuration of the network."""

    def layout(self) -> np.dtype[Any]:
        """Layout of a record."""

    def records(self, batch: Batch, labels: Sequence[Labels], watch: Stopwatch) -> np.ndarray:
        """The record of each image of a batch."""


@dataclass(frozen=True)
class _CueMasks:
    """Makes masks of salient parts."""

    model: LocalizationModel
    engine: Engine

    @property
    def model_config(self) -> ModelConfig:
        return self.model.model_config

    def layout(self) -> np.dtype[Any]:
        return mask_store.mask_record()

    def records(self, batch: Batch, labels: Sequence[Labels], watch: Stopwatch) -> np.ndarray:
        pixels, rounds = torch.from_numpy(batch.pixels), rounds_of(labels)
        planes, *further = (cues.image_cues(self.model, pixels, one, self.engine) for one in rounds)
        watch.lap("network")
        records = np.zeros(len(labels), self.layout())
        maps = [cues.keep_best_part(*one) for one in planes]
        for others in further:  # an image of several classes has a part of each
            maps = [np.maximum(one, cues.keep_best_part(*other)) for one, other in zip(maps, others, strict=True)]
        largest = [cues.keep_best_part(salience, *2 * [np.zeros_like(salience)]) for salience, *_ in planes]
        records["chosen"] = [not np.array_equal(*both) for both in zip(maps, largest, strict=True)]
        shifted = brought(shift_of(self.model_config), np.stack(maps), map(colours_of, batch.pixels))
        inside = np.array([upsampled(one) > cues.THRESHOLD for one in shifted])
        records["inside"] = np.packbits(inside, axis=-1)
        records["state"] = np.where(inside.any(axis=(1, 2)), WHOLE, EMPTY)
        watch.lap("masks")
        return records


@dataclass(frozen=True)
class _Maps:
    """Makes records of stage 1's maps of the labels' classes and their Gaussians."""

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
        return mask_store.record_of((height, width), GAUSSIANS_PER_IMAGE[self.pseudo.gaussian])

    def records(self, batch: Batch, labels: Sequence[Labels], watch: Stopwatch) -> np.ndarray:
        scores = score_maps(self.network, self.model_config, torch.from_numpy(batch.pixels), self.engine)
        maps, *further = (class_maps(scores, one) for one in rounds_of(labels))
        for other in further:  # each class as a fraction of its own peak, so that the weaker one counts too
            maps = torch.maximum(fraction_of_peak(maps), fraction_of_peak(other))
        records = np.zeros(len(labels), self.layout())
        records["state"] = _states(maps)  # waits for the device, so that the next lap measures the masks alone
        watch.lap("network")
        fractions = fraction_of_peak(maps)
        records["map"] = mask_store.encode(fractions).cpu().numpy()
        records["gaussians"] = fit_gaussians(fractions, self.pseudo).cpu().numpy()
        watch.lap("masks")
        return records


def _make(
    shards: Shards, record: np.dtype[Any], data: DataSet, maker: _Maker, config: RunConfig, progress: Progress
) -> Stopwatch:
    """Write the parts of this process that do not exist yet."""
    todo = unfinished(shards, part(), lambda shard: _read(shards, shard, record) is not None)
    size = batch_size(maker.model_config.resize_px)
    orders = batches_of(shards, todo, size)
    total = len(batches_of(shards, part().of(range(len(shards))), size))
    samples = data.train
    images = ImageLoader(
        [sample.path for sample in samples], maker.model_config.resize_px, data.image, workers=config.workers
    )

    def records(batch: Batch) -> np.ndarray:
        of_batch = [samples[i] for i in batch.indices.tolist()]
        rows = maker.records(batch, [sample.labels for sample in of_batch], watch)
        rows[[not data.has_object(sample) for sample in of_batch]] = mask_store.all_background(rows.dtype)
        return rows

    with progress.task(STAGE, total, done=total - len(orders)) as advance:
        watch = Stopwatch(sum(map(len, orders)))
        rows = _numbered(images.batches(orders), records, watch, advance)
        ids = [sample.image_id for sample in samples]
        write_parts(
            shards, todo, rows, lambda shard, rows: _to_bytes(shards.items(shard), rows, record), ids, images.broken
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
    """Copy all parts into the store, and check that every image is there or skipped."""
    store = writable_memmap(scratch / mask_store.MASKS_FILE)
    for shard in range(len(shards)):
        items, records = shards.items(shard), _read(shards, shard, store.dtype)
        absent = [] if records is None else np.flatnonzero(records["state"] == ABSENT).tolist()
        skipped = [row["image"] for row in skipped_of(shards, shard)]
        if records is None or [data.train[items[i]].image_id for i in absent] != skipped:
            raise WsolError(
                f"{shards.path(shard)} is damaged",
                expected=f"the maps of {number_of(len(items), 'image')}",
                remedy="Remove it and run the same command again.",
            )
        store[items.start : items.stop] = records
    store.flush()
    for _ in assemble_skipped(shards, scratch / SKIPPED):
        pass
    written = PseudoStore(scratch)
    counts = written.counts()
    if not any(data.has_object(data.train[number]) for number in written.usable()):
        count = sum(map(data.has_object, data.train))
        raise WsolError(
            f"{STAGE}: none of {number_of(count, 'map')} can be used ({counts})",
            expected="at least one usable map",
            remedy="Train the previous stage longer, or inspect its maps.",
        )
    return counts
