"""What all groups of options are made of: words, numbers, and the values that all trainings share."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

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


# Values are held against each other only when the recipe's are in: an override may not fit a default that it never
# meets.
RESOLVED = {"resolved": True}


class Config(BaseModel):
    """Frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Group = TypeVar("Group", bound=Config)


def in_order(group: Group, info: Any, low: str, high: str) -> Group:
    """The group, if one of its values is not above another; `wsol.config.messages` says it with the options' names."""
    below, above = getattr(group, low), getattr(group, high)
    if info.context is RESOLVED and below > above:
        names = {"low": low, "high": high, "below": below, "above": above}
        raise PydanticCustomError("order", "{low} must be at most {high}, got {below} > {above}", names)
    return group


class Training(Config):
    """What all three trainings share: SGD with Nesterov momentum, by default at a constant rate (Wei et al. 2021, sec.
    4.2).
    """

    epochs: PositiveInt = 6
    """Passes over the training images."""
    steps: PositiveInt | None = None
    """Stop after this many batches, however many epochs that takes; overrides `epochs`."""
    least_steps: NonNegativeInt = 0
    """At least so many batches, however many epochs that takes: a small set needs more passes. 0 where `epochs` or
    `steps` are given."""
    batch_size: PositiveInt = 16
    """Images per step, on all processes together; learning rates belong to this number and are never scaled by that of
    processes."""
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
    """Side of the square every image is squashed to; maps and predictions are made at this size, or `scale` times as
    large."""
    crop_px: PositiveInt = 224
    """Side of the random crop in training."""
    freeze: NonNegativeInt | None = None
    """So many stages of the backbone, from the image on, stay as they were pretrained, statistics of batch norm too: by
    default two fifths of them, which are stem and two of five stages of a ResNet or EfficientNet, and of a vision
    transformer patch embedding and four of twelve blocks. 0: all are trained."""
    batch_norm: BatchNorm = "live"
    """Statistics of batch norm in training: `live` from the images that one process takes at a time, `frozen` those of
    the pretraining (new layers have none and stay live), `sync` from the images of all processes (GPUs only)."""

    @model_validator(mode="after")
    def _crop_fits(self, info: Any) -> Training:
        return in_order(self, info, "crop_px", "resize_px")


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


def _stride(value: int) -> int:
    # A Literal of numbers cannot be given on the command line, where all are words.
    if value not in (8, 16, 32):
        raise ValueError(f"expected 8, 16 or 32, got {value}")
    return value


Stride = Annotated[int, AfterValidator(_stride)]
