"""Which part is the object: what the model says of a part that it has not seen, and a distractor that is in every
image."""

from __future__ import annotations

import numpy as np
import pytest

from wsol.methods.spol import parts
from wsol.methods.spol.parts import Parts, part_model

CHANNELS = 12


def with_distractor(images: int, told: float, seed: int = 0) -> Parts:
    """An object and a distractor in every image, each drawn about its own mean; the evidence is for the object in a
    share of them."""
    generator = np.random.default_rng(seed)
    centres = np.eye(2, CHANNELS) * 4
    features = centres[np.arange(2 * images) % 2] + generator.normal(size=(2 * images, CHANNELS))
    is_told = np.arange(images) < told * images
    evidence = np.where(np.arange(2 * images) % 2 == 0, is_told.repeat(2), ~is_told.repeat(2)).astype(np.float64)
    return Parts(features, evidence, np.arange(images).repeat(2))


def right(found: parts.PartModel, given: Parts) -> float:
    """Share of images whose object is likelier than their distractor."""
    values = given.features @ found.weight + found.bias
    return float((values[::2] > values[1::2]).mean())


def test_a_majority_that_is_told_right_puts_the_others_right() -> None:
    given = with_distractor(60, told=0.65)
    assert right(part_model(given), given) > 0.95
    assert right(part_model(given), with_distractor(60, told=0.5, seed=1)) > 0.95, "also of images that it has not seen"


def test_images_with_one_part_teach_nothing() -> None:
    alone = Parts(np.random.default_rng(0).random((5, CHANNELS)), np.ones(5), np.arange(5))
    found = part_model(alone)
    assert not found.weight.any() and found.bias == 0
    two = with_distractor(20, told=0.7)
    moved = Parts(alone.features * 100, alone.evidence, alone.images + 1000)
    np.testing.assert_allclose(part_model(two + moved).weight, part_model(two).weight)


def test_no_part_at_all_is_no_model() -> None:
    found = part_model(Parts(np.zeros((0, CHANNELS)), np.zeros(0), np.zeros(0, np.int64)))
    assert found.weight.shape == (CHANNELS,) and not found.weight.any()


def test_parts_that_are_all_alike_leave_the_evidence_to_choose() -> None:
    given = Parts(np.ones((6, CHANNELS)), np.array([0.2, 1.0] * 3), np.arange(3).repeat(2))
    found = part_model(given)
    assert np.isfinite(found.weight).all() and np.ptp(given.features @ found.weight) < 1e-9


def test_of_each_part_the_model_says_what_it_learned_from_the_others() -> None:
    generator, penalty = np.random.default_rng(3), 0.7
    features, targets = generator.normal(size=(9, 4)), generator.normal(size=9)
    gram = features @ features.T
    found = parts.of_others(gram, np.linalg.inv(gram + penalty * np.eye(9)), targets)
    for left_out in range(9):
        others = np.arange(9) != left_out
        dual = np.linalg.solve(gram[np.ix_(others, others)] + penalty * np.eye(8), targets[others])
        assert found[left_out] == pytest.approx(gram[left_out, others] @ dual)
