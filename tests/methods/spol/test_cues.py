"""Masks without training: which part is chosen, the outputs of the network, and a distractor in every image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from methods_quick import small_config

from wsol.methods.spol import cues

HW = (40, 40)


def plane(*boxes: tuple[int, int, int, int, float]) -> np.ndarray:
    """Zeros, with a value inside each box y0, x0, y1, x1."""
    found = np.zeros(HW, np.float32)
    for y0, x0, y1, x1, value in boxes:
        found[y0:y1, x0:x1] = value
    return found


LARGE, SMALL, SPECK = (2, 2, 22, 22), (28, 28, 36, 36), (38, 2, 39, 3)
NOTHING = plane()


def taken(
    evidence: np.ndarray, likeness: np.ndarray, *parts: tuple[int, int, int, int]
) -> list[tuple[int, int, int, int]]:
    """Which part of a map is kept."""
    left = cues.keep_best_part(plane(*((*part, 0.9) for part in parts)), evidence, likeness) > cues.THRESHOLD
    return [part for part in parts if left[part[0], part[1]]]


@pytest.mark.parametrize(
    ("evidence", "likeness", "expected"),
    [
        pytest.param(NOTHING, NOTHING, LARGE, id="no cue: the largest"),
        pytest.param(plane((*SMALL, 1.0)), NOTHING, SMALL, id="evidence for the small one"),
        pytest.param(plane((*LARGE, 0.1), (*SMALL, 1.0)), NOTHING, SMALL, id="a little everywhere on the large one"),
        pytest.param(
            plane((*LARGE, 0.5), (*SMALL, 1.0)), NOTHING, LARGE, id="more evidence: a large part is more reliable"
        ),
        pytest.param(plane((*LARGE, -5.0), (*SMALL, 0.1)), NOTHING, SMALL, id="negative evidence does not count"),
        pytest.param(plane((*LARGE, 1.0)), plane((*LARGE, -0.5), (*SMALL, 0.5)), SMALL, id="rejected in other images"),
        pytest.param(
            plane((*LARGE, 1.0)), plane((*LARGE, -0.1), (*SMALL, 0.1)), LARGE, id="a small difference in likeness"
        ),
    ],
)
def test_the_part_with_the_clearest_evidence_is_chosen(
    evidence: np.ndarray, likeness: np.ndarray, expected: tuple[int, int, int, int]
) -> None:
    assert taken(evidence, likeness, LARGE, SMALL) == [expected]


def test_a_speck_is_never_chosen_if_there_is_a_larger_part() -> None:
    loud = plane((*SPECK, 100.0))
    assert taken(loud, loud, SMALL, SPECK) == [SMALL]
    assert taken(loud, loud, SPECK) == [SPECK]


def test_other_pixels_are_unchanged() -> None:
    salience = plane((*LARGE, 0.9), (*SMALL, 0.8))
    salience[salience == 0] = 0.3
    found = cues.keep_best_part(salience, plane((*SMALL, 1.0)), NOTHING)
    assert (found[salience == np.float32(0.3)] == np.float32(0.3)).all() and found[2, 2] == 0
    np.testing.assert_array_equal(cues.keep_best_part(NOTHING, NOTHING, NOTHING), NOTHING)


def network() -> cues.CueNetwork:
    torch.manual_seed(0)
    found = cues.build(small_config("spol"), None).eval()
    assert isinstance(found, cues.CueNetwork)
    return found


def test_the_evidence_is_that_of_the_label_and_zero_without_one() -> None:
    one, images = network(), torch.rand(3, 3, 96, 96)
    with torch.no_grad():
        of_labels = [one(images, torch.full((3,), label)).evidence for label in range(3)]
        mixed = one(images, torch.tensor([2, 0, 1])).evidence
        assert not one(images, None).evidence.any()
        roots = one.salience.features.rectified(images).sqrt()
        by_hand = torch.einsum("bchw,c->bhw", roots, one.evidence.weight[1, :, 0, 0]) + one.evidence.bias[1]
    for row, label in enumerate((2, 0, 1)):
        torch.testing.assert_close(mixed[row], of_labels[label][row])
    finer = torch.nn.functional.interpolate(by_hand[:, None], of_labels[1].shape[1:], mode="bilinear")[:, 0]
    torch.testing.assert_close(of_labels[1], finer, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("labels", "sample", "least"),
    [
        ([0] * 100 + [1] * 5, 20, {0: 10, 1: 5}),
        ([0, 1] * 50, 30, {0: 10, 1: 10}),
        ([3] * 4, 100, {3: 4}),
        (list(range(40)), 4, dict.fromkeys(range(40), 1)),
    ],
    ids=["a rare class", "two", "few images", "many classes"],
)
def test_the_sample_has_images_of_each_class(labels: list[int], sample: int, least: dict[int, int]) -> None:
    found = cues.sample_of([(label,) for label in labels], sample)
    assert found == sorted(set(found)) and len(found) >= min(sample, len(labels))
    for label, count in least.items():
        assert sum(labels[number] == label for number in found) >= count
