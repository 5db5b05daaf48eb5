"""The number of images that fit into the memory of a device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wsol.errors import WsolError


def largest_that_fits(work: Callable[[int], object], most: int) -> int:
    """Halve a number of images until they fit into the device's memory.

    Args:
        work: called with the number of images; raises `torch.OutOfMemoryError` if they do not fit.
        most: the first number to try.

    Returns:
        The largest of most, most / 2, most / 4, ... (rounded up) that fits.

    Raises:
        WsolError: one image does not fit.
    """
    count = most
    while True:
        try:
            work(count)
            return count
        except torch.OutOfMemoryError as error:
            reason = str(error).splitlines()[0]
        # Outside the handler: inside it, the traceback keeps the tensors alive.
        torch.cuda.empty_cache()
        if count == 1:
            raise WsolError(
                f"one image does not fit into the memory of the device ({reason})",
                remedy="Use a smaller --crop-px for the stage, or a smaller --backbone.",
            )
        count = -(-count // 2)
