"""Hidden patches against the paper, pixel by pixel."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.methods.has import hidden


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 9))
def test_each_square_is_whole_or_the_mean_and_all_channels_alike(
    height: int, width: int, patch: int, seed: int
) -> None:
    torch.manual_seed(seed)
    images = torch.rand(2, 3, height, width) + 1
    shown = hidden(images, patch, 0.5)
    for image, original in zip(shown, images, strict=True):
        for top in range(0, height, patch):
            for left in range(0, width, patch):
                square = (slice(None), slice(top, top + patch), slice(left, left + patch))
                assert torch.equal(image[square], original[square]) or not image[square].any()


def test_patches_are_hidden_with_their_probability_independently_for_each_image() -> None:
    torch.manual_seed(0)
    shown = hidden(torch.ones(64, 3, 80, 80), 8, 0.3)[:, 0, ::8, ::8]
    assert abs(float((shown == 0).float().mean()) - 0.3) < 0.02
    assert not torch.equal(shown[0], shown[1])


def test_no_patch_is_hidden_at_probability_zero_and_every_one_at_one() -> None:
    images = torch.rand(2, 3, 10, 10) + 1
    assert torch.equal(hidden(images, 4, 0.0), images)
    assert not hidden(images, 4, 1.0).any()
