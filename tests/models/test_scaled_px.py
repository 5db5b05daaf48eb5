"""How large a network that learned from crops sees whole images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from wsol.models.backbone import scaled_px


@pytest.mark.parametrize(
    ("resize_px", "scale", "stride", "size_px"),
    [
        (256, 1.25, 32, 320),  # nearest to it
        (256, 1, 32, 256),
        (250, 1, 32, 250),  # what the network was trained on is never rounded
        (224, 1.25, 14, 280),  # DINOv2's patches
        (224, 1.25, 16, 288),  # 280 is no whole number of patches
        (64, 0.1, 32, 32),  # never nothing
    ],
)
def test_sides(resize_px: int, scale: float, stride: int, size_px: int) -> None:
    network = nn.Module()
    network.backbone = nn.Module()
    network.backbone.feature_info = SimpleNamespace(reduction=lambda: [8, stride])
    assert scaled_px(network, resize_px, scale) == size_px
