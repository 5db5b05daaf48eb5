"""Stage 1: MFF-Net learns the class labels (Wei et al. 2021, Alg. 1, line 2)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wsol.config import RunConfig
from wsol.data.pictures import Pictures, write_skipped
from wsol.data.samples import DataSet
from wsol.data.views import View
from wsol.engine import choose_engine, seed_of
from wsol.folders import is_finished, new_folder, text_hash, write_manifest
from wsol.losses import CLASS_LOSSES
from wsol.models.backbone import normalisation, pretrained_state
from wsol.models.checkpoint import MffCard, build, save
from wsol.models.mffnet import class_logits
from wsol.progress import Progress
from wsol.run_config import save_config
from wsol.training import Job, train

STAGE = "train-cam"
NUMBER = 1


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train on the training pictures and their labels; write `run/cam`.

    Raises:
        WsolError: no weights for the backbone, nothing to train on, or a `run/cam` of other settings.
    """
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
    network = build(card, dict(state))
    labels = torch.tensor([sample.label for sample in data.train])
    loss = CLASS_LOSSES[config.cam.auxiliary]

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        scores = network(images)
        fused = class_logits(scores.fused, is_rectified=network.is_rectified)  # type: ignore[arg-type]
        deep = None if scores.deep is None else class_logits(scores.deep, is_rectified=True)
        return loss(fused.float(), None if deep is None else deep.float(), labels[indices].to(images.device))

    save_config(run, config)
    with new_folder(folder) as scratch:
        pictures = Pictures(
            [s.path for s in data.train], config.cam.resize_px, cache_gb=config.cache_gb, workers=config.workers
        )
        new_layers = [module for name, module in network.named_children() if name != "backbone"]
        job = Job(STAGE, network, new_layers, objective, pictures, range(len(data.train)), mean, std)
        trained = train(
            job,
            config.cam,
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
