"""Targets, losses and probabilities of one label and of several."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from wsol.models.class_scores import class_loss, class_probabilities, multi_hot

LABELS = [(0,), (2, 1), (1,)]
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.0, 1.0]])


def test_a_target_is_one_for_each_label() -> None:
    assert multi_hot(LABELS, 3).tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 0]]


def test_the_loss_of_labels_is_cross_entropy() -> None:
    by_hand = -torch.tensor([LOGITS[row].softmax(0)[label].log() for row, label in enumerate((0, 1, 1))]).mean()
    torch.testing.assert_close(class_loss(LOGITS, torch.tensor([0, 1, 1])), by_hand)


def test_the_loss_of_several_labels_is_the_sum_over_classes() -> None:
    targets = multi_hot(LABELS, 3)
    chances = torch.where(targets > 0, LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    torch.testing.assert_close(class_loss(LOGITS, targets), -chances.log().sum(1).mean())


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=5))
def test_probabilities_of_one_label_sum_to_one_and_of_several_do_not_depend_on_each_other(row: list[float]) -> None:
    logits = torch.tensor([row], dtype=torch.float64)
    torch.testing.assert_close(class_probabilities(logits, multi_label=False).sum().item(), 1.0)
    alone = class_probabilities(logits[:, :1], multi_label=True)
    torch.testing.assert_close(class_probabilities(logits, multi_label=True)[:, :1], alone)
