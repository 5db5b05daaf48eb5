"""The multiplicative feature fusion network (Wei et al. 2021, "Shallow Feature Matters for WSOL", Fig. 4b and 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from wsol.config.base import Fusion
from wsol.models.features import Features

Images = Float[Tensor, "batch 3 height width"]
Level = Float[Tensor, "batch _ _ _"]
"""Feature maps of one backbone stage, with any number of channels and any resolution."""
Scores = Float[Tensor, "batch outputs height width"]
Logits = Float[Tensor, "batch outputs"]

WIDTH = 128
"""Number of channels of a projected level, and of the shared attention vector (published code)."""
DROPOUT = 0.5


class ScoreMaps(NamedTuple):
    """Scores at each position: one map per output, before any ReLU or sigmoid."""

    fused: Scores
    deep: Float[Tensor, "batch outputs _ _"] | None
    """Scores of the same class layer on the deepest level alone, at the resolution of that level; None without
    auxiliary branch."""


class ChannelAttention(nn.Module):
    """Fig. 5 (MCA): the product of the levels' vectors is a shared vector, which weights the channels of each level."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.into = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU()) for c in channels
        )
        self.back = nn.ModuleList(nn.Conv2d(WIDTH, c, 1) for c in channels)

    def forward(self, levels: Sequence[Level]) -> list[Level]:
        """Multiply the channels of each level by weights between 0 and 1."""
        shared = multiply(
            [into(level.mean((2, 3), keepdim=True)) for into, level in zip(self.into, levels, strict=True)]
        )
        return [level * torch.sigmoid(back(shared)) for back, level in zip(self.back, levels, strict=True)]


class Projection(nn.Sequential):
    """Projects a level to `WIDTH` non-negative channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU())


def upsampled(levels: Sequence[Level]) -> list[Level]:
    """Upsample all levels to the resolution of the shallowest, bilinear with aligned corners (published code)."""
    image_hw = levels[0].shape[2:]
    return [levels[0], *(interpolate(level, image_hw, mode="bilinear", align_corners=True) for level in levels[1:])]


def multiply(levels: Sequence[Features]) -> Features:
    """Eq. 1: the product is high only where all levels are high."""
    return reduce(torch.mul, levels)


def add(levels: Sequence[Features]) -> Features:
    """Eq. 3: the sum is high where any level is high."""
    return reduce(torch.add, levels)


def concat(levels: Sequence[Level]) -> Level:
    """Concatenation (Table 2): the class layer gets the channels of all levels, the deepest last."""
    return torch.cat(list(levels), dim=1)


FUSIONS: dict[Fusion, Callable[[Sequence[Level]], Level]] = {"multiply": multiply, "add": add, "concat": concat}


class MffNet(nn.Module):
    """Fig. 4b: backbone, channel attention, projection, upsampling, fusion, class layer.

    The class scores are means of the maps after a ReLU.

    Args:
        backbone: returns feature maps, shallowest first.
        channels: number of channels of each feature map.
        outputs: number of score maps.
        fusion: operation that fuses the levels.
        attention: whether to apply channel attention.
        auxiliary: whether to compute scores of the deepest level too.
        dropout: dropout probability of the fused features in training.
    """

    is_rectified = True

    def __init__(
        self,
        backbone: nn.Module,
        channels: Sequence[int],
        outputs: int,
        *,
        fusion: Fusion,
        attention: bool,
        auxiliary: bool,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.attention = ChannelAttention(channels) if attention else nn.Identity()
        self.projections = nn.ModuleList(Projection(c) for c in channels)
        self.fuse = FUSIONS[fusion]
        self.class_layer = nn.Conv2d(WIDTH * len(channels) if fusion == "concat" else WIDTH, outputs, 1)
        self.has_auxiliary = auxiliary
        self.dropout = nn.Dropout(dropout)
        for part in (self.attention, self.projections, self.class_layer):
            part.apply(initialise)

    def forward(self, images: Images) -> ScoreMaps:
        """Score maps at the stride of the shallowest fused level."""
        levels = self.attention(self.backbone(images))
        levels = [project(level) for project, level in zip(self.projections, levels, strict=True)]
        fused = self.dropout(self.fuse(upsampled(levels)))
        return ScoreMaps(self.class_layer(fused), self._deep_scores(levels[-1]) if self.has_auxiliary else None)

    def _deep_scores(self, deep: Level) -> Level:
        # After concatenation, the deep level has the last input channels of the class layer; otherwise it has all.
        weight = self.class_layer.weight[:, -WIDTH:]
        return conv2d(self.dropout(deep), weight, self.class_layer.bias)


class OriginalCam(nn.Module):
    """Zhou et al. 2016 (Fuse1 in Table 2): the last stage, a linear layer and the spatial mean.

    Mean and linear layer commute, so the layer is applied to every position first, and its maps are the CAMs.
    """

    is_rectified = False

    def __init__(self, backbone: nn.Module, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.class_layer = nn.Conv2d(channels[-1], outputs, 1)
        self.class_layer.apply(initialise)

    def forward(self, images: Images) -> ScoreMaps:
        """Score maps at the stride of the last stage."""
        return ScoreMaps(self.class_layer(self.backbone(images)[-1]), None)


def class_logits(scores: Scores, *, is_rectified: bool) -> Logits:
    """Return the spatial mean of the class activation maps.

    Args:
        scores: score maps.
        is_rectified: whether the class activation maps are the ReLU of the scores; not in `OriginalCam`.
    """
    return (scores.relu() if is_rectified else scores).mean((2, 3))


def build_mffnet(
    backbone: nn.Module,
    channels: Sequence[int],
    outputs: int,
    *,
    fusion: Fusion,
    attention: bool,
    auxiliary: bool,
    dropout: float = DROPOUT,
) -> MffNet | OriginalCam:
    """Build an `MffNet`, or an `OriginalCam` if there is only one level; arguments as for `MffNet`."""
    if len(channels) == 1:
        return OriginalCam(backbone, channels, outputs)
    return MffNet(backbone, channels, outputs, fusion=fusion, attention=attention, auxiliary=auxiliary, dropout=dropout)


def initialise(layer: nn.Module) -> None:
    """Kaiming-normal over the fan-in, bias 0 (published code)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
