"""The one rule for the label of an image."""

from __future__ import annotations

import pytest

from wsol.data.ground_truth import Mistake
from wsol.data.labels import label_of


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["owl"], "owl", id="one"),
        pytest.param(["owl", "owl"], "owl", id="the same twice"),
        pytest.param([], "no label", id="none"),
        pytest.param([""], "unknown class", id="no name"),
        pytest.param(["owl", ""], "unknown class", id="one without a name"),
        pytest.param(["owl", "hawk"], "several classes", id="two"),
    ],
)
def test_an_image_has_the_class_of_all_its_objects_or_a_mistake(names: list[str], expected: str) -> None:
    label = label_of(iter(names), "a.xml")
    assert (label.kind if isinstance(label, Mistake) else label) == expected
    if isinstance(label, Mistake):
        assert label.where == "a.xml" and (label.kind != "several classes" or "hawk, owl" in label.what)
