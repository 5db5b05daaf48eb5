"""Stage 1: MFF-Net learns the class labels (Wei et al. 2021, Alg. 1, line 2)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wsol.config.options import RunConfig, first_networks
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods.spol.losses import CLASS_LOSSES
from wsol.models.backbone import check_sides, normalisation, pretrained_state
from wsol.models.checkpoint import MffCard, build
from wsol.models.mffnet import class_logits
from wsol.runtime.engine import choose_engine, seed_of
from wsol.runtime.progress import Progress
from wsol.storage.folders import is_finished
from wsol.training.loop import Job
from wsol.training.train_stage import train_into

STAGE = "train-cam"
NUMBER = 1


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train on the training pictures and their labels; write `run/cam`.

    Raises:
        WsolError: no weights for the backbone, nothing to train on, a `run/cam` of other settings, or a run that would not read it.
    """
    if "cam" not in first_networks(config):
        raise WsolError(
            f"{STAGE}: nothing would read stage 1, since `pseudo.masks {config.pseudo.masks}` needs no training: expected `--pseudo.masks thresholds`, or `--classifier cam`, which names by it. Say one of them, or go on with `wsol make-pseudo DATA --run {run}`."
        )
    settings = {
        "backbone": config.backbone,
        "weights": config.weights,
        "seed": config.seed,
        "precision": config.precision,
        "cam": config.cam.model_dump(),
    }
    inputs = {"training": data.training_hash()}
    folder = run / "cam"
    if is_finished(folder, STAGE, settings, inputs):
        progress.say(f"{STAGE}: finished already, {folder}")
        return folder
    state = pretrained_state(config.backbone, config.weights)
    engine = choose_engine(config.device, config.precision)
    progress.say(f"{STAGE}: {data.describe()}; {config.backbone} on {engine.reason}")
    torch.manual_seed(seed_of(config.seed, NUMBER))
    mean, std = normalisation(config.backbone)
    has_auxiliary = config.cam.auxiliary != "none" and config.cam.levels > 1
    card = MffCard(
        backbone=config.backbone, outputs=len(data.class_names), fusion=config.cam.fusion, levels=config.cam.levels, attention=config.cam.attention,
        auxiliary=has_auxiliary, mean=mean, std=std, resize_px=config.cam.resize_px, class_names=data.class_names,
    )  # fmt: skip
    network = build(card, dict(state), dropout=config.cam.dropout)
    check_sides(config.backbone, network, (config.cam.crop_px, config.cam.resize_px))
    labels = torch.tensor([sample.label for sample in data.train])
    loss = CLASS_LOSSES[config.cam.auxiliary]

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        scores = network(images)
        fused = class_logits(scores.fused, is_rectified=is_rectified)
        deep = None if scores.deep is None else class_logits(scores.deep, is_rectified=True)
        return loss(fused.float(), None if deep is None else deep.float(), labels[indices].to(images.device))

    is_rectified = network.is_rectified
    new_layers = [module for name, module in network.named_children() if name != "backbone"]
    seed = seed_of(config.seed, NUMBER)
    job = Job(STAGE, network, card, new_layers, objective, range(len(data.train)), config.cam, seed, settings, inputs)
    return train_into(folder, job, data, config, engine, progress)
