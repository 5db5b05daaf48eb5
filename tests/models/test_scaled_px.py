"""The image size at prediction of a network that is trained on crops."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from wsol.models.backbone import scaled_px


@pytest.mark.parametrize(
    ("resize_px", "scale", "stride", "size_px"),
    [
        (256, 1.25, 32, 320),  # the nearest multiple
        (256, 1, 32, 256),
        (250, 1, 32, 250),  # the training size is never rounded
        (224, 1.25, 14, 280),  # DINOv2's patches
        (224, 1.25, 16, 288),  # 280 is not a multiple of 16
        (64, 0.1, 32, 32),  # at least one stride
    ],
)
def test_scaled_sizes(resize_px: int, scale: float, stride: int, size_px: int) -> None:
    network = nn.Module()
    network.backbone = nn.Module()
    network.backbone.feature_info = SimpleNamespace(reduction=lambda: [8, stride])
    assert scaled_px(network, resize_px, scale) == size_px
