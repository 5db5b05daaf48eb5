"""Passes over some images without gradient descent: sums over batches, by which layers are set."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from wsol.config.options import RunConfig
from wsol.data.loader import ImageLoader, batch_size, broken_summary, in_order, write_skipped
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods.base import Untrained
from wsol.models.checkpoint import MethodConfig, save
from wsol.models.forward import prepared
from wsol.runtime.engine import gathered
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import write_manifest
from wsol.storage.shared_folder import new_shared_folder
from wsol.text import number_of

Levels = list[Float[Tensor, "batch _ _ _"]]
"""Feature maps of one batch, shallowest first, each of its own size."""
Numbers = Int64[Tensor, " batch"]
"""Indices of images."""


class Pass(NamedTuple):
    """One pass over some images, whose results per batch can be added."""

    numbers: list[int]
    """Indices of the images."""
    moments: Callable[[Levels, Numbers], Any]
    """Computes the result of a batch from features and image indices."""
    fill: Callable[[Any], None]
    """Sets the network's layers from the sum of the results."""
    lost: Callable[[Any], int] = lambda total: 0
    """How many images of a part were needed, if none of that part could be decoded."""


class Made(NamedTuple):
    """The network that the passes made, and the configuration that builds it again."""

    network: nn.Module
    model_config: MethodConfig


def together(passes: Sequence[Pass]) -> Pass:
    """Return one pass that does the work of several, so that features are computed once.

    Args:
        passes: the passes; none may need a layer that another one sets.
    """
    own = [frozenset(one.numbers) for one in passes]

    def moments(levels: Levels, numbers: Numbers) -> _Results:
        results = []
        for one, taken in zip(passes, own, strict=True):
            rows = [row for row, number in enumerate(numbers.tolist()) if number in taken]
            results.append(one.moments([level[rows] for level in levels], numbers[rows]) if rows else None)
        return _Results(tuple(results))

    def fill(results: _Results) -> None:
        for one, result in zip(passes, results.values, strict=True):
            one.fill(result)

    def lost(results: _Results) -> int:
        empty = (len(taken) for taken, result in zip(own, results.values, strict=True) if result is None)
        return next(empty, 0)

    return Pass(sorted(frozenset().union(*own)), moments, fill, lost)


class _Results(NamedTuple):
    """Results of several passes; None for one that had no image."""

    values: tuple[Any, ...]

    def __add__(self, other: _Results) -> _Results:  # type: ignore[override]
        both = zip(self.values, other.values, strict=True)
        return _Results(tuple(b if a is None else a if b is None else a + b for a, b in both))


def run_passes(
    stage: str,
    passes: Sequence[Pass],
    levels: Callable[[Tensor], Levels],
    made: Callable[[], Made],
    folder: Path,
    ready: Untrained,
    data: DataSet,
    config: RunConfig,
    progress: Progress,
) -> None:
    """Run passes one after the other, set the layers after each, and write the network's folder.

    With several processes, each takes a part of the images.

    Args:
        stage: name of the stage, for messages and manifest.
        passes: the passes.
        levels: computes the features of normalised images.
        made: returns the network, after the last pass.
        folder: folder of the network in the run.
        ready: device, settings and image size.
        data: the training images.
        config: the configuration of the run.
        progress: receives messages and progress.

    Raises:
        WsolError: none of the images can be decoded.
    """
    started = time.perf_counter()

    @torch.inference_mode()
    def features(pixels: Tensor) -> Levels:
        with ready.engine.autocast():
            return levels(prepared(pixels, ready.model_config, ready.engine))

    with new_shared_folder(folder, ready.engine) as scratch:
        images = ImageLoader(
            [sample.path for sample in data.train], ready.model_config.resize_px, data.image, workers=config.workers
        )
        for one in passes:
            sums = gathered([_sum(stage, one, features, images, progress)], ready.engine)
            sums = [moments for moments in sums if moments is not None]
            total = reduce(operator.add, sums) if sums else None
            lost = one.lost(total) if sums else len(one.numbers)
            if lost:
                raise WsolError(
                    f"{stage}: none of {number_of(lost, 'image')} can be decoded",
                    expected="at least one",
                    remedy=f"Run `wsol check {data.root}` to see what is wrong with them.",
                )
            one.fill(total)
        for broken in gathered([images.broken], ready.engine):
            images.broken |= broken
        if part().is_first:
            save(scratch, *made())
            write_skipped(scratch, [sample.image_id for sample in data.train], images)
            figures = {
                "seconds": time.perf_counter() - started,
                "engine": ready.engine.reason,
                "sample": len(passes[0].numbers),
                "images": sum(len(one.numbers) for one in passes),
                "broken_images": len(images.broken),
            }
            write_manifest(scratch, stage, ready.settings, ready.inputs, figures)
    if part().is_first:
        progress.say(f"{stage}: {number_of(len(passes[0].numbers), 'image')} used, {broken_summary(folder)}")


def _sum(stage: str, one: Pass, features: Callable[[Tensor], Levels], images: ImageLoader, progress: Progress) -> Any:
    """The sum over the images of this process; None if none could be decoded."""
    mine = list(part().of(one.numbers))
    orders = [[mine[i] for i in rows] for rows in in_order(len(mine), batch_size(images.size_px))]
    total: Any = None
    with progress.task(stage, len(orders)) as advance, torch.inference_mode():
        for batch in images.batches(orders):
            moments = one.moments(features(torch.from_numpy(batch.pixels)), torch.from_numpy(batch.indices))
            total = moments if total is None else total + moments
            advance()
    return total


def evenly_spaced(count: int, sample: int) -> list[int]:
    """Return at most `sample` of `count` indices, evenly spaced. If images are sorted by class, each class has some."""
    taken = min(count, sample)
    return [i * count // taken for i in range(taken)]
