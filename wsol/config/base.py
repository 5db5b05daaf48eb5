"""Types of option values, and the options that all training stages share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

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
InstantMap = Literal["auto", "common", "rare"]
Objects = Literal["largest", "all"]
MultiLabel = Literal["auto", "off"]
Precision = Literal["auto", "fp32", "bf16"]
MaskShape = Literal["rectangle", "rotated-rectangle", "ellipse", "rotated-ellipse"]
EngineName = Literal["torch", "onnx"]
BatchNorm = Literal["live", "frozen", "sync"]
Rates = Literal["constant", "linear"]
Optimizer = Literal["sgd", "adam"]
Track = Literal["none", "tensorboard"]
ProtocolName = Literal["original", "spol", "wsol-v1", "wsol-v2"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Levels = Annotated[int, Field(ge=1, le=4)]

ACTIVATION, STAGE = "activation", "stage"
"""Values of `training.feature` other than the name of a module."""

# Values are compared with each other only after the recipe is applied: an override may contradict a default that the
# recipe replaces.
RESOLVED = {"resolved": True}


class Config(BaseModel):
    """Base of all configurations: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Group = TypeVar("Group", bound=Config)


def in_order(group: Group, info: Any, low: str, high: str) -> Group:
    """Check that option `low` of a group is at most option `high`.

    Args:
        group: the options.
        info: pydantic's validation info; only a resolved configuration is checked.
        low: name of the option that must not be larger.
        high: name of the option that must not be smaller.

    Returns:
        The group, unchanged.

    Raises:
        PydanticCustomError: `low` is above `high`; `wsol.config.messages` words it with the options' names.
    """
    below, above = getattr(group, low), getattr(group, high)
    if info.context is RESOLVED and below > above:
        names = {"low": low, "high": high, "below": below, "above": above}
        raise PydanticCustomError("order", "{low} must be at most {high}, got {below} > {above}", names)
    return group


class Training(Config):
    """Options of every training: SGD with Nesterov momentum, constant rate by default (Wei et al. 2021, sec. 4.2)."""

    epochs: PositiveInt = 6
    """Number of passes over the training images."""
    steps: PositiveInt | None = None
    """Number of training steps (batches). If given, the number of epochs is ignored."""
    least_steps: NonNegativeInt = 0
    """Minimum number of steps. Training continues for more epochs if needed, since a small data set needs more passes.
    The minimum is 0 if the number of epochs or steps is given."""
    batch_size: PositiveInt = 16
    """Images per step, summed over all processes. Learning rates are not scaled with the number of processes."""
    lr_backbone: NonNegativeFloat = 0.002
    """Learning rate of the pretrained layers."""
    lr_new: NonNegativeFloat = 0.02
    """Learning rate of the new layers."""
    rates: Rates = "constant"
    """Learning rate schedule: constant, or linear decay to 0 at the end of the training, updated every step."""
    momentum: Fraction = 0.9
    """Nesterov momentum, 0 to 1."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight of the L2 penalty on all weights."""
    resize_px: PositiveInt = 256
    """Height and width in pixels to which every image is resized, without keeping its aspect ratio. Prediction uses
    this size too, times `--seg.scale` in stage 3."""
    crop_px: PositiveInt = 224
    """Height and width in pixels of the random training crop, not larger than the resized image."""
    frozen_fraction: ClassVar[float] = 0.4
    """The default of `freeze` as a fraction of all stages."""
    freeze: NonNegativeInt | None = None
    """Number of backbone stages, counted from the input, that are not trained; their batch norm statistics stay fixed
    too. 0 trains all. The default is 40 % of the stages: the stem and two of five stages of a ResNet or EfficientNet,
    the patch embedding and four of twelve blocks of a vision transformer."""
    batch_norm: BatchNorm = "live"
    """Batch norm statistics in training: `live` (of the images in one forward pass of one process), `frozen` (of the
    pretraining; new layers stay live) or `sync` (of the images of all processes; GPUs only)."""

    @model_validator(mode="after")
    def _crop_fits(self, info: Any) -> Training:
        return in_order(self, info, "crop_px", "resize_px")


class MffTraining(Training):
    """Options of training a multiplicative feature fusion network (Wei et al. 2021, Fig. 4b)."""

    fusion: Fusion = "multiply"
    """Operation that fuses the feature levels (Wei et al. 2021, Eq. 1, Eq. 3, Table 2)."""
    levels: Levels = 3
    """Number of last backbone stages that are fused, 1 to 4; 1 gives the original CAM network."""
    attention: bool = True
    """Apply multiplicative channel attention before the fusion (Wei et al. 2021, Fig. 5)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout probability of the fused features (published code: 0.5)."""


def _stride(value: int) -> int:
    # A Literal of numbers cannot be parsed from the command line, where every value is a string.
    if value not in (8, 16, 32):
        raise PydanticCustomError("stride", "Input should be 8, 16 or 32")
    return value


Stride = Annotated[int, AfterValidator(_stride)]
