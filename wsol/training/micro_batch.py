"""How many images fit into the memory of a device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wsol.errors import WsolError


def largest_that_fits(work: Callable[[int], object], most: int) -> int:
    """The largest of most, most / 2, most / 4, ... with which `work` does not run out of the device's memory.

    Raises:
        WsolError: not even one fits.
    """
    count = most
    while True:
        try:
            work(count)
            return count
        except torch.OutOfMemoryError as error:
            reason = str(error).splitlines()[0]
        # Outside of the handler, whose traceback holds on to the tensors.
        torch.cuda.empty_cache()
        if count == 1:
            raise WsolError(
                f"not even one image fits into the memory of the device ({reason})",
                expected="room for one",
                remedy="Make --crop-px of the stage smaller, or take a smaller --backbone.",
            )
        count = -(-count // 2)
