"""The losses of the stages (Wei et al. 2021, sec. 3.5) and of the published code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from wsol.config.base import Auxiliary
from wsol.models.outputs import Labels, Logits

ClassLoss = Callable[[Logits, Logits | None, Labels], Tensor]


def joint(fused: Logits, deep: Logits | None, labels: Labels) -> Tensor:
    """L_c = L_cls + L_aux: cross entropy of both branches (Wei et al. 2021, sec. 3.5).

    Args:
        fused: class scores of the fused branch.
        deep: class scores of the deep branch; None for the loss of the fused branch alone.
        labels: class of each image.
    """
    return cross_entropy(fused, labels) + (0 if deep is None else cross_entropy(deep, labels))


def distil(fused: Logits, deep: Logits | None, labels: Labels) -> Tensor:
    """Published code, CUB: the deep branch learns the labels, the fused branch learns the deep one's softmax."""
    if deep is None:
        return cross_entropy(fused, labels)
    return (cross_entropy(deep, labels) + cross_entropy(fused, deep.detach().softmax(1))) / 2


CLASS_LOSSES: dict[Auxiliary, ClassLoss] = {"none": joint, "joint": joint, "distil": distil}


def masked_bce(
    logits: Float[Tensor, "batch height width"],
    target: Float[Tensor, "batch height width"],
    weight: Float[Tensor, "batch height width"],
) -> Tensor:
    """Weighted binary cross entropy (Wei et al. 2021, Eq. 7), mean over all pixels of the batch.

    Args:
        logits: scores before the sigmoid.
        target: values in [0, 1].
        weight: 1 for pixels that count, 0 for ignored ones.
    """
    return torch.mean(weight * binary_cross_entropy_with_logits(logits, target, reduction="none"))
