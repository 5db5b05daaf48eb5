"""Random crops and flips, the same for an image and its mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.crops import View, random_view


def view_by_loops(planes: torch.Tensor, view: View) -> torch.Tensor:
    """Image by image: cut, then turn over."""
    crops = []
    for item, top, left, is_mirrored in zip(
        planes, view.top.tolist(), view.left.tolist(), view.is_mirrored.tolist(), strict=True
    ):
        crop = item[:, top : top + view.crop_px, left : left + view.crop_px]
        crops.append(crop.flip(2) if is_mirrored else crop)
    return torch.stack(crops)


def drawn(count: int, side: int, crop: int, seed: int) -> View:
    return random_view(count, side, crop, torch.Generator().manual_seed(seed), torch.device("cpu"))


@given(
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 4),
    st.sampled_from([torch.uint8, torch.float32, torch.int64]),
    st.integers(0, 10**6),
)
def test_a_view_is_a_crop_and_a_mirror_of_each_image(
    count: int, crop: int, margin: int, dtype: torch.dtype, seed: int
) -> None:
    side = crop + margin
    planes = torch.arange(count * 2 * side * side).reshape(count, 2, side, side).to(dtype)
    view = drawn(count, side, crop, seed)
    seen = view.apply(planes)
    assert seen.dtype == dtype
    assert torch.equal(seen, view_by_loops(planes, view))


def test_one_view_cuts_an_image_and_its_mask_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (6, 3, 12, 12), generator=generator, dtype=torch.uint8)
    mask = (image[:, :1] > 100).float()
    view = random_view(6, 12, 7, generator, torch.device("cpu"))
    assert 0 < view.is_mirrored.sum() < 6
    assert torch.equal((view.apply(image)[:, :1] > 100).float(), view.apply(mask))


def test_the_same_seed_gives_the_same_view() -> None:
    one, same, other = drawn(8, 20, 10, 3), drawn(8, 20, 10, 3), drawn(8, 20, 10, 4)
    assert torch.equal(one.top, same.top)
    assert torch.equal(one.left, same.left)
    assert torch.equal(one.is_mirrored, same.is_mirrored)
    assert not torch.equal(one.top, other.top)


def test_every_position_is_equally_likely_and_half_are_flipped() -> None:
    view = drawn(9000, 12, 10, 0)
    for places in (view.top, view.left):
        shares = torch.bincount(places, minlength=3) / 9000
        assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert view.is_mirrored.float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.corrcoef(torch.stack([view.top.float(), view.left.float()]))[0, 1].abs() < 0.05


def test_a_crop_of_the_whole_is_the_whole() -> None:
    view = drawn(50, 6, 6, 0)
    assert (view.top == 0).all()
    assert (view.left == 0).all()
