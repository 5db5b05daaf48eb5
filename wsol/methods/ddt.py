"""Wei et al. 2019, "Unsupervised Object Discovery and Co-Localization by Deep Descriptor Transforming": no training.

The descriptors x at all positions of all images of a class have a mean and a covariance (Eq. 1, 2). The first
eigenvector xi of the covariance gives each position the value P = xi^T (x - mean) (Eq. 3, 4). Descriptors of the common
object vary together, so their P has one sign. The map here is 0.5 where P is 0, and 1 at the maximum of P.

The sign of an eigenvector is arbitrary. We choose the sign for which P grows with the norm of the descriptors, because
a pretrained network has larger features on objects than on backgrounds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from wsol.config.methods import Ddt
from wsol.config.options import RunConfig
from wsol.data.loader import ImageLoader, batch_size, broken_summary, in_order, write_skipped
from wsol.data.samples import DataSet
from wsol.methods.base import config_of, last_stage, load_model, untrained
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig, save
from wsol.models.forward import prepared
from wsol.models.outputs import LocalizationModel, ModelOutputs
from wsol.runs.run import Run
from wsol.runtime.engine import Engine, gathered, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import whole_file, write_manifest
from wsol.storage.shards import PARTS, clear, open_scratch
from wsol.storage.shared_folder import new_shared_folder
from wsol.text import number_of

STAGE = "method ddt"
Vector = Float64[np.ndarray, " channels"]
Matrix = Float64[np.ndarray, "channels channels"]


def load(run: Run) -> LocalizationModel:
    """The network of a run, with the components as a layer."""
    return load_model(run.network_folder, build, forward)


class DdtNetwork(nn.Module):
    """P of each class, and of all images together as the last channel: a linear layer on the descriptors."""

    def __init__(self, backbone: nn.Module, channels: int, classes: int, options: Ddt) -> None:
        super().__init__()
        self.backbone = backbone
        self.components = nn.Conv2d(channels, classes + 1, 1)
        self.is_per_class = options.images == "class"

    def forward(self, images: Tensor) -> Tensor:
        """Eq. 4 for every component."""
        maps: Tensor = self.components(self.backbone(images)[-1])
        return maps


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, with components that are not set yet."""
    backbone, channels = last_stage(model_config, state)
    return DdtNetwork(backbone, channels, len(model_config.class_names), Ddt.model_validate(model_config.options))


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The map of the label's component, or of the one of all images."""
    assert isinstance(network, DdtNetwork)
    maps = network(images)
    chosen = maps[:, -1] if labels is None or not network.is_per_class else maps[torch.arange(len(maps)), labels]
    return ModelOutputs(around_half(chosen.float()), None, None)


def around_half(values: Tensor) -> Tensor:
    """Map P to [0, 1]: 0.5 where P is 0, 1 at its maximum, 0 at minus the maximum and below. Without positive values,
    nothing is above 0.5.
    """
    peaks = values.amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return (1 + (values / peaks).clamp(-1, 1)) / 2


@dataclass(frozen=True)
class Moments:
    """Sums over descriptors x, which can be added: of 1, x, x x^T, |x| x and |x|."""

    count: int
    total: Vector
    products: Matrix
    by_length: Vector
    """Sum of |x| x."""
    lengths: float
    """Sum of |x|."""

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def moments_of(descriptors: Float64[np.ndarray, "n channels"]) -> Moments:
    """Sums over the rows."""
    lengths = np.linalg.norm(descriptors, axis=1)
    return Moments(
        len(descriptors), descriptors.sum(0), descriptors.T @ descriptors, lengths @ descriptors, float(lengths.sum())
    )


def first_component(moments: Moments) -> tuple[Vector, Vector]:
    """Return the mean (Eq. 1) and the eigenvector xi with the largest eigenvalue of the covariance (Eq. 2).

    Args:
        moments: sums over descriptors.

    Returns:
        Mean and xi; the sign of xi is such that P grows with the norm of the descriptors.
    """
    mean = moments.total / moments.count
    xi = np.linalg.eigh(moments.products / moments.count - np.outer(mean, mean))[1][:, -1]
    covariance_with_length = moments.by_length / moments.count - mean * moments.lengths / moments.count
    return mean, xi if xi @ covariance_with_length >= 0 else -xi


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Compute the components in one pass over the training images, class by class. A killed run keeps finished classes.

    Raises:
        WsolError: no weights, a backbone that does not fit, or a folder of other settings.
    """
    model_config = config_of(data, config).model_copy(
        update={"method": "ddt", "options": config.ddt.model_dump()}
    )  # psol uses this stage too
    ready = untrained(STAGE, run / "ddt", model_config, build, data, config, progress)
    if ready is None:
        return
    network, model_config, engine, settings, inputs = ready
    assert isinstance(network, DdtNetwork)
    folder, is_first, started = run / "ddt", part().is_first, time.perf_counter()
    with new_shared_folder(folder, engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
        wait_for_all(engine)
        images = ImageLoader(
            [sample.path for sample in data.train], config.training.resize_px, data.image, workers=config.workers
        )
        _write_moments(_Descriptors(network, model_config, engine), data, images, scratch / PARTS, progress)
        for broken in gathered([images.broken], engine):
            images.broken |= broken
        if is_first:
            _fill(network, [_read(scratch / PARTS, label) for label in range(len(data.class_names))])
            save(scratch, network, model_config)
            write_skipped(scratch, [sample.image_id for sample in data.train], images)
            figures = {
                "seconds": time.perf_counter() - started,
                "engine": engine.reason,
                "broken_images": len(images.broken),
            }
            write_manifest(scratch, STAGE, settings, inputs, figures)
    if is_first:
        clear(folder)
        progress.say(f"{STAGE}: {number_of(len(data.class_names), 'class')} done, {broken_summary(folder)}")


@dataclass(frozen=True)
class _Descriptors:
    """The network that computes the descriptors."""

    network: DdtNetwork
    model_config: MethodConfig
    engine: Engine

    @torch.inference_mode()
    def moments(self, pixels: Tensor) -> Moments:
        """Sums over the descriptors of a batch of images."""
        with self.engine.autocast():
            features = self.network.backbone(prepared(pixels, self.model_config, self.engine))[-1]
        return moments_of(features.permute(0, 2, 3, 1).flatten(0, 2).double().cpu().numpy())


def _write_moments(
    descriptors: _Descriptors, data: DataSet, images: ImageLoader, parts: Path, progress: Progress
) -> None:
    """Write the moments of each class of this process, one file per class."""
    mine = part().of(range(len(data.class_names)))
    with progress.task(STAGE, len(mine)) as advance:
        for label in mine:
            if not (parts / f"{label}.npz").exists():
                numbers = [i for i, sample in enumerate(data.train) if label in sample.labels]
                orders = [[numbers[i] for i in rows] for rows in in_order(len(numbers), batch_size(images.size_px))]
                batches = [descriptors.moments(torch.from_numpy(batch.pixels)) for batch in images.batches(orders)]
                total = sum(batches[1:], batches[0]) if batches else None
                with whole_file(parts / f"{label}.npz") as partial, partial.open("wb") as file:
                    np.savez(file, **({} if total is None else vars(total)))
            advance()


def _read(parts: Path, label: int) -> Moments | None:
    with np.load(parts / f"{label}.npz") as file:
        if not file.files:  # no image of the class could be decoded
            return None
        values = {name: file[name] for name in file.files}
    return Moments(**values | {"count": int(values["count"]), "lengths": float(values["lengths"])})


def _fill(network: DdtNetwork, classes: list[Moments | None]) -> None:
    """Set the components of all classes, and of all images as the last. A class without images gets the last one."""
    known = [one for one in classes if one is not None]
    everything = sum(known[1:], known[0])
    with torch.no_grad():
        for number, moments in enumerate([*classes, everything]):
            mean, xi = first_component(everything if moments is None else moments)
            network.components.weight[number, :, 0, 0] = torch.from_numpy(xi).float()
            network.components.bias[number] = float(-xi @ mean)  # type: ignore[index]
