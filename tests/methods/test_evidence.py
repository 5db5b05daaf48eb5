"""The linear model of classes against the dual solution; and the law that mean and model commute."""

from __future__ import annotations

import numpy as np
import pytest

from wsol.methods.evidence import PENALTY, ClassMoments, class_moments, leave_one_out, ridge


def random_images(count: int, channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(count)
    labels = np.arange(count) % classes
    return generator.random((count, channels)) + np.eye(classes, channels)[labels], labels


@pytest.mark.parametrize(("count", "channels"), [(30, 8), (6, 20)], ids=["more images", "more channels"])
def test_it_is_ridge_regression(count: int, channels: int) -> None:
    means, labels = random_images(count, channels, 3)
    found = ridge(class_moments(means, labels, 3))
    x, y = means - means.mean(0), np.eye(3)[labels]
    gram = x @ x.T  # the dual problem: one weight for each image
    dual = np.linalg.solve(gram + PENALTY * np.trace(gram) / count * np.eye(count), y - y.mean(0))
    expected = x @ x.T @ dual
    np.testing.assert_allclose(
        means @ found.weight.T + found.bias, expected - expected.mean(1, keepdims=True), atol=1e-9
    )


def test_moments_of_parts_add_up_to_the_moments_of_all() -> None:
    means, labels = random_images(20, 5, 4)
    halves = [class_moments(means[i::2], labels[i::2], 4) for i in (0, 1)]
    whole: ClassMoments = class_moments(means, labels, 4)
    for mine, its in zip(vars(halves[0] + halves[1]).values(), vars(whole).values(), strict=True):
        np.testing.assert_allclose(mine, its)


def test_the_class_of_an_image_has_the_most_evidence() -> None:
    means, labels = random_images(60, 12, 3)
    found = ridge(class_moments(means, labels, 3))
    assert ((means @ found.weight.T + found.bias).argmax(1) == labels).mean() > 0.8


@pytest.mark.parametrize("count", [1, 5])
def test_one_class_or_one_image_gives_no_evidence(count: int) -> None:
    means, _ = random_images(count, 6, 2)
    found = ridge(class_moments(means, np.zeros(count, np.int64), 1))
    assert not found.weight.any() and not found.bias.any()


def test_each_row_is_predicted_by_a_model_of_the_others() -> None:
    generator, penalty = np.random.default_rng(3), 0.7
    features, targets = generator.normal(size=(9, 4)), generator.normal(size=9)
    gram = features @ features.T
    found = leave_one_out(gram, np.linalg.inv(gram + penalty * np.eye(9)), targets)
    for left_out in range(9):
        others = np.arange(9) != left_out
        dual = np.linalg.solve(gram[np.ix_(others, others)] + penalty * np.eye(8), targets[others])
        assert found[left_out] == pytest.approx(gram[left_out, others] @ dual)
