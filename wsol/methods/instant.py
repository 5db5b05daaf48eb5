"""Boxes without training and without labels: the common component of the images where pretrained features are large.

With `instant.map rare` the map is what differs from the background instead (`wsol.methods.rare_map`). Otherwise two
maps of the backbone's rectified features x (`wsol.models.features`) are combined by their geometric mean, as SPOL
multiplies its levels:

- the common component: P = xi^T (sqrt(x) - mean), positive part, where xi is the first eigenvector of the covariance
  over all positions of all images (Deep Descriptor Transforming, Wei et al. 2019, Eq. 1 to 4). Square roots are used
  because bursts of large features would dominate otherwise (Arandjelovic & Zisserman 2012, sec. 3);
- the norm |x|, as SCDA aggregates activations (Wei et al. 2017, sec. 3.1).

The threshold of each map is Otsu's (1979). Values are rescaled so that it is 0.5, which is the box threshold of all
images.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.base import ACTIVATION
from wsol.config.options import RunConfig
from wsol.data.loader import BATCH_SIZE, ImageLoader, broken_summary, in_order, write_skipped
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.geometry.image_threshold import AROUND_OTSU, ImageThreshold
from wsol.methods.base import Untrained, config_of, last_stage, load_model, untrained
from wsol.methods.ddt import Moments, first_component
from wsol.methods.rare_map import (
    LEVELS,
    LevelMoments,
    Levels,
    Peaks,
    RareNetwork,
    fill_floor,
    fill_whitening,
    level_moments,
)
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig, save
from wsol.models.features import FeatureLevels, Features
from wsol.models.folding import fold
from wsol.models.forward import prepared
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs, fraction_of_peak, spread
from wsol.runs.run import Run
from wsol.runtime.engine import gathered
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import write_manifest
from wsol.storage.shared_folder import new_shared_folder
from wsol.text import number_of

STAGE = "method instant"
UPSAMPLING = 4
"""Factor by which maps are enlarged before Otsu's threshold, because 28 x 28 values are too few."""


def load(run: Run) -> LocalizationModel:
    """The network of a run, with the component as a layer."""
    # It cannot be exported: Otsu's threshold sorts all values of a map, and torch's exporter computes their number
    # wrongly for a variable image size.
    return load_model(run.network_folder, build, forward)


class InstantNetwork(nn.Module):
    """Features, and the common component as a linear layer."""

    def __init__(self, features: FeatureLevels) -> None:
        super().__init__()
        self.features = features
        self.component = nn.Conv2d(features.channels[-1], 1, 1)

    def levels(self, images: Tensor) -> Levels:
        """The features of normalised images, as a list of one level."""
        return [self.features.rectified(images).float()]

    def salience(self, levels: Levels) -> Float[Tensor, "batch finer_height finer_width"]:
        """The combined map, rescaled so that its threshold is 0.5."""
        return split_at_half(self.combined(levels[-1]))

    def forward(self, images: Tensor) -> Heatmaps:
        """The rescaled map of each image."""
        return self.salience(self.levels(images))

    def combined(self, features: Features) -> Float[Tensor, "batch finer_height finer_width"]:
        """The combined map, computed from features."""
        common = fraction_of_peak(self.component(features.sqrt())[:, 0])
        combined = (common * spread(features.norm(dim=1))).sqrt()
        finer = interpolate(combined[:, None], scale_factor=UPSAMPLING, mode="bilinear", align_corners=False)
        return fraction_of_peak(finer[:, 0])


SalienceNetwork = InstantNetwork | RareNetwork


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, with layers that are not set yet."""
    return build_salience(model_config, state)


def build_salience(model_config: MethodConfig, state: State | None) -> SalienceNetwork:
    """Build the network of the map that the options choose."""
    if model_config.options.get("map") == "rare":
        return RareNetwork(rectified_backbone(model_config, state, LEVELS))
    return InstantNetwork(rectified_backbone(model_config, state))


def rectified_backbone(model_config: MethodConfig, state: State | None, levels: int = 1) -> FeatureLevels:
    """Build the backbone whose rectified features are used."""
    # Files of older versions do not say that it is this one.
    backbone, _ = last_stage(model_config.model_copy(update={"feature": ACTIVATION}), state, levels)
    assert isinstance(backbone, FeatureLevels)
    return backbone


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The class-agnostic map, rescaled so that its threshold is 0.5."""
    return ModelOutputs(network(images), None, None)


def split_at_half(maps: Heatmaps) -> Heatmaps:
    """Rescale maps below and above Otsu's threshold so that it becomes 0.5.

    Args:
        maps: values in [0, 1] with maximum 1, or zeros.

    Returns:
        The rescaled maps in [0, 1]; zeros stay zeros.
    """
    thresholds = otsu(maps)[:, None, None]
    tiny = torch.finfo(torch.float32).tiny
    low = maps / thresholds.clamp(min=tiny) / 2
    high = 0.5 + (maps - thresholds) / (1 - thresholds).clamp(min=tiny) / 2
    return torch.where(maps > thresholds, high, low).clamp(0, 1)


def otsu(maps: Heatmaps) -> Float[Tensor, " batch"]:
    """Compute the threshold of each map that maximises the between-class variance (Otsu 1979, Eq. 14).

    Args:
        maps: maps of at least two positions.

    Returns:
        The thresholds, from all values instead of a histogram: the midpoint of the two values next to the split.
    """
    values = maps.flatten(1).sort(dim=1).values
    count = values.shape[1]
    below = torch.arange(1, count, device=maps.device)
    sums = values.cumsum(1)
    low = sums[:, :-1] / below
    high = (sums[:, -1:] - sums[:, :-1]) / (count - below)
    between = below * (count - below) * (high - low) ** 2
    split = between.argmax(1, keepdim=True)
    return (values.gather(1, split) + values.gather(1, split + 1))[:, 0] / 2


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Compute the common component in one pass over a sample of the training images. Labels are not used.

    Raises:
        WsolError: no weights, a backbone that does not fit, a folder of other settings, or no image that can be
            decoded.
    """
    ready = untrained(STAGE, run / "instant", instant_config(data, config), build, data, config, progress)
    if ready is None:
        return
    network = ready.network
    assert isinstance(network, SalienceNetwork)
    fold(network.features, network.features.modules(), ready.model_config.resize_px)
    if isinstance(network, RareNetwork):
        passes = background_passes(network, ready, STAGE, data, config)
    else:
        passes = [
            Pass(
                STAGE,
                evenly_spaced(len(data.train), config.instant.sample),
                lambda pixels, numbers: moments_of_roots(levels_of(network, ready, pixels)[-1]),
                lambda moments: fill(network, moments),
            )
        ]
    run_passes(passes, run / "instant", ready, data, config, progress)


def background_passes(
    network: RareNetwork, ready: Untrained, stage: str, data: DataSet, config: RunConfig
) -> list[Pass]:
    """Return the passes over images without an object that set what is rare; over all images if there are none.

    Args:
        network: the network, whose layers are set.
        ready: its configuration and device.
        stage: name of the stage, for messages.
        data: the training images.
        config: the configuration of the run.
    """
    empty = [i for i, sample in enumerate(data.train) if not data.has_object(sample)]
    background = empty or [*range(len(data.train))]
    numbers = [background[i] for i in evenly_spaced(len(background), config.instant.sample)]

    def moments(pixels: Tensor, _: Tensor) -> LevelMoments:
        return level_moments(levels_of(network, ready, pixels))

    @torch.inference_mode()
    def peaks(pixels: Tensor, _: Tensor) -> Peaks:
        return Peaks(network.distances(levels_of(network, ready, pixels)).amax((1, 2)).double().cpu().numpy())

    first = Pass(stage, numbers, moments, lambda sums: fill_whitening(network, sums))
    second = Pass(stage, numbers, peaks, lambda found: fill_floor(network, found))
    return [first, second] if empty else [first]


def instant_config(data: DataSet, config: RunConfig) -> MethodConfig:
    """Return the configuration that builds the network again, with the image size and stride of instant mode."""
    own = config.instant
    # Runs of older versions have no choice of the map.
    options = own.model_dump(exclude={"map"} if own.map == "common" else None)
    return config_of(data, config).model_copy(
        update={
            "options": options,
            "resize_px": own.resize_px,
            "output_stride": own.output_stride,
            "feature": ACTIVATION,
        }
    )


def shift_of(options: Mapping[str, Any]) -> ImageThreshold | None:
    """Return the rule for the threshold of each image; None for maps of what is rare, which have their own.

    Args:
        options: the option group `instant`.
    """
    return None if options.get("map") == "rare" else AROUND_OTSU


def evenly_spaced(count: int, sample: int) -> list[int]:
    """Return at most `sample` of `count` indices, evenly spaced. If images are sorted by class, each class has some."""
    taken = min(count, sample)
    return [i * count // taken for i in range(taken)]


class Pass(NamedTuple):
    """One pass over some images, whose results per batch can be added."""

    stage: str
    numbers: list[int]
    """Indices of the images."""
    moments: Callable[[Tensor, Int64[Tensor, " batch"]], Any]
    """Computes the result of a batch from pixels and image indices."""
    fill: Callable[[Any], None]
    """Sets the network's layers from the sum of the results."""


def run_passes(
    passes: Sequence[Pass], folder: Path, ready: Untrained, data: DataSet, config: RunConfig, progress: Progress
) -> None:
    """Run passes one after the other, set the layers after each, and write the network's folder.

    With several processes, each takes a part of the images.

    Args:
        passes: the passes.
        folder: folder of the network in the run.
        ready: the network, its device and settings.
        data: the training images.
        config: the configuration of the run.
        progress: receives messages and progress.

    Raises:
        WsolError: none of the images can be decoded.
    """
    started, stage = time.perf_counter(), passes[0].stage
    with new_shared_folder(folder, ready.engine) as scratch:
        images = ImageLoader(
            [sample.path for sample in data.train], ready.model_config.resize_px, workers=config.workers
        )
        for one in passes:
            sums = gathered([_sum(one, images, progress)], ready.engine)
            sums = [moments for moments in sums if moments is not None]
            if not sums:
                raise WsolError(
                    f"{stage}: none of {number_of(len(one.numbers), 'image')} can be decoded",
                    expected="at least one",
                    remedy=f"Run `wsol check {data.root}` to see what is wrong with them.",
                )
            one.fill(reduce(operator.add, sums))
        for broken in gathered([images.broken], ready.engine):
            images.broken |= broken
        if part().is_first:
            save(scratch, ready.network, ready.model_config)
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


def _sum(one: Pass, images: ImageLoader, progress: Progress) -> Any:
    """The sum over the images of this process; None if none could be decoded."""
    mine = list(part().of(one.numbers))
    orders = [[mine[i] for i in rows] for rows in in_order(len(mine), BATCH_SIZE)]
    total: Any = None
    with progress.task(one.stage, len(orders)) as advance:
        for batch in images.batches(orders):
            moments = one.moments(torch.from_numpy(batch.pixels), torch.from_numpy(batch.indices))
            total = moments if total is None else total + moments
            advance()
    return total


@torch.inference_mode()
def levels_of(network: SalienceNetwork, ready: Untrained, pixels: Tensor) -> Levels:
    """Compute the levels of a batch of images, the last one rectified.

    Args:
        network: the network.
        ready: its configuration and device.
        pixels: RGB squares, uint8.
    """
    with ready.engine.autocast():
        return network.levels(prepared(pixels, ready.model_config, ready.engine))


def moments_of_roots(features: Features) -> Moments:
    """Compute the sums over the square roots of features at all positions of a batch.

    They are computed in 32 bits and returned in 64, in which batches are added.
    """
    roots = features.sqrt().permute(0, 2, 3, 1).flatten(0, 2)
    lengths = roots.norm(dim=1)
    sums = (roots.sum(0), roots.T @ roots, lengths @ roots)
    total, products, by_length = (one.double().cpu().numpy() for one in sums)
    return Moments(len(roots), total, products, by_length, float(lengths.sum()))


def fill(network: InstantNetwork, moments: Moments) -> None:
    """Set the layer to the first component of the moments."""
    mean, xi = first_component(moments)
    with torch.no_grad():
        network.component.weight[0, :, 0, 0] = torch.from_numpy(xi).float()
        network.component.bias[0] = float(-np.dot(xi, mean))  # type: ignore[index]
