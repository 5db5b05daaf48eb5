"""Stage 1: MFF-Net learns the class labels (Wei et al. 2021, Alg. 1, line 2)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from wsol.config.groups import first_networks
from wsol.config.options import RunConfig
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods.spol.losses import CLASS_LOSSES, ClassLoss
from wsol.models.backbone import State, normalisation
from wsol.models.checkpoint import MffConfig, build
from wsol.models.class_scores import class_targets
from wsol.models.mffnet import class_logits
from wsol.runtime.progress import Progress
from wsol.training.loop import Objective
from wsol.training.train_stage import Stage, Trainable, layers_beside_backbone, train_stage

STAGE = "train-cam"
SEED_NUMBER = 1


def train(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train stage 1 on the training images and their labels; write `run/cam`.

    Args:
        data: training images with labels.
        run: folder of the run.
        config: the configuration of the run.
        progress: receives messages and progress.

    Returns:
        The folder.

    Raises:
        WsolError: no weights for the backbone, nothing to train on, a `run/cam` of other settings, or a run that does
            not use stage 1.
    """
    if "cam" not in first_networks(config):
        raise WsolError(
            f"{STAGE}: the run does not use stage 1, because `pseudo.masks {config.pseudo.masks}` needs no training",
            expected="`--pseudo.masks thresholds`, or `--classifier localizer`, which uses its class scores",
            remedy=f"Use one of them, or continue with `wsol make-pseudo DATA --run {run}`.",
        )
    settings = {
        "backbone": config.backbone,
        "weights": config.weights,
        "seed": config.seed,
        "precision": config.precision,
        "cam": config.cam.model_dump(),
    }
    inputs = {"training": data.training_hash()}
    stage = Stage(STAGE, run / "cam", config.backbone, settings, inputs, data.describe())
    targets = class_targets(data)

    def build_network(weights: State) -> Trainable:
        own, mean_std = config.cam, normalisation(config.backbone)
        model_config = MffConfig(
            backbone=config.backbone,
            outputs=len(data.class_names),
            fusion=own.fusion,
            levels=own.levels,
            attention=own.attention,
            auxiliary=own.auxiliary != "none" and own.levels > 1,
            mean=mean_std[0],
            std=mean_std[1],
            resize_px=own.resize_px,
            class_names=data.class_names,
            multi_label=data.is_multi_label,
        )
        network = build(model_config, weights, dropout=own.dropout)
        objective = _objective(CLASS_LOSSES[own.auxiliary], targets, is_rectified=network.is_rectified)
        return Trainable(network, model_config, layers_beside_backbone(network), objective)

    return train_stage(stage, SEED_NUMBER, config.cam, build_network, data, config, progress)


def _objective(loss: ClassLoss, targets: Tensor, *, is_rectified: bool) -> Objective:
    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        scores = network(images)
        fused = class_logits(scores.fused, is_rectified=is_rectified)
        deep = None if scores.deep is None else class_logits(scores.deep, is_rectified=True)
        return loss(fused.float(), None if deep is None else deep.float(), targets[indices].to(images.device))

    return objective
