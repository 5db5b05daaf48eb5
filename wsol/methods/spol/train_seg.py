"""Stage 3: a second MFF-Net learns one class-agnostic mask from the pseudo masks (Wei et al. 2021, Alg. 1, line 4)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.config.options import RunConfig
from wsol.data.crops import View
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods.spol import learn_threshold
from wsol.methods.spol.gaussian_prior import Targets
from wsol.methods.spol.losses import masked_bce
from wsol.methods.spol.mask_store import MASKS_FILE, PseudoStore
from wsol.models.backbone import State, normalisation, scaled_px
from wsol.models.checkpoint import MffConfig, build
from wsol.runtime.progress import Progress
from wsol.storage.folders import file_hash
from wsol.text import number_of
from wsol.training.train_stage import Stage, Trainable, layers_beside_backbone, train_stage

STAGE = "train-seg"
SEED_NUMBER = 3
LEAST_FOREGROUND = 0.1
"""Objects that cover less than this fraction of all pixels count as if they covered it. Else a network that finds
nothing is nearly right, and in few steps learns no more (studies/surfaces.md)."""


def train(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train stage 3 on the training images and `run/pseudo`; write `run/seg`.

    If no box threshold is given, it is learned after the training and written to `run/seg`.

    Args:
        data: the training images.
        run: folder of the run.
        config: the configuration of the run.
        progress: receives messages and progress.

    Returns:
        The folder.

    Raises:
        WsolError: no pseudo masks, or those of other images; no weights; a `run/seg` of other settings.
    """
    store, folder = _store(data, run / "pseudo"), run / "seg"
    _train_network(store, folder, data, config, progress)
    if config.box.threshold is None:
        learn_threshold.learn(data, folder, store, config, progress)
    return folder


def _store(data: DataSet, pseudo: Path) -> PseudoStore:
    """The pseudo masks in a folder, which must be of the training images."""
    store = PseudoStore(pseudo)
    if store.image_ids != [sample.image_id for sample in data.train]:
        raise WsolError(
            f"{pseudo} was made from other images than those of {data.root}",
            expected=number_of(len(store.image_ids), "image"),
            got=f"{len(data.train)}",
            remedy=f"Use the data set it was made from, or remove {pseudo} and run `wsol make-pseudo`.",
        )
    return store


def _train_network(store: PseudoStore, folder: Path, data: DataSet, config: RunConfig, progress: Progress) -> None:
    """Train on the pseudo masks, starting from ImageNet weights, not from stage 1's."""
    settings = {
        "backbone": config.backbone,
        "weights": config.weights,
        "seed": config.seed,
        "precision": config.precision,
        "seg": config.seg.model_dump(),
        "pseudo": config.pseudo.model_dump(),
    }
    inputs = {"training": data.training_hash(), "pseudo": file_hash(store.folder / MASKS_FILE)}
    usable = store.usable()
    stage = Stage(STAGE, folder, config.backbone, settings, inputs, number_of(len(usable), "pseudo mask"))

    def build_network(weights: State) -> Trainable:
        own, mean_std = config.seg, normalisation(config.backbone)
        foreground_weight = weight_of_small_objects(store.foreground_fraction(usable))

        def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
            logits = interpolate(network(images).fused.float(), images.shape[2:], mode="bilinear", align_corners=False)
            planes = view.apply(store.at_size(indices, own.resize_px, images.device))
            return masked_bce(logits[:, 0], *balanced(store.targets(planes, config.pseudo), foreground_weight))

        model_config = MffConfig(
            backbone=config.backbone,
            outputs=1,
            fusion=own.fusion,
            levels=own.levels,
            attention=own.attention,
            auxiliary=False,
            mean=mean_std[0],
            std=mean_std[1],
            resize_px=own.resize_px,
            class_names=data.class_names,
        )
        network = build(model_config, weights, dropout=own.dropout)
        model_config = model_config.model_copy(update={"resize_px": scaled_px(network, own.resize_px, own.scale)})
        return Trainable(network, model_config, layers_beside_backbone(network), objective)

    train_stage(stage, SEED_NUMBER, config.seg, build_network, data, config, progress, usable=usable)


def weight_of_small_objects(foreground_fraction: float) -> float:
    """Return the weight of foreground pixels in the loss: 1 unless objects are small, or most images are empty.

    Args:
        foreground_fraction: fraction of all pixels of the pseudo masks, also those of images without an object.
    """
    return max(LEAST_FOREGROUND / max(foreground_fraction, 1e-4), 1.0)


def balanced(targets: Targets, foreground_weight: float) -> Targets:
    """Multiply the weights of foreground pixels.

    Args:
        targets: values and weights of the pixels of a batch.
        foreground_weight: the factor.
    """
    if foreground_weight == 1:
        return targets
    return Targets(targets.value, targets.weight * (1 + (foreground_weight - 1) * targets.value))
