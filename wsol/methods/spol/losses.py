"""The losses of the stages (Wei et al. 2021, sec. 3.5) and of the published code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from wsol.config.base import Auxiliary
from wsol.models.class_scores import Logits, class_loss, class_probabilities

ClassLoss = Callable[[Logits, Logits | None, Tensor], Tensor]


def joint(fused: Logits, deep: Logits | None, targets: Tensor) -> Tensor:
    """L_c = L_cls + L_aux: cross entropy of both branches (Wei et al. 2021, sec. 3.5).

    Args:
        fused: class scores of the fused branch.
        deep: class scores of the deep branch; None for the loss of the fused branch alone.
        targets: of each image (`class_targets`).
    """
    return class_loss(fused, targets) + (0 if deep is None else class_loss(deep, targets))


def distil(fused: Logits, deep: Logits | None, targets: Tensor) -> Tensor:
    """Published code, CUB: the deep branch learns the labels, the fused branch learns the deep one's softmax."""
    if deep is None:
        return class_loss(fused, targets)
    multi_label = targets.ndim > 1
    taught = class_probabilities(deep.detach(), multi_label=multi_label)
    if multi_label:
        return (class_loss(deep, targets) + class_loss(fused, taught)) / 2
    return (class_loss(deep, targets) + cross_entropy(fused, taught)) / 2


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
