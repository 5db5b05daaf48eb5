"""A network is inspected by running it once: in eval mode, so that nothing changes, on an image of noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode, and back in its mode at the end.

    Args:
        network: the network.
    """
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def noise_image(network: nn.Module, size_px: int) -> Float[Tensor, "1 3 size size"]:
    """Return an image for which a linear layer has values of both signs with any weights; always the same.

    Args:
        network: gives the device.
        size_px: height and width.
    """
    noise = torch.randn(1, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))
    return noise.to(next(network.parameters()).device)
