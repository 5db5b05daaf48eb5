"""The number of images is halved until they fit."""

from __future__ import annotations

import pytest
import torch

from wsol.errors import WsolError
from wsol.training.micro_batch import largest_that_fits


@pytest.mark.parametrize(
    ("most", "room", "expected", "tried"),
    [
        pytest.param(16, 99, 16, [16], id="all fit"),
        pytest.param(16, 5, 4, [16, 8, 4], id="a quarter fits"),
        pytest.param(5, 1, 1, [5, 3, 2, 1], id="only one fits"),
        pytest.param(1, 1, 1, [1], id="one of one"),
    ],
)
def test_the_number_is_halved_until_it_fits(most: int, room: int, expected: int, tried: list[int]) -> None:
    asked: list[int] = []

    def work(count: int) -> None:
        asked.append(count)
        if count > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    assert largest_that_fits(work, most) == expected
    assert asked == tried


def test_a_device_too_small_for_one_image_is_reported() -> None:
    def work(count: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    with pytest.raises(WsolError, match=r"one image does not fit .*Tried to allocate 2 GiB\)"):
        largest_that_fits(work, 4)


def test_other_errors_are_not_swallowed() -> None:
    def work(count: int) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        largest_that_fits(work, 4)
