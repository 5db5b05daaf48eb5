"""The options and the properties of every method, without torch. The code of the methods is in `wsol.methods`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from wsol.config.base import (
    ACTIVATION,
    Auxiliary,
    BatchNorm,
    Config,
    Fraction,
    Fusion,
    Gaussian,
    GradCam,
    InstantMap,
    Levels,
    Masks,
    MaskShape,
    Method,
    MffTraining,
    Optimizer,
    Stride,
    Training,
    in_order,
)


class Cam(MffTraining):
    """Stage 1: MFF-Net learns the classes. SPOL makes pseudo masks from its class activation maps if `pseudo.masks` is
    `thresholds`.
    """

    epochs: PositiveInt = 12
    """Number of passes over the training images."""
    least_steps: NonNegativeInt = 336
    """Minimum number of steps. Training continues for more epochs if needed, since a small data set needs more passes.
    The minimum is 0 if the number of epochs or steps is given."""
    auxiliary: Auxiliary = "joint"
    """Auxiliary loss of the deep branch: `joint` (cross entropy of both branches; paper), `distil` (cross entropy of
    the deep branch, whose softmax is the target of the fused branch; published code on CUB) or `none` (cross entropy of
    the fused branch alone; published code on ImageNet)."""
    threshold: Fraction = 0.2
    """Threshold for evaluating stage 1 alone, as a fraction of the map's maximum: pixels above it are foreground."""


class Pseudo(Config):
    """Stage 2: a pseudo mask for each training image."""

    masks: Masks = "cues"
    """Source of the pseudo masks: `cues` or `thresholds`. Cues are the salient regions of instant mode (group instant);
    if an image has several, linear models of the same features choose one, by its evidence of the class and its
    similarity to those chosen in other images. Stage 1 is not trained. Thresholds divide stage 1's map, combined with a
    Gaussian prior, into foreground, background and ignored pixels (Wei et al. 2021, Eq. 5 and 6); all other options of
    this group belong to them."""
    gaussian: Gaussian = "contours"
    """Gaussian prior: `entire` (one Gaussian fitted to the whole map, paper), `contours` (the maximum of one Gaussian
    for each contour of the map's middle values, published code) or `none`."""
    gaussian_divisor: Annotated[float, Field(gt=0)] = 10.0
    """Number by which the variances and the covariance of each Gaussian are divided (published code: 10)."""
    gaussian_foreground: Fraction = 0.25
    """Threshold of the Gaussian, as a fraction of its maximum: pixels above it are foreground."""
    foreground: Fraction = 0.25
    """Threshold of the map, as a fraction of its maximum: pixels above it are foreground."""
    background: Fraction = 0.01
    """Threshold of the map, as a fraction of its maximum: pixels below it are background if they are not foreground."""
    thresholding: bool = True
    """Apply the thresholds. If off, the target of every pixel is the maximum of map and Gaussian (Wei et al. 2021,
    Table 4, "w/o Threshold")."""

    @model_validator(mode="after")
    def _bands_do_not_cross(self, info: Any) -> Pseudo:
        return in_order(self, info, "background", "foreground")


class Seg(MffTraining):
    """Stage 3: a second MFF-Net learns one class-agnostic mask from the pseudo masks (Eq. 7)."""

    epochs: PositiveInt = 5
    """Number of passes over the training images."""
    least_steps: NonNegativeInt = 140
    """Minimum number of steps, as for stage 1."""
    lr_backbone: NonNegativeFloat = 0.02
    """Learning rate of the pretrained layers: ten times that of stage 1, as in the published code."""
    fusion: Fusion = "concat"
    """Operation that fuses the feature levels (Wei et al. 2021, Eq. 1, Eq. 3, Table 2)."""
    scale: Annotated[float, Field(gt=0)] = 1.5
    """Factor on `resize_px` at prediction. Above 1 gives finer masks without longer training."""


class MethodTraining(Training):
    """Training of every method except `spol`, with the same values for each."""

    epochs: PositiveInt = 12
    """Number of passes over the training images."""
    frozen_fraction: ClassVar[float] = 0.8
    freeze: NonNegativeInt | None = None
    """Number of backbone stages, counted from the input, that are not trained. 0 trains all, as in the papers. The
    default is 80 % of the stages, so that the last of five is trained (studies/table1.md)."""
    batch_norm: BatchNorm = "frozen"
    """Batch norm statistics in training: `live` (of the images in one forward pass of one process), `frozen` (of the
    pretraining; new layers stay live) or `sync` (of the images of all processes; GPUs only)."""
    output_stride: Stride = 16
    """Stride of the last feature map in input pixels: 8, 16 or 32. Larger strides of the backbone are replaced by
    dilation (Zhou et al. 2016, sec. 3) if timm supports that for the backbone; otherwise it keeps its own stride."""
    optimizer: Optimizer = "sgd"
    """Optimizer: `sgd` (with Nesterov momentum) or `adam` (Kingma & Ba 2015), which does not use `momentum`."""
    feature: Annotated[str, Field(max_length=200)] = ACTIVATION
    """Feature map of the backbone that the method reads: `activation` (the last one after a ReLU or similar; if the
    last stage ends in a linear layer, the widest activation of its last block), `stage` (the outputs of the last
    stage), or timm's name of a module, such as blocks.5."""


class Has(Config):
    """Hide-and-Seek (Singh & Lee 2017)."""

    patch_px: PositiveInt = 32
    """Height and width in pixels of the squares that may be hidden (S in the paper)."""
    p_hide: Fraction = 0.5
    """Probability that a square is hidden."""


class CutMix(Config):
    """CutMix (Yun et al. 2019)."""

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Parameter of the distribution Beta(alpha, alpha), which gives the fraction of an image that is kept."""
    probability: Fraction = 1.0
    """Probability that a step mixes its images."""


class Acol(Config):
    """Adversarial Complementary Learning (Zhang et al. 2018)."""

    delta: Fraction = 0.6
    """Threshold of the first classifier's map, min-max normalised to 0 to 1: above it, features are erased for the
    second classifier."""
    width: PositiveInt = 1024
    """Number of channels of the classifiers' convolutions."""


class Spg(Config):
    """Self-produced Guidance (Zhang et al. 2018)."""

    delta_h_b2: Fraction = 0.7
    """Foreground threshold of the class map, min-max normalised to 0 to 1, for the targets of mask B2."""
    delta_l_b2: Fraction = 0.05
    """Background threshold of the normalised class map for the targets of mask B2 (published code; paper: 0.1)."""
    delta_h_b1: Fraction = 0.5
    """Foreground threshold of B2's probability for the targets of mask B1."""
    delta_l_b1: Fraction = 0.05
    """Background threshold of B2's probability for the targets of mask B1."""
    delta_h_c: Fraction = 0.7
    """Foreground threshold of the mean probability of B1 and B2 for the targets of mask C (published code)."""
    delta_l_c: Fraction = 0.1
    """Background threshold of the mean probability of B1 and B2 for the targets of mask C (published code)."""
    width: PositiveInt = 512
    """Number of channels of the masks' convolutions (published code)."""
    head_width: PositiveInt = 1024
    """Number of channels of the two convolutions before the class layer (published code: fc6, fc7)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout probability before each of them and before the class layer (published code)."""

    @model_validator(mode="after")
    def _bands_do_not_cross(self, info: Any) -> Spg:
        for mask in ("b2", "b1", "c"):
            in_order(self, info, f"delta_l_{mask}", f"delta_h_{mask}")
        return self


class Adl(Config):
    """Attention-based Dropout Layer (Choe & Shim 2019)."""

    drop_rate: Fraction = 0.75
    """Probability that the drop mask is applied instead of the importance map."""
    gamma: Fraction = 0.9
    """Drop threshold, as a fraction of the maximum attention: positions above it are dropped."""
    stages: Levels = 3
    """Number of last backbone stages that are followed by the layer, 1 to 4."""


class I2c(Config):
    """Inter-Image Communication (Zhang et al. 2020). All defaults are from the published code."""

    delta: Fraction = 0.7
    """Threshold of the class map, min-max normalised to 0 to 1: positions above it belong to the object."""
    seeds: PositiveInt = 3
    """Number of positions sampled in each image."""
    lambda_1: NonNegativeFloat = 0.008
    """Weight of the distance between the sampled features of two images of a class."""
    lambda_2: NonNegativeFloat = 0.001
    """Weight of the distance to the centre of the class (0.001 on ImageNet, 0.003 on CUB)."""
    gamma: NonNegativeFloat = 0.002
    """Decay rate of the centre updates: update t has the weight exp(-gamma t)."""
    head_width: PositiveInt = 1024
    """Number of channels of the two convolutions before the class layer (published code: fc6, fc7)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout probability before each of them and before the class layer."""
    warm_up: NonNegativeInt = 3
    """Number of epochs without the distances (the published code starts from a trained classifier)."""


class Ddt(Config):
    """Deep Descriptor Transforming (Wei et al. 2019)."""

    images: Literal["class", "all"] = "class"
    """Training images whose common component is computed: those of each class, or all together. Images without a label
    always use the component of all."""


class Instant(Config):
    """No training: the common component of the images (DDT, Wei et al. 2019) where the pretrained features are large
    (SCDA, Wei et al. 2017), or what is rare.
    """

    map: InstantMap = "auto"
    """What is salient: what the images have in common (`common`), what differs from the background (`rare`, the
    Mahalanobis distance; for defects and other small things), or the rare one if its regions show the classes
    clearly better (`auto`). With `--no-object` what is rare is measured from those images alone."""
    sample: PositiveInt = 200
    """Number of evenly spaced training images from which the common component is computed."""
    resize_px: PositiveInt = 448
    """Height and width in pixels to which every image is resized, without keeping its aspect ratio."""
    output_stride: Stride = 16
    """Stride of the features in input pixels: 8, 16 or 32; as `training.output_stride`."""


def finds_rare(options: Any) -> bool:
    """Whether the options with which a network of instant mode was made choose what is rare.

    Args:
        options: by name, as its folder has them; runs of older versions have no `map`, and find what is common.
    """
    return isinstance(options, Mapping) and options.get("map") == "rare"


class Psol(Config):
    """Pseudo Supervised Object Localization (Zhang et al. 2020), trained on the boxes of `ddt`."""

    width: PositiveInt = 512
    """Number of units in the layer between features and box."""
    grid: PositiveInt = 7
    """Rows and columns of features that the box is computed from: 7 as in the paper's VGG16, 1 (their mean) as in its
    ResNet50 and DenseNet161."""
    zoom: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Minimum area of the random part of a training crop that is enlarged to the crop's size; 1 enlarges nothing
    (published code: 0.2, for long trainings; studies/table1.md)."""
    lambda_reg: NonNegativeFloat = 50.0
    """Weight of the box loss: the squared distance of coordinates that are fractions of the image size (published
    code)."""


class GcNet(Config):
    """Geometry Constrained localization (Lu et al. 2020). Defaults are from the published code that computes shapes in
    closed form.
    """

    mask_shape: MaskShape = "rotated-ellipse"
    """Shape of the mask around the object."""
    area_loss: NonNegativeFloat = 2.5
    """Weight of the area loss (the fraction of the image inside the mask)."""
    obj_loss: NonNegativeFloat = 1.0
    """Weight of the object loss (cross entropy of the class inside the mask)."""
    back_loss: NonNegativeFloat = 1.0
    """Weight of the background loss (high class entropy outside the mask)."""
    p_hide: Fraction = 0.5
    """Probability that a training image of the classifier is masked with a random shape, inside or outside it (paper:
    0)."""
    smooth: Annotated[float, Field(gt=0)] = 10.0
    """Steepness of the mask at its edge; larger is steeper."""
    width: PositiveInt = 256
    """Number of units in the detector's layers between features and shape (VGG16: 4096)."""


class Tap(Config):
    """Thresholded average pooling, negative weight clamping and percentile thresholds (Bae et al. 2020). The paper's
    theta_loc is `box.threshold`.
    """

    theta_tap: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Pooling threshold, as a fraction of a channel's maximum: positions above it are averaged."""
    percentile: Annotated[int, Field(ge=0, le=100)] = 90
    """Percentile of the map's values that replaces the maximum as the unit of `box.threshold`."""


@dataclass(frozen=True)
class MethodSpec:
    """Properties of a method that the rest of the library needs. Its code is in `wsol.methods.table`."""

    groups: tuple[str, ...]
    """Option groups that it reads, its own last. `classify` and `box` are not listed: every method may read them."""
    folders: tuple[str, ...]
    """Folders of its stages in a run, in the order in which they are made. The last one holds the localization
    network."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Option values that replace the recipe's."""
    output: Literal["masks", "maps", "boxes"] = "maps"
    """Output of its network: class-agnostic masks, maps of one class, or boxes without a map."""
    knows_classes: bool = True
    """Whether its network outputs class probabilities, as `--classifier localizer` needs."""
    needs_labels: bool = True
    """Whether it uses class labels to localize."""
    is_multi_label: bool = False
    """Whether it can learn from images with several labels."""
    is_trained: bool = True
    """Whether its network is trained by gradient descent. If not, there is no loss curve."""
    uses_gradients: bool = False
    """Whether its maps need gradients at prediction. These methods share the network of `cam` and use the package
    `grad-cam`."""
    is_exportable: bool = True
    """Whether it can be exported to ONNX. Not possible with gradients or with a threshold of its own for each map."""
    read_in_part: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For groups that it reads only in part: the options that it reads."""
    classifier_folder: str | None = None
    """Folder of the classifier against which the localization network is trained, if it needs one."""

    @property
    def folder(self) -> str:
        """Folder of the localization network in a run."""
        return self.folders[-1]

    @property
    def own_group(self) -> str | None:
        """Name of the option group that belongs to this method alone; None if it has none."""
        return None if self.groups[-1] == "training" else self.groups[-1]

    @property
    def has_maps(self) -> bool:
        """Whether its boxes are computed from maps."""
        return self.output != "boxes"


_OF_CLASS_MAPS = {"classifier": "localizer", "box": {"threshold": 0.2}}
"""Defaults of methods whose localization network also classifies."""


def _class_maps(name: str, **facts: Any) -> MethodSpec:
    """A method whose localization network also classifies, as in the papers. The box threshold is a fraction of the
    map's maximum.
    """
    values: dict[str, Any] = {
        "groups": ("training", name),
        "folders": (name,),
        "defaults": _OF_CLASS_MAPS,
    }
    return MethodSpec(**values | facts)


METHODS: dict[Method, MethodSpec] = {
    # The network of stage 1 (`cam`) can classify the boxes, see `wsol.config.groups.first_networks`.
    "spol": MethodSpec(
        ("instant", "cam", "pseudo", "seg"), ("cues", "cam", "pseudo", "seg"), output="masks", is_multi_label=True
    ),
    "cam": _class_maps("cam", groups=("training",), is_multi_label=True),  # the group of that name is SPOL's stage 1
    "has": _class_maps("has"),
    "cutmix": _class_maps("cutmix"),
    "acol": _class_maps("acol"),
    # Rates of the published code, in which all layers have the same.
    "spg": _class_maps("spg", defaults=_OF_CLASS_MAPS | {"training": {"lr_backbone": 0.001, "lr_new": 0.001}}),
    "adl": _class_maps("adl"),
    # Published code: 0.001 for the two convolutions, 0.01 for the class layer.
    "i2c": _class_maps("i2c", defaults=_OF_CLASS_MAPS | {"training": {"lr_backbone": 0.001, "lr_new": 0.002}}),
    "instant": MethodSpec(
        ("instant",),
        ("instant",),
        {"classifier": "none", "box": {"threshold": 0.5}},  # each map is scaled so that Otsu's threshold is 0.5
        knows_classes=False,
        needs_labels=False,
        is_multi_label=True,
        is_trained=False,
        is_exportable=False,
    ),
    "ddt": MethodSpec(
        ("training", "ddt"),
        ("ddt",),
        {"classifier": "none", "box": {"threshold": 0.5}},  # the map is scaled so that DDT's threshold 0 is 0.5
        knows_classes=False,
        is_multi_label=True,
        is_trained=False,
        # The crop size is not used, but must fit the image size.
        read_in_part={"training": ("resize_px", "crop_px", "output_stride", "feature")},
    ),
    "psol": MethodSpec(
        ("training", "ddt", "psol"),
        ("ddt", "pseudo-boxes", "psol"),  # trained on the boxes of ddt
        # Rates of the published code. The threshold is not used: it predicts boxes without maps.
        {"training": {"lr_backbone": 0.001, "lr_new": 0.002}, "box": {"threshold": 0.5}},
        output="boxes",
        knows_classes=False,
    ),
    "gcnet": _class_maps(
        "gcnet",
        folders=("gcnet-classifier", "gcnet"),
        classifier_folder="gcnet-classifier",
        defaults=_OF_CLASS_MAPS
        | {
            "training": {"optimizer": "adam", "lr_backbone": 1e-4, "lr_new": 1e-3, "weight_decay": 0},  # published code
            "box": {"threshold": 0.5},  # the edge of the shape
        },
    ),
    "tap": _class_maps("tap", defaults=_OF_CLASS_MAPS | {"box": {"threshold": 0.35}}),
    **{
        name: _class_maps("gradcam", groups=("training",), uses_gradients=True, is_exportable=False)
        for name in get_args(GradCam)
    },
}
