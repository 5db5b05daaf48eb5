"""The pictures that maps are made of: how large, and with their mirror images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from wsol.config import Pseudo, RunConfig
from wsol.data.opening import open_data
from wsol.data.pictures import Batch
from wsol.engine import choose_engine
from wsol.models.backbone import scaled_px
from wsol.models.checkpoint import load_mffnet
from wsol.pseudo_store import decode
from wsol.stages.make_pseudo import Source, _Asked, _Maker
from wsol.stopwatch import Stopwatch


@pytest.mark.parametrize(
    ("resize_px", "scale", "stride", "side_px"),
    [
        (256, 1.25, 32, 320),  # the default on CUB
        (256, 1, 32, 256),
        (250, 1, 32, 250),  # what the network was trained on is never rounded
        (224, 1.25, 14, 280),  # DINOv2's patches
        (224, 1.25, 16, 288),  # 280 is no whole number of patches
        (64, 0.1, 32, 32),  # never nothing
    ],
)
def test_sides(resize_px: int, scale: float, stride: int, side_px: int) -> None:
    network = nn.Module()
    network.backbone = nn.Module()
    network.backbone.feature_info = SimpleNamespace(reduction=lambda: [8, stride])
    assert scaled_px(network, resize_px, scale) == side_px


def maps_of(run: Path, data_root: Path, pixels: torch.Tensor, *, flip: bool) -> np.ndarray:
    """What is kept of the maps of some pictures."""
    network, card = load_mffnet(run / "cam")
    config = RunConfig(pseudo=Pseudo(masks="thresholds", gaussian="none", flip=flip))
    card = card.model_copy(update={"resize_px": 96})
    asked = [_Asked(Source(run / "cam", None), network, card)]
    maker = _Maker(open_data(data_root), asked, None, choose_engine("cpu", "fp32"), config)
    batch = Batch(pixels=pixels, indices=torch.arange(len(pixels)), image_hw=torch.full((len(pixels), 2), 96))
    records = maker.records(batch, maker.record(), Stopwatch(0))
    assert records["map"].shape[1:] == (12, 12), "of pictures one and a half times as large"
    return decode(torch.from_numpy(records["map"])).numpy()


def test_a_mirrored_picture_has_the_mirrored_map(small_run: Path, small_set: Path) -> None:
    pixels = torch.randint(256, (2, 3, 96, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    both = [maps_of(small_run, small_set, one, flip=True) for one in (pixels, pixels.flip(-1))]
    np.testing.assert_allclose(both[0], both[1][:, :, ::-1], atol=0.02)
    alone = [maps_of(small_run, small_set, one, flip=False) for one in (pixels, pixels.flip(-1))]
    assert np.abs(alone[0] - alone[1][:, :, ::-1]).max() > 0.1, "one map alone is not so even-handed"
