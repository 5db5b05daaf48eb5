"""The one rule for the labels of an image."""

from __future__ import annotations

import pytest

from wsol.data.ground_truth import Mistake
from wsol.data.labels import labels_of


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["owl"], ("owl",), id="one"),
        pytest.param(["owl", "owl"], ("owl",), id="the same twice"),
        pytest.param([], "no label", id="none"),
        pytest.param([""], "unknown class", id="no name"),
        pytest.param(["owl", ""], "unknown class", id="one without a name"),
        pytest.param(["owl", "\ud800"], "unknown class", id="a text that cannot be written"),
        pytest.param(["owl", "hawk"], ("hawk", "owl"), id="two"),
    ],
)
def test_an_image_has_the_classes_of_all_its_objects_or_a_mistake(
    names: list[str], expected: str | tuple[str, ...]
) -> None:
    labels = labels_of(iter(names), "a.xml")
    assert (labels.kind if isinstance(labels, Mistake) else labels) == expected
    assert not isinstance(labels, Mistake) or labels.where == "a.xml"
