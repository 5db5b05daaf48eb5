"""Equations 1 and 2 of CutMix against loops over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wsol.config.methods import CutMix
from wsol.methods.cutmix import cut_box, mixed_loss, pasted
from wsol.models.mffnet import ScoreMaps

SIDES = st.integers(1, 30)


@settings(max_examples=50)
@given(st.floats(0, 1), st.data(), SIDES, SIDES)
def test_the_box_is_that_of_equation_2_and_inside_the_image(
    fraction: float, data: st.DataObject, height: int, width: int
) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x0, y0, x1, y1 = cut_box(fraction, (x, y), (height, width))
    assert 0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height
    assert x0 <= x <= x1 and y0 <= y <= y1
    for low, high, middle, side in ((x0, x1, x, width), (y0, y1, y, height)):
        cut = side * math.sqrt(1 - fraction)
        assert high - low <= cut
        if middle - cut / 2 >= 0 and middle + cut / 2 <= side:
            assert high - low > cut - 3  # halves of whole pixels


def test_pixels_in_the_box_come_from_the_other_image_and_lambda_is_the_fraction_that_is_kept() -> None:
    images, others = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 5, 6)
    box = (1, 2, 4, 5)
    mixed, kept = pasted(images, others, box)
    own = 0
    for y in range(5):
        for x in range(6):
            is_other = box[0] <= x < box[2] and box[1] <= y < box[3]
            own += not is_other
            assert torch.equal(mixed[:, :, y, x], (others if is_other else images)[:, :, y, x])
    assert kept == pytest.approx(own / 30)


class Recording(nn.Module):
    """Class scores from an image's mean colours; records its inputs."""

    def forward(self, images: Tensor) -> ScoreMaps:
        self.shown = images
        return ScoreMaps(images, None)


def test_the_loss_weights_both_labels_by_their_pixels() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels, network = torch.tensor([0, 1, 2, 0]), Recording()
    for seed in range(5):
        torch.manual_seed(seed)
        loss = mixed_loss(network, images, labels, CutMix())
        expected = 0.0
        for image, shown, label in zip(images, network.shown, labels.tolist(), strict=True):
            stays = (shown == image).all(0)
            found = [i for i, other in enumerate(images) if torch.equal(other[:, ~stays], shown[:, ~stays])]
            logs = shown.mean((1, 2)).log_softmax(0)
            kept = float(stays.float().mean())
            expected -= (kept * float(logs[label]) + (1 - kept) * float(logs[labels[found[0]]])) / 4
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_without_mixing_it_is_the_plain_loss() -> None:
    network, images = Recording(), torch.rand(2, 3, 4, 4)
    mixed_loss(network, images, torch.tensor([0, 1]), CutMix(probability=0.0))
    assert torch.equal(network.shown, images)
