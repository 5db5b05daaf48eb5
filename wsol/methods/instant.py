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

from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.base import ACTIVATION, InstantMap
from wsol.config.methods import finds_rare
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.geometry.image_threshold import AROUND_OTSU, ImageThreshold
from wsol.methods.base import config_of, last_stage, load_model, untrained
from wsol.methods.choose_map import Regions, region_means
from wsol.methods.ddt import Moments, first_component
from wsol.methods.passes import Levels, Made, Numbers, Pass, evenly_spaced, run_passes, together
from wsol.methods.rare_map import LEVELS, RareNetwork, background_passes
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig, ModelConfig
from wsol.models.class_scores import class_targets
from wsol.models.features import FeatureLevels, Features
from wsol.models.folding import fold
from wsol.models.outputs import Heatmaps, LocalizationModel, ModelOutputs, fraction_of_peak, spread
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

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


class UndecidedNetwork(nn.Module):
    """Both networks on the same features, until one is chosen by the labels."""

    def __init__(self, features: FeatureLevels) -> None:
        super().__init__()
        self.features = features
        self.common = InstantNetwork(features)
        self.rare = RareNetwork(features)
        self.chosen: SalienceNetwork = self.common

    def levels(self, images: Tensor) -> Levels:
        """The levels of normalised images, shallowest first; the last one is rectified."""
        return self.rare.levels(images)

    def forward(self, images: Tensor) -> Heatmaps:
        """The map of the chosen network."""
        return self.chosen.salience(self.levels(images))


def build(model_config: MethodConfig, state: State | None) -> SalienceNetwork:
    """Build the network of the map that the options choose, with layers that are not set yet; runs of older versions
    have no such option.
    """
    if finds_rare(model_config.options):
        return RareNetwork(rectified_backbone(model_config, state, LEVELS))
    return InstantNetwork(rectified_backbone(model_config, state))


def build_to_fit(
    model_config: MethodConfig, state: State | None, map_option: InstantMap
) -> SalienceNetwork | UndecidedNetwork:
    """Build the network whose layers will be set.

    Args:
        model_config: its configuration.
        state: pretrained weights of the backbone; random if None.
        map_option: the map, or `auto` for both; without labels, that is the common one.
    """
    if map_option == "auto" and len(model_config.class_names) > 1:
        return UndecidedNetwork(rectified_backbone(model_config, state, LEVELS))
    return build(model_config, state)


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
    """Compute what is common, or rare, in passes over a sample of the training images. Labels are used only to choose
    between the two.

    Raises:
        WsolError: no weights, a backbone that does not fit, a folder of other settings, or no image that can be
            decoded.
    """
    model_config = instant_config(data, config)
    to_fit = partial(build_to_fit, map_option=config.instant.map)
    ready = untrained(STAGE, run / "instant", model_config, to_fit, data, config, progress)
    if ready is None:
        return
    network = ready.network
    assert isinstance(network, SalienceNetwork | UndecidedNetwork)
    fold(network.features, network.features.modules(), model_config.resize_px)
    passes = salience_passes(network, data, config, progress)
    run_passes(
        STAGE,
        passes,
        network.levels,
        lambda: made_of(decided(network), model_config),
        run / "instant",
        ready,
        data,
        config,
        progress,
    )


def made_of(network: SalienceNetwork, model_config: MethodConfig) -> Made:
    """The network and its configuration, with the map that was chosen."""
    name = "rare" if isinstance(network, RareNetwork) else "common"
    return Made(network, model_config.model_copy(update={"options": model_config.options | {"map": name}}))


def decided(network: SalienceNetwork | UndecidedNetwork) -> SalienceNetwork:
    """The network itself, or the chosen one of two."""
    return network.chosen if isinstance(network, UndecidedNetwork) else network


def salience_passes(
    network: SalienceNetwork | UndecidedNetwork, data: DataSet, config: RunConfig, progress: Progress
) -> list[Pass]:
    """Return the passes that set the layers, and choose a map if both are there.

    Args:
        network: the network.
        data: the training images.
        config: the configuration of the run.
        progress: receives the choice.
    """
    sample = config.instant.sample
    if isinstance(network, RareNetwork):
        return background_passes(network, data, sample)
    numbers = evenly_spaced(len(data.train), sample)
    if isinstance(network, InstantNetwork):
        return [common_pass(network, numbers)]
    first, *floor = background_passes(network.rare, data, sample)
    choice = choosing_pass(network, data, numbers, progress)
    return [together([common_pass(network.common, numbers), first]), together([*floor, choice])]


def common_pass(network: InstantNetwork, numbers: list[int]) -> Pass:
    """The pass that sets the common component."""
    return Pass(numbers, lambda levels, _: moments_of_roots(levels[-1]), lambda moments: fill(network, moments))


def choosing_pass(network: UndecidedNetwork, data: DataSet, numbers: list[int], progress: Progress) -> Pass:
    """The pass that chooses between the two maps, once the layers of both are set."""
    targets = class_targets(data)

    def regions(levels: Levels, batch: Numbers) -> Regions:
        roots = levels[-1].sqrt()
        common, rare = (region_means(one.salience(levels), roots) for one in (network.common, network.rare))
        whole = roots.mean((2, 3)).double().cpu().numpy()
        return Regions(common, rare, whole, targets[batch].numpy())

    def choose(found: Regions) -> None:
        if found.is_rare_better():
            network.chosen = network.rare
            progress.say(
                "what is rare in the images shows their classes better than what they have in common; for small"
                " objects larger images help (docs/defects.md)"
            )

    return Pass(numbers, regions, choose)


def instant_config(data: DataSet, config: RunConfig) -> MethodConfig:
    """Return the configuration that builds the network again, with the image size and stride of instant mode."""
    own = config.instant
    # Runs of older versions have no choice of the map, and a chosen one is written when it is known.
    options = own.model_dump(exclude={"map"} if own.map == "auto" else None)
    return config_of(data, config).model_copy(
        update={
            "options": options,
            "resize_px": own.resize_px,
            "output_stride": own.output_stride,
            "feature": ACTIVATION,
        }
    )


def shift_of(model_config: ModelConfig) -> ImageThreshold | None:
    """Return the rule for the threshold of each image; None for maps of what is rare, which have their own.

    Args:
        model_config: of the network.
    """
    is_rare = isinstance(model_config, MethodConfig) and finds_rare(model_config.options)
    return None if is_rare else AROUND_OTSU


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
