"""Equation 7 by loops, and the gradients of each classification loss in each branch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from wsol.methods.spol.gaussian_prior import Targets
from wsol.methods.spol.losses import CLASS_LOSSES, distil, joint, masked_bce
from wsol.methods.spol.train_seg import LEAST_FOREGROUND, balanced, weight_of_small_objects


def random_logits(seed: int, classes: int = 4, batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of both branches, ready for gradients, and labels."""
    generator = torch.Generator().manual_seed(seed)
    fused, deep = (torch.randn(batch, classes, generator=generator).requires_grad_() for _ in range(2))
    return fused, deep, torch.randint(classes, (batch,), generator=generator)


def gradients(loss: Tensor, *logits: Tensor) -> list[Tensor]:
    return [
        torch.zeros_like(one) if grad is None else grad
        for one, grad in zip(logits, torch.autograd.grad(loss, logits, allow_unused=True), strict=True)
    ]


def segmentation_by_loops(logits: Tensor, target: Tensor, weight: Tensor) -> float:
    """Eq. 7: -sum of w (g log p + (1 - g) log(1 - p)) over height times width, mean over the batch."""
    batch, height, width = logits.shape
    total = 0.0
    for item in range(batch):
        inner = 0.0
        for i in range(height):
            for j in range(width):
                p, g, w = (
                    1 / (1 + math.exp(-logits[item, i, j].item())),
                    target[item, i, j].item(),
                    weight[item, i, j].item(),
                )
                inner -= w * (g * math.log(p) + (1 - g) * math.log(1 - p))
        total += inner / (height * width)
    return total / batch


@given(st.integers(0, 10**6))
def test_the_segmentation_loss_is_equation_7(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, soft = torch.randn(2, 3, 4, generator=generator) * 3, torch.rand(2, 3, 4, generator=generator)
    weight = torch.randint(2, (2, 3, 4), generator=generator).float()
    for target in (soft.round(), soft):
        assert masked_bce(logits, target, weight).item() == pytest.approx(
            segmentation_by_loops(logits, target, weight), rel=1e-4, abs=1e-6
        )


def test_ignored_pixels_have_no_gradient() -> None:
    logits = torch.randn(2, 3, 4, requires_grad=True)
    weight = torch.zeros(2, 3, 4)
    weight[:, :, 0] = 1
    (gradient,) = torch.autograd.grad(masked_bce(logits, torch.rand(2, 3, 4), weight), logits)
    assert (gradient[:, :, 1:] == 0).all()
    assert (gradient[:, :, 0] != 0).all()


def test_a_batch_of_ignored_pixels_has_no_loss() -> None:
    logits = torch.full((1, 2, 2), 50.0, requires_grad=True)
    loss = masked_bce(logits, torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_the_loss_of_large_logits_is_finite() -> None:
    logits = torch.tensor([[[1e4, -1e4]]], requires_grad=True)
    loss = masked_bce(logits, torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 2))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]


def entropy_by_loops(logits: Tensor, labels: Tensor) -> float:
    """Mean of -log softmax at the label."""
    rows = [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    return sum(rows) / len(rows)


@given(st.integers(0, 10**6))
def test_joint_is_the_sum_of_the_cross_entropies_of_both_branches(seed: int) -> None:
    fused, deep, labels = random_logits(seed)
    assert joint(fused, deep, labels).item() == pytest.approx(
        entropy_by_loops(fused, labels) + entropy_by_loops(deep, labels), rel=1e-5
    )


@given(st.integers(0, 10**6))
def test_distil_trains_the_deep_branch_on_labels_and_the_fused_one_on_its_softmax(seed: int) -> None:
    fused, deep, labels = random_logits(seed)
    of_fused, of_deep = gradients(distil(fused, deep, labels), fused, deep)
    # No gradient of the soft term reaches the deep logits: what remains is half a cross entropy.
    torch.testing.assert_close(of_deep, gradients(cross_entropy(deep, labels) / 2, deep)[0])
    # The gradient of a soft cross entropy is the difference of the two softmaxes.
    torch.testing.assert_close(of_fused, (fused.softmax(1) - deep.softmax(1)) / (2 * len(labels)))
    soft = -(deep.softmax(1) * fused.log_softmax(1)).sum(1).mean().item()
    assert distil(fused, deep, labels).item() == pytest.approx((entropy_by_loops(deep, labels) + soft) / 2, rel=1e-5)


def test_a_fused_branch_with_the_same_softmax_has_no_gradient() -> None:
    _, deep, labels = random_logits(0)
    same = deep.detach().clone().requires_grad_()
    assert gradients(distil(same, deep, labels), same)[0].abs().max() < 1e-7


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_without_a_deep_branch_every_loss_is_cross_entropy(name: str) -> None:
    fused, _, labels = random_logits(1)
    assert CLASS_LOSSES[name](fused, None, labels).item() == pytest.approx(entropy_by_loops(fused, labels), rel=1e-5)


@given(st.floats(0, 1))
def test_small_objects_weigh_as_a_tenth_of_the_pixels(fraction: float) -> None:
    weight = weight_of_small_objects(fraction)
    assert weight >= 1 and (weight == 1) == (fraction >= LEAST_FOREGROUND)
    if 1e-4 < fraction < LEAST_FOREGROUND:
        assert weight * fraction == pytest.approx(LEAST_FOREGROUND)


def test_only_foreground_gets_the_weight_and_ignored_pixels_stay_ignored() -> None:
    targets = Targets(torch.tensor([[[0.0, 1.0, 1.0]]]), torch.tensor([[[1.0, 1.0, 0.0]]]))
    assert balanced(targets, 5.0).weight.tolist() == [[[1.0, 5.0, 0.0]]]
    assert balanced(targets, 1.0) is targets
