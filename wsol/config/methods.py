"""Every method: its options, and its row of facts. Imports no torch; the code of a method is `wsol.methods`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from wsol.config.base import (
    Auxiliary,
    Config,
    Fraction,
    Fusion,
    Gaussian,
    GradCam,
    Levels,
    Masks,
    MaskShape,
    Method,
    MffTraining,
    Stride,
    Training,
    in_order,
)


class Cam(MffTraining):
    """Stage 1: MFF-Net learns the classes; its class activation maps are the raw material of SPOL's masks
    (`pseudo.masks thresholds`).
    """

    epochs: PositiveInt = 12
    """Passes over the training images."""
    least_steps: NonNegativeInt = 336
    """At least so many batches, however many epochs that takes: a small set needs more passes. 0 where `epochs` or
    `steps` are given."""
    auxiliary: Auxiliary = "joint"
    """Loss with the deep branch: `joint` CE + CE (paper), `distil` CE on the deep branch and the fused one
    towards its softmax (published code, CUB), `none` CE on the fused branch (published code, ImageNet)."""
    threshold: Fraction = 0.2
    """Share of the map's peak above which stage 1's own mask begins, when stage 1 is judged by itself."""


class Pseudo(Config):
    """Stage 2: a mask of each training image."""

    masks: Masks = "cues"
    """`cues`: what instant mode finds salient (the group `instant`), and of several parts the one that speaks for the
    class and is like what is chosen in other images, by linear models of the same features; stage 1 is not trained.
    `thresholds`: stage 1's map cut into foreground, background and undecided, helped by a Gaussian (Wei et al. 2021,
    Eq. 5 and 6); all values below belong to it."""
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
        return in_order(self, info, "background", "foreground")


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


class MethodTraining(Training):
    """The networks of all methods beside `spol`: on equal terms, the same for each."""

    epochs: PositiveInt = 12
    """Passes over the training images."""
    freeze: NonNegativeInt | None = 0
    """So many stages of the backbone, from the image on, stay as they were pretrained. 0: all are trained, as in the
    papers."""
    output_stride: Stride = 16
    """Pixels that a place of the last stage's map stands for: strides beyond it are removed and the filters dilated
    (Zhou et al. 2016, sec. 3), where timm knows how for the backbone; others keep their own."""


class Has(Config):
    """Hide-and-Seek (Singh & Lee 2017)."""

    patch_px: PositiveInt = 32
    """S: side of the squares that are hidden."""
    p_hide: Fraction = 0.5
    """Probability of each to be hidden."""


class CutMix(Config):
    """CutMix (Yun et al. 2019)."""

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """The share of an image that stays is drawn from Beta(alpha, alpha)."""
    probability: Fraction = 1.0
    """Share of the steps with mixed images."""


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
            in_order(self, info, f"delta_l_{mask}", f"delta_h_{mask}")
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
    """Places that each image draws."""
    lambda_1: NonNegativeFloat = 0.008
    """Weight of the distance between seeds of two images of a class."""
    lambda_2: NonNegativeFloat = 0.001
    """Weight of the distance to the centre of the class (0.001 on ImageNet, 0.003 on CUB)."""
    gamma: NonNegativeFloat = 0.002
    """A centre that has been moved t times is moved by exp(-gamma t) the next time."""


class Ddt(Config):
    """Deep Descriptor Transforming (Wei et al. 2019)."""

    images: Literal["class", "all"] = "class"
    """Whose common object is found: that of each class's training images, or of all together. An image whose class
    nobody tells is looked at with the latter."""


class Instant(Config):
    """No training: what the images share (DDT, Wei et al. 2019), where the pretrained features are large (SCDA, Wei et
    al. 2017).
    """

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
    """Weight of the squared distance, small where boxes are shares of a side (published code: 50, new layers at a tenth
    of our rate)."""


class GcNet(Config):
    """Geometry Constrained localization (Lu et al. 2020). Values are the published code's, where it draws shapes in
    closed form.
    """

    mask_shape: MaskShape = "rotated-ellipse"
    """What is drawn around the object."""
    area_loss: NonNegativeFloat = 2.5
    """Weight of the shape's area."""
    obj_loss: NonNegativeFloat = 1.0
    """Weight of the class's cross entropy in what the shape holds."""
    back_loss: NonNegativeFloat = 1.0
    """Weight of what the classes' entropy lacks in what it leaves."""
    p_hide: Fraction = 0.5
    """Share of the classifier's training images that are shown through a random shape, or around one (the paper:
    none)."""
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


@dataclass(frozen=True)
class MethodSpec:
    """The facts of a method that the rest of the library asks for. Its code is `wsol.methods.table`'s."""

    groups: tuple[str, ...]
    """The groups of options that it reads, its own last; `classify` and `box` are everybody's."""
    folders: tuple[str, ...]
    """Where in a run its stages may lie, in the order in which they are made; the last holds the network that
    localizes."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What it takes where nothing else is said."""
    output: Literal["masks", "maps", "boxes"] = "maps"
    """What its network gives: masks of any class, maps of one class, or boxes without a map."""
    knows_classes: bool = True
    """Whether its network gives class probabilities, so that `--classifier localizer` can name boxes by it."""
    needs_labels: bool = True
    """Whether it uses class labels to localize."""
    is_trained: bool = True
    """Whether gradient descent makes its network; where not, there is no curve of a loss."""
    uses_gradients: bool = False
    """Whether its maps need gradients at prediction: `grad-cam` makes them, and the method's name is the way to them,
    not the network."""
    is_exportable: bool = True
    """Whether a file of networks can compute its output: not with gradients, and not with a threshold for each map."""
    read_in_part: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a group that is not read whole, the options that are."""
    classifier_folder: str | None = None
    """Where in a run the classifier lies that the localizing network is trained against, if it needs one."""

    @property
    def folder(self) -> str:
        """Where in a run the network lies that localizes."""
        return self.folders[-1]

    @property
    def own_group(self) -> str | None:
        """The name of the group that is the method's alone."""
        return None if self.groups[-1] == "training" else self.groups[-1]

    @property
    def has_maps(self) -> bool:
        """Whether boxes are cut from maps."""
        return self.output != "boxes"


def _class_maps(name: str, **facts: Any) -> MethodSpec:
    """A row of a method whose own network names the image, as in the papers; its box begins at a fraction of the map's
    peak.
    """
    values: dict[str, Any] = {
        "groups": ("training", name),
        "folders": (name,),
        "defaults": {"classifier": "localizer", "box": {"threshold": 0.2}},
    }
    return MethodSpec(**values | facts)


METHODS: dict[Method, MethodSpec] = {
    # Its class maps (`cam`) can name boxes, see `wsol.config.groups.first_networks`.
    "spol": MethodSpec(("instant", "cam", "pseudo", "seg"), ("cues", "cam", "pseudo", "seg"), output="masks"),
    "cam": _class_maps("cam", groups=("training",)),  # the group of that name is SPOL's stage 1
    "has": _class_maps("has"),
    "cutmix": _class_maps("cutmix"),
    "acol": _class_maps("acol"),
    "spg": _class_maps("spg"),
    "adl": _class_maps("adl"),
    "i2c": _class_maps("i2c"),
    "instant": MethodSpec(
        ("instant",),
        ("instant",),
        {"classifier": "none", "box": {"threshold": 0.5}},  # Otsu's, by the map's own scale
        knows_classes=False,
        needs_labels=False,
        is_trained=False,
        is_exportable=False,
    ),
    "ddt": MethodSpec(
        ("training", "ddt"),
        ("ddt",),
        {"classifier": "none", "box": {"threshold": 0.5}},  # of the map that is 0.5 where DDT's own is 0
        knows_classes=False,
        is_trained=False,
        # The crop is not looked at, but has to fit the square.
        read_in_part={"training": ("resize_px", "crop_px", "output_stride")},
    ),
    "psol": MethodSpec(
        ("training", "ddt", "psol"),
        ("ddt", "pseudo-boxes", "psol"),  # it learns ddt's boxes
        {"box": {"threshold": 0.5}},  # it has none: its boxes are not cut from maps
        output="boxes",
        knows_classes=False,
    ),
    "gcnet": _class_maps(
        "gcnet",
        folders=("gcnet-classifier", "gcnet"),
        classifier_folder="gcnet-classifier",
        defaults={"classifier": "localizer", "box": {"threshold": 0.5}},  # the edge of its shape
    ),
    "tap": _class_maps("tap", defaults={"classifier": "localizer", "box": {"threshold": 0.35}}),
    **{
        name: _class_maps("gradcam", groups=("training",), uses_gradients=True, is_exportable=False)
        for name in get_args(GradCam)
    },
}
