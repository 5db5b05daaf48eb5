"""The multiplicative feature fusion network (Wei et al. 2021, "Shallow Feature Matters for WSOL", Fig. 4b and 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, dropout, interpolate

from wsol.config.base import Fusion

Images = Float[Tensor, "batch 3 height width"]
Features = Float[Tensor, "batch channels height width"]
Level = Float[Tensor, "batch _ _ _"]
"""Feature maps of one backbone stage: own width, own resolution."""
Scores = Float[Tensor, "batch outputs height width"]
Logits = Float[Tensor, "batch outputs"]

WIDTH = 128
"""Channels of a projected level, and of the attention's shared vector (published code)."""
DROPOUT = 0.5


class ScoreMaps(NamedTuple):
    """What a network says about each place: one map per output, before any ReLU or sigmoid."""

    fused: Scores
    deep: Float[Tensor, "batch outputs _ _"] | None
    """The same class layer on the deepest level alone, at that level's own resolution; None without auxiliary
    branch."""


class ChannelAttention(nn.Module):
    """Fig. 5 (MCA): the levels share one vector, the product of theirs, which weighs the channels of each."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.into = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU()) for c in channels
        )
        self.back = nn.ModuleList(nn.Conv2d(WIDTH, c, 1) for c in channels)

    def forward(self, levels: Sequence[Level]) -> list[Level]:
        """Each level, its channels weighed between 0 and 1."""
        shared = multiply(
            [into(level.mean((2, 3), keepdim=True)) for into, level in zip(self.into, levels, strict=True)]
        )
        return [level * torch.sigmoid(back(shared)) for back, level in zip(self.back, levels, strict=True)]


class Projection(nn.Sequential):
    """A level in `WIDTH` channels, none of them negative."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU())


def upsampled(levels: Sequence[Level]) -> list[Level]:
    """All levels at the resolution of the shallowest, bilinear with aligned corners (published code)."""
    image_hw = levels[0].shape[2:]
    return [levels[0], *(interpolate(level, image_hw, mode="bilinear", align_corners=True) for level in levels[1:])]


def multiply(levels: Sequence[Features]) -> Features:
    """Eq. 1: a place counts only where every level agrees."""
    return reduce(torch.mul, levels)


def add(levels: Sequence[Features]) -> Features:
    """Eq. 3: a place counts where any level speaks up."""
    return reduce(torch.add, levels)


def concat(levels: Sequence[Level]) -> Level:
    """Table 2's other alternative: the class layer sees all levels side by side, the deepest last."""
    return torch.cat(list(levels), dim=1)


FUSIONS: dict[Fusion, Callable[[Sequence[Level]], Level]] = {"multiply": multiply, "add": add, "concat": concat}


class MffNet(nn.Module):
    """Fig. 4b: backbone, channel attention, projection, upsampling, fusion, class layer.

    `backbone` returns feature maps, shallow first, `channels` wide. Maps are pooled after a ReLU.
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
        self.dropout = dropout
        for part in (self.attention, self.projections, self.class_layer):
            part.apply(_initialise)

    def forward(self, images: Images) -> ScoreMaps:
        """Score maps at the stride of the shallowest fused level."""
        levels = self.attention(self.backbone(images))
        levels = [project(level) for project, level in zip(self.projections, levels, strict=True)]
        fused = self.class_layer(dropout(self.fuse(upsampled(levels)), self.dropout, self.training))
        return ScoreMaps(fused, self._deep_scores(levels[-1]) if self.has_auxiliary else None)

    def _deep_scores(self, deep: Level) -> Level:
        # After a concatenation the deep level owns the last columns of the class layer; else it owns all.
        weight = self.class_layer.weight[:, -WIDTH:]
        return conv2d(dropout(deep, self.dropout, self.training), weight, self.class_layer.bias)


class OriginalCam(nn.Module):
    """Zhou et al. 2016, what Table 2 calls Fuse1: the last stage, a linear layer, the spatial mean; nothing else.

    Mean and linear layer commute, so the layer is applied to every place first and its maps are the CAMs.
    """

    is_rectified = False

    def __init__(self, backbone: nn.Module, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.class_layer = nn.Conv2d(channels[-1], outputs, 1)
        self.class_layer.apply(_initialise)

    def forward(self, images: Images) -> ScoreMaps:
        """Score maps at the stride of the last stage."""
        return ScoreMaps(self.class_layer(self.backbone(images)[-1]), None)


def class_logits(scores: Scores, *, is_rectified: bool) -> Logits:
    """The spatial mean of the class activation maps, which are the ReLU of the scores (of the scores themselves in
    `OriginalCam`).
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
    """The network for these levels; one level is the original CAM's, whatever the fusion."""
    if len(channels) == 1:
        return OriginalCam(backbone, channels, outputs)
    return MffNet(backbone, channels, outputs, fusion=fusion, attention=attention, auxiliary=auxiliary, dropout=dropout)


def _initialise(layer: nn.Module) -> None:
    """Kaiming-normal over the fan-in, bias 0 (published code)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
