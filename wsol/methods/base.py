"""Shared by the methods with one network: backbone, training, folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from wsol.config.base import STAGE
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.data.crops import View
from wsol.data.no_object import names_without_object
from wsol.data.samples import DataSet
from wsol.models.backbone import State, check_sizes, feature_pyramid, normalisation, stage_modules
from wsol.models.checkpoint import MethodConfig, built_of, fill, read_model_config
from wsol.models.class_scores import class_targets
from wsol.models.features import FeatureLevels
from wsol.models.mffnet import initialise
from wsol.models.outputs import Forward, LocalizationModel
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.training.loop import Objective
from wsol.training.train_stage import Stage, Trainable, layers_beside_backbone, start, train_stage

SEED_NUMBER = 5
"""Seed number of all methods; the stages of SPOL have 1 to 4."""

Build = Callable[[MethodConfig, State | None], nn.Module]
"""Builds the network from its configuration and pretrained weights of its backbone, the child named `backbone`."""
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Computes the mean loss from network, normalised crops and labels."""


@dataclass(frozen=True)
class Plan:
    """The network to train, and its objective."""

    build: Build
    objective: Objective
    inputs: dict[str, str] | None = None
    """Hashes of inputs other than the training images and their labels."""
    has_pairs: bool = False
    """Whether batches consist of pairs of a class."""
    folder: str | None = None
    """Folder of the network in the run, if it is not the method's: for a network that is trained before that one."""


def train_network(plan: Plan, data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train the network of a plan with the options of `config.training`, and write its folder.

    Args:
        plan: network and objective.
        data: training images with labels.
        run: folder of the run.
        config: the configuration of the run.
        progress: receives messages and progress.

    Raises:
        WsolError: no weights, a backbone that does not fit, or a folder of other settings.
    """
    name = f"method {trained_as(config)}" + (f": {plan.folder}" if plan.folder else "")
    folder = run / (plan.folder or METHODS[config.method].folder)
    inputs = {"training": data.training_hash(), **(plan.inputs or {})}
    stage = Stage(name, folder, config.backbone, settings_of(config), inputs, data.describe())
    classes = [sample.label for sample in data.train] if plan.has_pairs else None

    def build(weights: State) -> Trainable:
        model_config = config_of(data, config)
        network = plan.build(model_config, weights)
        return Trainable(network, model_config, layers_beside_backbone(network), plan.objective)

    train_stage(stage, SEED_NUMBER, config.training, build, data, config, progress, classes=classes)


class Untrained(NamedTuple):
    """The starting point of a method without training."""

    network: nn.Module
    """Network with pretrained backbone, on the device and in eval mode."""
    model_config: MethodConfig
    engine: Engine
    settings: dict[str, Any]
    inputs: dict[str, str]


def untrained(
    stage: str,
    folder: Path,
    model_config: MethodConfig,
    build: Build,
    data: DataSet,
    config: RunConfig,
    progress: Progress,
) -> Untrained | None:
    """Prepare a network that is not trained by gradient descent.

    Args:
        stage: name of the stage, for messages and manifest.
        folder: folder of the stage in the run.
        model_config: configuration of the network.
        build: builds the network.
        data: the training images.
        config: the configuration of the run.
        progress: receives messages.

    Returns:
        Network, device and settings; None if the folder is finished.

    Raises:
        WsolError: no weights, a backbone that does not fit, or a folder of other settings.
    """
    settings: dict[str, Any] = {
        "backbone": config.backbone,
        "weights": None if config.weights is None else str(config.weights),
        "precision": config.precision,
        model_config.method: model_config.options,
        "resize_px": model_config.resize_px,
        "output_stride": model_config.output_stride,
        "feature": model_config.feature,
    }
    if data.no_object:  # older runs have no such option
        settings["no_object"] = names_without_object(data)
    inputs = {"training": data.training_hash()}
    started = start(Stage(stage, folder, config.backbone, settings, inputs, data.describe()), config, progress)
    if started is None:
        return None
    network = build(model_config, started.weights)
    check_sizes(config.backbone, network, (model_config.resize_px,))
    started.engine.place(network).eval()
    if part().is_first:
        save_config(folder.parent, config)
    return Untrained(network, model_config, started.engine, settings, inputs)


def options_of(config: RunConfig) -> dict[str, Any]:
    """Return the options of the method's own group; empty if it has none."""
    name = METHODS[config.method].own_group
    return {} if name is None else getattr(config, name).model_dump()


def trained_as(config: RunConfig) -> str:
    """Return the method that is trained. All gradient CAMs use the network of `cam`, so they share one training."""
    return "cam" if METHODS[config.method].uses_gradients else config.method


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return all option values that a method's network depends on."""
    return {
        "method": trained_as(config),
        "backbone": config.backbone,
        "weights": config.weights,
        "seed": config.seed,
        "precision": config.precision,
        "training": config.training.model_dump(),
        "options": options_of(config),
    }


def config_of(data: DataSet, config: RunConfig) -> MethodConfig:
    """Return the configuration that builds the method's network again."""
    mean, std = normalisation(config.backbone)
    return MethodConfig(
        method=trained_as(config),
        options=options_of(config),
        backbone=config.backbone,
        output_stride=config.training.output_stride,
        feature=config.training.feature,
        mean=mean,
        std=std,
        resize_px=config.training.resize_px,
        class_names=data.class_names,
        multi_label=data.is_multi_label,
    )


def last_stage(model_config: MethodConfig, state: State | None, levels: int = 1) -> tuple[nn.Module, int]:
    """Build a backbone that returns the feature maps of its last `levels` stages; the last one is
    `training.feature`.

    Args:
        model_config: names the backbone, its stride and the feature map.
        state: pretrained weights; random if None.
        levels: number of stages.

    Returns:
        The backbone, and the number of channels of the last feature map.

    Raises:
        WsolError: timm has no feature maps for the model, or not this one.
    """
    pyramid, channels = stages(model_config, state, levels)
    return pyramid, channels[-1]


def stages(model_config: MethodConfig, state: State | None, levels: int) -> tuple[nn.Module, list[int]]:
    """As `last_stage`, with the number of channels of each stage.

    Raises:
        WsolError: timm has no feature maps for the model, or not this one, or fewer levels.
    """
    pyramid = feature_pyramid(model_config.backbone, levels, state, model_config.output_stride)
    if model_config.feature == STAGE:
        # timm adds this attribute to the module.
        return pyramid, pyramid.feature_info.channels()  # type: ignore[union-attr,operator]
    backbone = FeatureLevels(pyramid, model_config.feature, model_config.resize_px)
    return backbone, backbone.channels


def level_modules(model_config: MethodConfig, backbone: nn.Module) -> list[nn.Module]:
    """Return the modules whose outputs are the levels of a backbone of `last_stage`.

    Args:
        model_config: its configuration.
        backbone: the backbone.

    Raises:
        WsolError: the levels are not outputs of modules.
    """
    if not isinstance(backbone, FeatureLevels):
        return stage_modules(model_config.backbone, backbone)
    outputs = stage_modules(model_config.backbone, backbone.pyramid)
    return outputs if backbone.module is None else [*outputs[:-1], backbone.pyramid.get_submodule(backbone.module)]


def convolutional_head(channels: int, width: int, dropout: float) -> nn.Sequential:
    """Build two convolutions 3 x 3 between backbone and class layer, with a ReLU after and dropout before each and at
    the end: `fc6` and `fc7` in the published codes of SPG (Zhang et al. 2018) and I2C (Zhang et al. 2020).

    Args:
        channels: number of channels of the backbone's feature map.
        width: number of channels of the convolutions.
        dropout: dropout probability.
    """
    head = nn.Sequential(
        *(nn.Dropout(dropout), nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()),
        *(nn.Dropout(dropout), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
        nn.Dropout(dropout),
    )
    return head.apply(initialise)


def of_labels(data: DataSet, loss: Loss) -> Objective:
    """Return the training objective of a loss of images and `class_targets`."""
    targets = class_targets(data)

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        return loss(network, images, targets[indices].to(images.device))

    return objective


def load_model(folder: Path, build: Build, forward: Forward) -> LocalizationModel:
    """Load a method's network, ready to predict.

    Args:
        folder: folder with `model.safetensors` and `model.json`.
        build: builds the network.
        forward: computes its outputs.

    Returns:
        The network on the CPU, in eval mode.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    model_config = read_model_config(folder, MethodConfig)
    with built_of(folder):
        network = build(model_config, None)
    fill(network, folder)
    return LocalizationModel(network, model_config, forward)
