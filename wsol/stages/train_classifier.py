"""Stage 4: a stand-alone classifier on the same labels (Wei et al. 2021, Alg. 1, line 5)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wsol.config import RunConfig, classifier_of
from wsol.data.pictures import Pictures, write_skipped
from wsol.data.samples import DataSet
from wsol.data.views import View
from wsol.engine import choose_engine, seed_of
from wsol.folders import is_finished, new_folder, text_hash, write_manifest
from wsol.models.backbone import normalisation, pretrained_state, whole_model
from wsol.models.checkpoint import ClassifierCard, save
from wsol.progress import Progress
from wsol.run_config import save_config
from wsol.training import Job, train

STAGE = "train-classifier"
NUMBER = 4


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path | None:
    """Fine-tune a timm model on the training pictures; write `run/classifier`. None where the run has no such stage.

    Raises:
        WsolError: no weights, nothing to train on, or a `run/classifier` of other settings.
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
    state = pretrained_state(name, weights)
    engine = choose_engine(config.device, config.precision)
    progress.say(f"{STAGE}: {name} on {engine.reason}")
    torch.manual_seed(seed_of(config.seed, NUMBER))
    mean, std = normalisation(name)
    network = whole_model(name, len(data.class_names), state)
    card = ClassifierCard(
        backbone=name, mean=mean, std=std, resize_px=config.classify.resize_px, class_names=data.class_names
    )
    labels = torch.tensor([sample.label for sample in data.train])

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        return cross_entropy(network(images).float(), labels[indices].to(images.device))

    save_config(run, config)
    with new_folder(folder) as scratch:
        pictures = Pictures(
            [s.path for s in data.train], config.classify.resize_px, cache_gb=config.cache_gb, workers=config.workers
        )
        head = network.get_classifier()  # type: ignore[operator]
        job = Job(STAGE, network, [head], objective, pictures, range(len(data.train)), mean, std)
        trained = train(
            job,
            config.classify,
            engine,
            seed_of(config.seed, NUMBER),
            scratch,
            text_hash(iter([str(settings), str(inputs)])),
            progress,
        )
        save(scratch, network, card)
        write_skipped(scratch, [s.image_id for s in data.train], pictures)
        write_manifest(
            scratch,
            STAGE,
            settings,
            inputs,
            vars(trained) | {"engine": engine.reason, "broken_pictures": len(pictures.broken)},
        )
    return folder
