"""Stage 2: from the true class's map of every training picture to its pseudo mask (Wei et al. 2021, Alg. 1, line 3)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from wsol import pseudo_store
from wsol.arrays import writable_memmap
from wsol.config import RunConfig
from wsol.counting import number_of
from wsol.data.pictures import SKIPPED, Batch, Pictures, told_broken
from wsol.data.pixel_cache import cores
from wsol.data.samples import DataSet
from wsol.edges import PseudoMask, cam_mask, probability_mask
from wsol.engine import Engine, choose_engine, gathered, wait_for_all
from wsol.errors import WsolError
from wsol.folders import file_hash, is_finished, write_manifest
from wsol.inference import Heatmaps, class_maps, foreground, score_maps, with_mirror_image
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
    """Write `run/pseudo`: a mask of every training picture, or the small map and Gaussians of one whose thresholds apply when it is read.

    Launched as several processes, each makes its shards.

    Raises:
        WsolError: no stage 1 in the run, other classes than it was trained on, or no usable map at all.
    """
    return draw(data, run, [Source(run / "cam", None)], run / "pseudo", config, progress)


@dataclass(frozen=True)
class Source:
    """A finished network, and what becomes of its maps."""

    folder: Path
    threshold: float | None
    """Where stage 3's probabilities are parted; None for stage 1's maps."""
    labels: frozenset[int] | None = None
    """The classes whose pictures it is asked about; None for all."""


def draw(
    data: DataSet, run: Path, sources: Sequence[Source], folder: Path, config: RunConfig, progress: Progress, confirmed_by: Path | None = None
) -> Path:  # fmt: skip
    """Write `folder`: masks from what networks find in the training pictures, stage 1's or, for another round or a fold, stage 3's.

    Where the masks in `confirmed_by`, if any, say otherwise, nothing is known; where they hold no object they say nothing.

    Raises:
        WsolError: as `run`.
    """
    asked = [_Asked.load(source) for source in sources]
    for one in asked:
        if one.card.class_names != data.class_names:
            raise WsolError(
                f"{one.source.folder} was trained on other classes than {data.root} has: expected {len(one.card.class_names)}, got {len(data.class_names)}. Name the data set it was trained on."
            )
    settings = _settings(config) | _thresholds(sources)
    inputs = {"training": data.training_hash(), **_hashes(sources, confirmed_by)}
    is_first = part().is_first
    if is_finished(folder, STAGE, settings, inputs):
        if is_first:
            clear(folder)
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    engine = choose_engine(config.device, config.precision)
    for one in asked:
        engine.place(one.network)
    confirming = None if confirmed_by is None else PseudoStore(confirmed_by)
    maker = _Maker(data, asked, confirming, engine, config)
    started = time.perf_counter()
    if is_first:
        save_config(run, config)
    with new_shared_folder(folder, engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
            # The whole store, before the work begins: where there is no room for it, one need not wait to be told.
            if not (scratch / pseudo_store.FILE).exists():
                pseudo_store.create(scratch, [sample.image_id for sample in data.train], maker.record())
        wait_for_all(engine)
        shards = Shards(scratch / PARTS, len(data.train), ".npy")
        record = np.load(scratch / pseudo_store.FILE, mmap_mode="r").dtype
        watches = gathered([_make(shards, record, maker, progress)], engine)
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
            f"{STAGE}: {number_of(counts['usable'], 'map')}, {counts['empty']} empty, {counts['not_finite']} not finite, {told_broken(folder)}"
        )
    return folder


def _settings(config: RunConfig) -> dict[str, Any]:
    """What the folder's contents depend on. A Gaussian's thresholds apply later, and other masks have no Gaussian."""
    pseudo = config.pseudo
    settings: dict[str, Any] = {"masks": pseudo.masks, "flip": pseudo.flip, "precision": config.precision}
    if pseudo.masks == "thresholds":
        settings |= {"gaussian": pseudo.gaussian, "gaussian_divisor": pseudo.gaussian_divisor}
    return settings


def _thresholds(sources: Sequence[Source]) -> dict[str, Any]:
    found = [source.threshold for source in sources]
    if found == [None]:
        return {}
    return {"threshold": found[0]} if len(found) == 1 else {"thresholds": found}


def _hashes(sources: Sequence[Source], confirmed_by: Path | None) -> dict[str, str]:
    """Of the networks and masks that the new masks come from."""
    kind = "cam" if sources[0].threshold is None else "seg"
    names = [kind] if len(sources) == 1 else [f"{kind} {number}" for number in range(1, len(sources) + 1)]
    hashes = {name: file_hash(one.folder / "model.safetensors") for name, one in zip(names, sources, strict=True)}
    return hashes if confirmed_by is None else hashes | {"confirmed by": file_hash(confirmed_by / pseudo_store.FILE)}


@dataclass(frozen=True)
class _Asked:
    """A network whose maps become masks."""

    source: Source
    network: MffNet | OriginalCam
    card: MffCard

    @classmethod
    def load(cls, source: Source) -> _Asked:
        return cls(source, *load_mffnet(source.folder))

    def is_asked(self, label: int) -> bool:
        """Whether about pictures of the class."""
        return self.source.labels is None or label in self.source.labels

    def maps(self, labels: torch.Tensor, pixels: torch.Tensor, engine: Engine) -> Heatmaps:
        """Of pictures of these classes: of stage 1 the class's map, of stage 3 the probabilities."""
        scores = score_maps(self.network, self.card, pixels, engine)
        return class_maps(scores, labels) if self.source.threshold is None else foreground(scores)


@dataclass(frozen=True)
class _Maker:
    """Holds the networks; each class has one that is asked about it."""

    data: DataSet
    asked: Sequence[_Asked]
    confirming: PseudoStore | None
    """Masks that must say the same, if any."""
    engine: Engine
    config: RunConfig

    @property
    def side_px(self) -> int:
        """Of the squares that the networks see."""
        return self.asked[0].card.resize_px

    @property
    def is_of_cam(self) -> bool:
        """Whether maps are stage 1's."""
        return self.asked[0].source.threshold is None

    @property
    def keeps_maps(self) -> bool:
        """Whether the map itself is kept, as SPOL's thresholds need it."""
        return self.is_of_cam and self.config.pseudo.masks == "thresholds"

    def record(self) -> np.dtype[Any]:
        """The layout of what `records` returns."""
        if not self.keeps_maps:
            return pseudo_store.mask_record()
        with torch.inference_mode():
            scores = self.asked[0].network(torch.zeros(1, 3, self.side_px, self.side_px, device=self.engine.device))
        height, width = scores.fused.shape[2:]
        return pseudo_store.record_of((height, width), GAUSSIANS_PER_IMAGE[self.config.pseudo.gaussian])

    def records(self, batch: Batch, record: np.dtype[Any], watch: Stopwatch) -> np.ndarray:
        """What is kept of each picture of a batch."""
        labels = torch.tensor([self.data.train[i].label for i in batch.indices.tolist()])
        of_pictures = partial(self._maps, labels)
        maps = with_mirror_image(of_pictures, batch.pixels) if self.config.pseudo.flip else of_pictures(batch.pixels)
        found = np.zeros(len(labels), record)
        found["state"] = _states(maps)  # waits for the device, so that the next lap is the masks' own
        watch.lap("network")
        if self.keeps_maps:
            shares = share_of_peak(maps)
            found["map"] = pseudo_store.encode(shares).cpu().numpy()
            found["gaussians"] = fit_gaussians(shares, self.config.pseudo).cpu().numpy()
        else:
            masks = self._drawn(maps, batch.pixels, labels.tolist())
            if self.confirming is not None:
                masks[:, 1] &= is_confirmed(masks[:, 0], self.confirming, batch.indices)
            found["inside"], found["known"] = (np.packbits(plane, axis=-1) for plane in masks.swapaxes(0, 1))
            is_object = np.logical_and(masks[:, 0], masks[:, 1])
            found["state"][(found["state"] == WHOLE) & ~is_object.any(axis=(1, 2))] = EMPTY
        watch.lap("masks")
        return found

    def _maps(self, labels: torch.Tensor, pixels: torch.Tensor) -> Heatmaps:
        found: dict[int, torch.Tensor] = {}
        for one in self.asked:
            rows = [row for row, label in enumerate(labels.tolist()) if one.is_asked(label)]
            if rows:
                found |= dict(zip(rows, one.maps(labels[rows], pixels[rows], self.engine), strict=True))
        return torch.stack([found[row] for row in range(len(labels))])

    def _drawn(
        self, maps: torch.Tensor, pixels: torch.Tensor, labels: Sequence[int]
    ) -> Bool[np.ndarray, "batch 2 height width"]:
        """Where the object is, and where that is known, in each picture."""
        heatmaps = (share_of_peak(maps) if self.is_of_cam else maps.nan_to_num()).cpu().numpy()
        along_edges = self.config.pseudo.masks == "grabcut"

        def one(heatmap: np.ndarray, picture: np.ndarray, label: int) -> PseudoMask:
            threshold = next(asked.source.threshold for asked in self.asked if asked.is_asked(label))
            if threshold is None:
                return cam_mask(heatmap, picture, along_edges=along_edges)
            return probability_mask(heatmap, picture, threshold, along_edges=along_edges)

        # Threads do: OpenCV lets go of the interpreter, and its random numbers are each thread's own.
        with ThreadPoolExecutor(cores()) as pool:
            return np.array(list(pool.map(one, heatmaps, pixels.permute(0, 2, 3, 1).numpy(), labels)))


def is_confirmed(
    inside: Bool[np.ndarray, "batch height width"], confirming: PseudoStore, indices: torch.Tensor
) -> Bool[np.ndarray, "batch height width"]:
    """Where other masks say the same. Of a picture in which they have no object they say nothing, since there is one."""
    others = confirming.masks(indices)[:, 0].numpy() > 0
    is_silent = ~np.isin(indices.numpy(), confirming.usable())
    return np.asarray((inside == others) | is_silent[:, None, None])


def _make(shards: Shards, record: np.dtype[Any], maker: _Maker, progress: Progress) -> Stopwatch:
    """Write the parts of this process that an earlier run has not left."""
    todo = unfinished(shards, part(), lambda shard: _read(shards, shard, record) is not None)
    orders = batches_of(shards, todo, BATCH_SIZE)
    everything = len(batches_of(shards, part().of(range(len(shards))), BATCH_SIZE))
    samples = maker.data.train
    pictures = Pictures([sample.path for sample in samples], maker.side_px, workers=maker.config.workers)
    with progress.task(STAGE, everything, done=everything - len(orders)) as advance:
        watch = Stopwatch(sum(map(len, orders)))
        found = _numbered(pictures.batches(orders), lambda batch: maker.records(batch, record, watch), watch, advance)
        ids = [sample.image_id for sample in samples]
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
    """Copy all parts into the store, every picture there or skipped."""
    store = writable_memmap(scratch / pseudo_store.FILE)
    for shard in range(len(shards)):
        items, records = shards.items(shard), _read(shards, shard, store.dtype)
        absent = [] if records is None else np.flatnonzero(records["state"] == ABSENT).tolist()
        skipped = [row["image"] for row in skipped_of(shards, shard)]
        if records is None or [data.train[items[i]].image_id for i in absent] != skipped:
            raise WsolError(
                f"{shards.path(shard)} is damaged: expected the maps of {number_of(len(items), 'picture')}. Remove it, and the same command makes it again."
            )
        store[items.start : items.stop] = records
    store.flush()
    for _ in assemble_skipped(shards, scratch / SKIPPED):
        pass
    counts = PseudoStore(scratch).counts()
    if not counts["usable"]:
        raise WsolError(
            f"{STAGE}: none of {number_of(len(data.train), 'map')} can be used ({counts}): expected the stage before to have learned something. Train it longer, or look at what it finds."
        )
    return counts
