"""Stage 4: a stand-alone classifier on the same labels (Wei et al. 2021, Alg. 1, line 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wsol.config.options import RunConfig, classifier_of
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.models.backbone import check_sides, normalisation, pretrained_classifier, pretrained_state, whole_model
from wsol.models.checkpoint import ClassifierCard, save
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import Engine, choose_engine, seed_of
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import is_finished, write_manifest
from wsol.storage.shared_folder import new_shared_folder
from wsol.training.loop import Job
from wsol.training.train_stage import train_into

STAGE = "train-classifier"
NUMBER = 4


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path | None:
    """Fine-tune a timm model on the training images, or take it as it is; write `run/classifier`. None where the run has no such stage.

    Raises:
        WsolError: no weights, nothing to train on, a `run/classifier` of other settings, or a classifier to be taken as it is that
            does not know the classes.
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
    folder = run / "classifier"
    if is_finished(folder, STAGE, settings, inputs):
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    is_trained = config.classify.epochs > 0 or config.classify.steps is not None
    state = pretrained_state(name, weights, is_classifier=config.classifier != "same", needs_head=not is_trained)
    engine = choose_engine(config.device, config.precision)
    progress.say(f"{STAGE}: {name} on {engine.reason}")
    torch.manual_seed(seed_of(config.seed, NUMBER))
    mean, std = normalisation(name)
    network = (
        whole_model(name, len(data.class_names), state)
        if is_trained
        else pretrained_classifier(name, data.class_names, state)
    )
    check_sides(name, network, (config.classify.crop_px, config.classify.resize_px))
    card = ClassifierCard(
        backbone=name, mean=mean, std=std, resize_px=config.classify.resize_px, class_names=data.class_names
    )
    if not is_trained:
        return _as_it_is(folder, network, card, settings, inputs, config, engine, progress)
    labels = torch.tensor([sample.label for sample in data.train])

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        return cross_entropy(network(images).float(), labels[indices].to(images.device))

    head = network.get_classifier()  # type: ignore[operator]
    seed = seed_of(config.seed, NUMBER)
    job = Job(STAGE, network, card, [head], objective, range(len(data.train)), config.classify, seed, settings, inputs)
    return train_into(folder, job, data, config, engine, progress)


def _as_it_is(
    folder: Path, network: nn.Module, card: ClassifierCard, settings: dict[str, Any], inputs: dict[str, str], config: RunConfig,
    engine: Engine, progress: Progress,
) -> Path:  # fmt: skip
    with new_shared_folder(folder, engine) as scratch:
        if part().is_first:
            save_config(folder.parent, config)
            save(scratch, network, card)
            write_manifest(scratch, STAGE, settings, inputs, {})
    progress.say(f"{STAGE}: {card.backbone} as it was pretrained")
    return folder
