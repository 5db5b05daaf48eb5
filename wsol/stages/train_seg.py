"""Stage 3: a second MFF-Net learns one class-agnostic mask from the pseudo masks (Wei et al. 2021, Alg. 1, line 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsol.class_folds import class_folds
from wsol.config import RunConfig
from wsol.counting import number_of
from wsol.data.samples import DataSet
from wsol.data.views import View
from wsol.engine import choose_engine, seed_of
from wsol.errors import WsolError
from wsol.folders import file_hash, is_finished
from wsol.launch import part
from wsol.losses import masked_bce
from wsol.models.backbone import check_sides, normalisation, pretrained_state, scaled_px
from wsol.models.checkpoint import MffCard, build
from wsol.progress import Progress
from wsol.pseudo_store import FILE, PseudoStore
from wsol.stages import learn_threshold, make_pseudo
from wsol.stages.make_pseudo import Source
from wsol.training.folder import train_into
from wsol.training.loop import Job

STAGE = "train-seg"
NUMBER = 3


def run(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Train on the training pictures and `run/pseudo`, once or in rounds; write `run/seg`, and beside it what earlier rounds left.

    Where the box threshold is not given, it is learned at last, and written to `run/seg`.

    Raises:
        WsolError: no pseudo masks, or of other pictures; no weights; a `run/seg` of other settings.
    """
    rounds, of_stage_1 = config.seg.rounds, _store(data, run / "pseudo")
    store = of_stage_1
    for number in range(1, rounds + 1):
        folder = run / "seg" if number == rounds else run / f"seg-round-{number}"
        _train(_Subset(f"round {number} of {rounds}", store.usable()), store, folder, data, config, progress)
        if number == rounds and config.box.threshold is not None:
            break
        # What parts the next masks is learned from stage 1's: those of a round were cut by the one before, and would only confirm it.
        learned = learn_threshold.run(data, folder, store if number == rounds else of_stage_1, config, progress)
        if number < rounds:
            if number == 1:
                confirmed_by = _of_folds(of_stage_1, run, data, config, progress)
            source, pseudo = Source(folder, learned.mask_threshold), run / f"pseudo-round-{number + 1}"
            store = _store(data, make_pseudo.draw(data, run, [source], pseudo, config, progress, confirmed_by))
    return folder


def _store(data: DataSet, pseudo: Path) -> PseudoStore:
    """The masks in a folder, which must be of the training pictures."""
    store = PseudoStore(pseudo)
    if store.image_ids != [sample.image_id for sample in data.train]:
        raise WsolError(
            f"{pseudo} was made from other pictures than {data.root} has: expected {len(store.image_ids)}, got {len(data.train)}. Name that data set, or remove {pseudo} and run `wsol make-pseudo`."
        )
    return store


LEAST_SHARE = 0.25
"""Of the pictures, that each fold's network has to learn from: one that has seen little has no opinion worth asking for."""


def _of_folds(store: PseudoStore, run: Path, data: DataSet, config: RunConfig, progress: Progress) -> Path | None:
    """Masks of all pictures by networks that never saw their class, so that what a class's masks have wrong in common is not learned.

    The networks learn from `store`, stage 1's masks; only where they part object from background is learned from those of their own classes.
    None where there are no folds, or one would have too little to learn from.
    """
    if config.seg.folds == 1:
        return None
    usable, folds = store.usable(), range(config.seg.folds)
    fold_of = class_folds([sample.label for sample in data.train], config.seg.folds)
    own = [[i for i in usable if fold_of[data.train[i].label] == fold] for fold in folds]
    others = [[i for i in usable if fold_of[data.train[i].label] != fold] for fold in folds]
    least = max(LEAST_SHARE * len(usable), 2, part().count)
    if not all(own) or min(map(len, others)) < least:
        progress.say(
            f"{STAGE}: no folds, the masks of further rounds are taken as they are: {config.seg.folds} parts of the classes, each with {least:.0f} pictures or more in the others, cannot be made of these. `--seg.folds 1` says so beforehand."
        )
        return None
    sources = []
    for fold in folds:
        folder = run / f"seg-fold-{fold + 1}"
        name, share = f"fold {fold + 1} of {config.seg.folds}", len(others[fold]) / len(usable)
        _train(_Subset(name, others[fold], is_fold=True, share=share), store, folder, data, config, progress)
        learned = learn_threshold.run(data, folder, store, config, progress, own[fold])
        labels = frozenset(label for label, its_fold in fold_of.items() if its_fold == fold)
        sources.append(Source(folder, learned.mask_threshold, labels))
    return make_pseudo.draw(data, run, sources, run / "pseudo-folds", config, progress)


@dataclass(frozen=True)
class _Subset:
    """The pictures that one network of stage 3 learns from."""

    name: str
    usable: list[int]
    """Their numbers."""
    is_fold: bool = False
    share: float = 1.0
    """Of all pictures that can be used; also of the steps, where these are given."""

    def identity(self) -> dict[str, str]:
        """Which fold it is. Of rounds nothing: how many follow changes nothing in this one, and its masks tell the rest."""
        return {"part": self.name} if self.is_fold else {}


def _train(
    subset: _Subset, store: PseudoStore, folder: Path, data: DataSet, config: RunConfig, progress: Progress
) -> None:
    """Train one network on the masks of the store, from ImageNet weights and not from stage 1's or an earlier round's."""
    settings = {
        "backbone": config.backbone, "weights": config.weights, "seed": config.seed, "precision": config.precision,
        "seg": config.seg.model_dump(exclude={"rounds", "folds"}), "pseudo": config.pseudo.model_dump(), **subset.identity(),
    }  # fmt: skip
    inputs = {"training": data.training_hash(), "pseudo": file_hash(store.folder / FILE)}
    if is_finished(folder, STAGE, settings, inputs):
        progress.say(f"{STAGE}: finished already, {folder}")
        return
    state = pretrained_state(config.backbone, config.weights)
    engine = choose_engine(config.device, config.precision)
    progress.say(
        f"{STAGE}: {subset.name}, {number_of(len(subset.usable), 'pseudo mask')}; {config.backbone} on {engine.reason}"
    )
    torch.manual_seed(seed_of(config.seed, NUMBER))
    mean, std = normalisation(config.backbone)
    card = MffCard(
        backbone=config.backbone, outputs=1, fusion=config.seg.fusion, levels=config.seg.levels, attention=config.seg.attention,
        auxiliary=False, mean=mean, std=std, resize_px=config.seg.resize_px, class_names=data.class_names,
    )  # fmt: skip
    network = build(card, dict(state), dropout=config.seg.dropout)
    card = card.model_copy(update={"resize_px": scaled_px(network, config.seg.resize_px, config.seg.scale)})
    check_sides(config.backbone, network, (config.seg.crop_px, card.resize_px))

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        logits = interpolate(network(images).fused.float(), images.shape[2:], mode="bilinear", align_corners=False)
        planes = view.apply(store.at_size(indices, config.seg.resize_px, images.device))
        return masked_bce(logits[:, 0], *store.targets(planes, config.pseudo))

    new_layers = [module for name, module in network.named_children() if name != "backbone"]
    seed = seed_of(config.seed, NUMBER)
    steps = config.seg.steps and math.ceil(config.seg.steps * subset.share)
    training = config.seg.model_copy(
        update={"steps": steps, "least_steps": math.ceil(config.seg.least_steps * subset.share)}
    )
    job = Job(STAGE, network, card, new_layers, objective, subset.usable, training, seed, settings, inputs)
    train_into(folder, job, data, config, engine, progress)
