"""What the methods with one trained network have in common: backbone, training, folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wsol.config.methods import METHODS
from wsol.config.options import RunConfig
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.models.backbone import State, check_sides, feature_pyramid, normalisation
from wsol.models.checkpoint import MethodConfig, built_of, fill, read_model_config
from wsol.models.outputs import Forward, LocalizationModel
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.training.loop import Objective
from wsol.training.train_stage import Stage, Trainable, beside_backbone, start, train_stage

NUMBER = 5
"""Of the seeds: the stages of SPOL have 1 to 4."""

Build = Callable[[MethodConfig, State | None], nn.Module]
"""The network of a card; with pretrained weights of its backbone, which is the child named `backbone`."""
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Network, normalised crops and labels to the mean loss."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and towards what."""

    build: Build
    objective: Objective
    inputs: dict[str, str] | None = None
    """Hashes of what it is made from beside the training images and their labels."""
    has_pairs: bool = False
    """Whether batches are to consist of pairs of a class."""
    folder: str | None = None
    """Where in the run the network lies, if not where the method's does: one that is trained before that."""


def train_network(plan: Plan, data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train the plan's network by the values of `config.training`, into its folder.

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
        return Trainable(network, model_config, beside_backbone(network), plan.objective)

    train_stage(stage, NUMBER, config.training, build, data, config, progress, classes=classes)


class Untrained(NamedTuple):
    """What a method that trains nothing starts from."""

    network: nn.Module
    """With the pretrained backbone, placed and in eval mode."""
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
    """Ready a network that only looks at images, for a folder of the run; None where that is finished.

    Raises:
        WsolError: no weights, a backbone that does not fit, or a folder of other settings.
    """
    settings = {
        "backbone": config.backbone,
        "weights": None if config.weights is None else str(config.weights),
        "precision": config.precision,
        model_config.method: model_config.options,
        "resize_px": model_config.resize_px,
        "output_stride": model_config.output_stride,
    }
    inputs = {"training": data.training_hash()}
    started = start(Stage(stage, folder, config.backbone, settings, inputs, data.describe()), config, progress)
    if started is None:
        return None
    network = build(model_config, started.weights)
    check_sides(config.backbone, network, (model_config.resize_px,))
    started.engine.place(network).eval()
    if part().is_first:
        save_config(folder.parent, config)
    return Untrained(network, model_config, started.engine, settings, inputs)


def options_of(config: RunConfig) -> dict[str, Any]:
    """The method's own group; empty for one without options."""
    name = METHODS[config.method].own_group
    return {} if name is None else getattr(config, name).model_dump()


def trained_as(config: RunConfig) -> str:
    """The method whose training it is. All gradient CAMs look at the network of `cam`, so that another name needs no
    training.
    """
    return "cam" if METHODS[config.method].uses_gradients else config.method


def settings_of(config: RunConfig) -> dict[str, Any]:
    """All values that a method's network depends on."""
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
    """What builds the method's network again."""
    mean, std = normalisation(config.backbone)
    return MethodConfig(
        method=trained_as(config),
        options=options_of(config),
        backbone=config.backbone,
        output_stride=config.training.output_stride,
        mean=mean,
        std=std,
        resize_px=config.training.resize_px,
        class_names=data.class_names,
    )


def last_stage(model_config: MethodConfig, state: State | None, levels: int = 1) -> tuple[nn.Module, int]:
    """The backbone with the maps of its last stage, and how many channels these have; of more `levels`, the last in the
    list.

    Raises:
        WsolError: timm has no maps of the model.
    """
    pyramid, channels = stages(model_config, state, levels)
    return pyramid, channels[-1]


def stages(model_config: MethodConfig, state: State | None, levels: int) -> tuple[nn.Module, list[int]]:
    """The backbone with the maps of its last stages, and how many channels each has.

    Raises:
        WsolError: timm has no maps of the model, or not so many.
    """
    pyramid = feature_pyramid(model_config.backbone, levels, state, model_config.output_stride)
    # timm attaches it to the module.
    return pyramid, pyramid.feature_info.channels()  # type: ignore[union-attr,operator]


def of_labels(data: DataSet, loss: Loss) -> Objective:
    """The objective of a loss that looks at images and labels alone."""
    labels = torch.tensor([sample.label for sample in data.train])

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        return loss(network, images, labels[indices].to(images.device))

    return objective


def load_model(folder: Path, build: Build, forward: Forward) -> LocalizationModel:
    """A method's network on disk, ready to predict.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    model_config = read_model_config(folder, MethodConfig)
    with built_of(folder):
        network = build(model_config, None)
    fill(network, folder)
    return LocalizationModel(network, model_config, forward)
