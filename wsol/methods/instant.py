"""Boxes without training and without labels: what the images share, where the pretrained features are large.

Two maps of the backbone's rectified features x (`wsol.models.features`), joined by their geometric mean, as SPOL joins
its levels:

- the common component: P = xi^T (sqrt(x) - mean), positive part, where xi is the first eigenvector of the covariance of
  all positions of all images (Deep Descriptor Transforming, Wei et al. 2019, Eq. 1 to 4, here of the square roots:
  large features are bursts that would decide everything, Arandjelovic & Zisserman 2012, sec. 3);
- the norm |x|, as SCDA aggregates activations (Wei et al. 2017, sec. 3.1).

Each map's own threshold is Otsu's (1979). Values are stretched so that it stands at 0.5, which is then one box
threshold for all images.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.options import RunConfig
from wsol.data.loader import BATCH_SIZE, ImageLoader, broken_summary, in_order, write_skipped
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods.base import Untrained, config_of, last_stage, load_model, untrained
from wsol.methods.ddt import Moments, first_component
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig, save
from wsol.models.features import Features, RectifiedFeatures
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
FINER = 4
"""The maps are split at so many times the resolution of the features: Otsu's histogram of 28 x 28 positions is a rough
one."""


def load(run: Run) -> LocalizationModel:
    """The network of a run, its component as a layer."""
    # Otsu's threshold sorts all values of a map, and torch's exporter reckons their number wrongly where the size of
    # images is open.
    return load_model(run.network_folder, build, forward)


class InstantNetwork(nn.Module):
    """Features, and the component that the images share as a linear layer."""

    def __init__(self, features: RectifiedFeatures) -> None:
        super().__init__()
        self.features = features
        self.component = nn.Conv2d(features.channels, 1, 1)

    def forward(self, images: Tensor) -> Heatmaps:
        """The joined map of each image, 1 at its peak."""
        return self.joined(self.features(images).float())

    def joined(self, features: Features) -> Float[Tensor, "batch finer_height finer_width"]:
        """The same, of features."""
        common = fraction_of_peak(self.component(features.sqrt())[:, 0])
        joined = (common * spread(features.norm(dim=1))).sqrt()
        finer = interpolate(joined[:, None], scale_factor=FINER, mode="bilinear", align_corners=False)
        return fraction_of_peak(finer[:, 0])


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network, its component still to be filled in."""
    return InstantNetwork(RectifiedFeatures(last_stage(model_config, state)[0]))


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The joined map, its own threshold at 0.5; of whatever class."""
    return ModelOutputs(split_at_half(network(images)), None, None)


def split_at_half(maps: Heatmaps) -> Heatmaps:
    """Maps of peak 1, stretched on both sides of Otsu's threshold so that it stands at 0.5; zeros stay zeros."""
    thresholds = otsu(maps)[:, None, None]
    tiny = torch.finfo(torch.float32).tiny
    low = maps / thresholds.clamp(min=tiny) / 2
    high = 0.5 + (maps - thresholds) / (1 - thresholds).clamp(min=tiny) / 2
    return torch.where(maps > thresholds, high, low).clamp(0, 1)


def otsu(maps: Heatmaps) -> Float[Tensor, " batch"]:
    """Of each map the threshold that splits its values into two groups of the largest variance between them (Otsu 1979,
    Eq. 14).

    Of all values, not of a histogram: midway between the two values on its sides.
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
    """Look at a sample of the training images once. Their labels are not used.

    Raises:
        WsolError: no weights, a backbone that does not fit, a folder of other settings, or no image that can be
            decoded.
    """
    ready = untrained(STAGE, run / "instant", config_at_own_size(data, config), build, data, config, progress)
    if ready is None:
        return
    network = ready.network
    assert isinstance(network, InstantNetwork)
    fold(network.features, network.features.modules(), ready.model_config.resize_px)
    look = Look(
        STAGE,
        spread_over(len(data.train), config.instant.sample),
        lambda pixels, numbers: moments_of_roots(features_of(network, ready, pixels)),
        lambda moments: fill(network, moments),
    )
    look_at_images([look], run / "instant", ready, data, config, progress)


def config_at_own_size(data: DataSet, config: RunConfig) -> MethodConfig:
    """What builds the network again: instant mode sees images at a size of its own."""
    own = config.instant
    return config_of(data, config).model_copy(
        update={"options": own.model_dump(), "resize_px": own.resize_px, "output_stride": own.output_stride}
    )


def spread_over(count: int, sample: int) -> list[int]:
    """At most `sample` of `count` numbers, evenly spaced: of images in the order of their classes some of each."""
    taken = min(count, sample)
    return [i * count // taken for i in range(taken)]


class Look(NamedTuple):
    """One look at some images, and what it is for; what is counted can be added up."""

    stage: str
    numbers: list[int]
    """Of the images."""
    moments: Callable[[Tensor, Int64[Tensor, " batch"]], Any]
    """Of a batch: pixels and numbers of its images."""
    fill: Callable[[Any], None]
    """What sets the network's layers by the sum."""


def look_at_images(
    looks: Sequence[Look], folder: Path, ready: Untrained, data: DataSet, config: RunConfig, progress: Progress
) -> None:
    """Count and fill, look after look, and write the network's folder. Launched as several processes, each looks at its
    share.

    Raises:
        WsolError: none of the images can be decoded.
    """
    started, stage = time.perf_counter(), looks[0].stage
    with new_shared_folder(folder, ready.engine) as scratch:
        images = ImageLoader(
            [sample.path for sample in data.train], ready.model_config.resize_px, workers=config.workers
        )
        for look in looks:
            seen = [one for one in gathered([_sum(look, images, progress)], ready.engine) if one is not None]
            if not seen:
                raise WsolError(
                    f"{stage}: none of {number_of(len(look.numbers), 'image')} can be decoded",
                    expected="one at least",
                    remedy=f"See what is wrong with them with `wsol check {data.root}`.",
                )
            look.fill(reduce(operator.add, seen))
        for broken in gathered([images.broken], ready.engine):
            images.broken |= broken
        if part().is_first:
            save(scratch, ready.network, ready.model_config)
            write_skipped(scratch, [sample.image_id for sample in data.train], images)
            figures = {
                "seconds": time.perf_counter() - started,
                "engine": ready.engine.reason,
                "sample": len(looks[0].numbers),
                "images": sum(len(look.numbers) for look in looks),
                "broken_images": len(images.broken),
            }
            write_manifest(scratch, stage, ready.settings, ready.inputs, figures)
    if part().is_first:
        progress.say(f"{stage}: {number_of(len(looks[0].numbers), 'image')} seen, {broken_summary(folder)}")


def _sum(look: Look, images: ImageLoader, progress: Progress) -> Any:
    """Of the images of this process; None where none could be decoded."""
    mine = list(part().of(look.numbers))
    orders = [[mine[i] for i in rows] for rows in in_order(len(mine), BATCH_SIZE)]
    found: Any = None
    with progress.task(look.stage, len(orders)) as advance:
        for batch in images.batches(orders):
            moments = look.moments(torch.from_numpy(batch.pixels), torch.from_numpy(batch.indices))
            found = moments if found is None else found + moments
            advance()
    return found


@torch.inference_mode()
def features_of(network: InstantNetwork, ready: Untrained, pixels: Tensor) -> Features:
    """The rectified features of a batch of images."""
    with ready.engine.autocast():
        features: Features = network.features(prepared(pixels, ready.model_config, ready.engine))
    return features.float()


def moments_of_roots(features: Features) -> Moments:
    """Of the square roots of features, over all positions of all images; products in 32 bits, whose sums over batches
    are taken in 64.
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
