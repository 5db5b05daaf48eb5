"""Which part is the object: predictions for parts that the model was not fitted on, and a distractor in every
image."""

from __future__ import annotations

import numpy as np

from wsol.methods.spol import parts
from wsol.methods.spol.parts import Parts, part_model

CHANNELS = 12


def with_distractor(images: int, correct: float, seed: int = 0) -> Parts:
    """An object and a distractor in every image, each around its own mean; the evidence is correct in a
    fraction of them."""
    generator = np.random.default_rng(seed)
    centres = np.eye(2, CHANNELS) * 4
    features = centres[np.arange(2 * images) % 2] + generator.normal(size=(2 * images, CHANNELS))
    is_correct = np.arange(images) < correct * images
    evidence = np.where(np.arange(2 * images) % 2 == 0, is_correct.repeat(2), ~is_correct.repeat(2)).astype(np.float64)
    return Parts(features, evidence, np.arange(images).repeat(2))


def right(found: parts.PartModel, given: Parts) -> float:
    """Fraction of images whose object scores higher than their distractor."""
    values = given.features @ found.weight + found.bias
    return float((values[::2] > values[1::2]).mean())


def test_a_majority_with_correct_evidence_corrects_the_others() -> None:
    given = with_distractor(60, correct=0.65)
    assert right(part_model(given), given) > 0.95
    assert right(part_model(given), with_distractor(60, correct=0.5, seed=1)) > 0.95, "also for unseen images"


def test_images_with_one_part_do_not_change_the_model() -> None:
    alone = Parts(np.random.default_rng(0).random((5, CHANNELS)), np.ones(5), np.arange(5))
    found = part_model(alone)
    assert not found.weight.any() and found.bias == 0
    two = with_distractor(20, correct=0.7)
    moved = Parts(alone.features * 100, alone.evidence, alone.images + 1000)
    np.testing.assert_allclose(part_model(two + moved).weight, part_model(two).weight)


def test_without_parts_the_model_is_zero() -> None:
    found = part_model(Parts(np.zeros((0, CHANNELS)), np.zeros(0), np.zeros(0, np.int64)))
    assert found.weight.shape == (CHANNELS,) and not found.weight.any()


def test_if_all_parts_are_alike_the_evidence_chooses() -> None:
    given = Parts(np.ones((6, CHANNELS)), np.array([0.2, 1.0] * 3), np.arange(3).repeat(2))
    found = part_model(given)
    assert np.isfinite(found.weight).all() and np.ptp(given.features @ found.weight) < 1e-9
