"""Stage 4: a separate classifier on the same labels (Wei et al. 2021, Alg. 1, line 5)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wsol.config.groups import classifier_of
from wsol.config.options import RunConfig
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.models.backbone import State, check_sizes, normalisation, pretrained_classifier, pretrained_state, whole_model
from wsol.models.checkpoint import ClassifierConfig, save
from wsol.models.class_scores import class_loss, class_targets
from wsol.models.forward import feature_map
from wsol.runs.saved_config import save_config
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import write_manifest
from wsol.storage.shared_folder import new_shared_folder
from wsol.training.train_stage import Stage, Trainable, start, train_stage

STAGE = "train-classifier"
SEED_NUMBER = 4


def train(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path | None:
    """Fine-tune a timm model on the training images, or use it without training; write `run/classifier`.

    Args:
        data: training images with labels.
        run: folder of the run.
        config: the configuration; `classifier` chooses the model, `classify` has the training options.
        progress: receives messages and progress.

    Returns:
        The folder; None if the run has no separate classifier.

    Raises:
        WsolError: no weights, nothing to train on, a `run/classifier` of other settings, or an untrained classifier
            without the classes of the data set.
    """
    chosen = classifier_of(config)
    if chosen is None:
        return None
    name, weights = chosen
    settings = {
        "backbone": name,
        "weights": weights,
        "seed": config.seed,
        "precision": config.precision,
        "classify": config.classify.model_dump(),
    }
    inputs = {"training": data.training_hash()}
    is_trained = config.classify.epochs > 0 or config.classify.steps is not None

    def read_weights() -> State:
        return pretrained_state(name, weights, is_classifier=config.classifier != "same", needs_head=not is_trained)

    stage = Stage(STAGE, run / "classifier", name, settings, inputs, data.describe(), read_weights)
    if not is_trained:
        return _save_pretrained(stage, data, config, progress)
    targets = class_targets(data)

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        return class_loss(network(images).float(), targets[indices].to(images.device))

    def build(weights: State) -> Trainable:
        network = whole_model(name, len(data.class_names), weights)
        if data.is_multi_label:  # report a network without a feature map before hours of training
            feature_map(network, torch.zeros(1, 3, config.classify.crop_px, config.classify.crop_px))
        head = network.get_classifier()  # type: ignore[operator]
        return Trainable(network, _config_of(name, data, config), [head], objective)

    return train_stage(stage, SEED_NUMBER, config.classify, build, data, config, progress)


def _config_of(name: str, data: DataSet, config: RunConfig) -> ClassifierConfig:
    mean, std = normalisation(name)
    return ClassifierConfig(
        backbone=name,
        mean=mean,
        std=std,
        resize_px=config.classify.resize_px,
        class_names=data.class_names,
        multi_label=data.is_multi_label,
    )


def _save_pretrained(stage: Stage, data: DataSet, config: RunConfig, progress: Progress) -> Path:
    started = start(stage, config, progress)
    if started is None:
        return stage.folder
    model_config = _config_of(stage.backbone, data, config)
    network = pretrained_classifier(model_config.backbone, model_config.class_names, started.weights)
    check_sizes(model_config.backbone, network, (config.classify.crop_px, model_config.resize_px))
    with new_shared_folder(stage.folder, started.engine) as scratch:
        if part().is_first:
            save_config(stage.folder.parent, config)
            save(scratch, network, model_config)
            write_manifest(scratch, STAGE, stage.settings, stage.inputs, {})
    progress.say(f"{STAGE}: {model_config.backbone} with its pretrained classes, without training")
    return stage.folder
