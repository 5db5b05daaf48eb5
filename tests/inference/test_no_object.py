"""Images without an object: what is removed, which class they get, and which rule a run follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import AROUND_OTSU
from wsol.inference.no_object import labels_of, possible, predicted_empty, without_objects
from wsol.inference.outputs import Outputs
from wsol.runs.run import Run

PROBABILITIES = np.array([0.2, 0.5, 0.3])  # crack, good, dust


@pytest.mark.parametrize(
    ("has_object", "label"),
    [pytest.param(True, 2, id="with an object"), pytest.param(False, 1, id="without")],
)
def test_an_image_gets_the_most_probable_class_that_is_possible(has_object: bool, label: int) -> None:
    assert possible(PROBABILITIES, {1}, has_object=has_object).argmax() == label


@pytest.mark.parametrize("has_object", [True, False])
def test_without_such_classes_all_are_possible(has_object: bool) -> None:
    np.testing.assert_array_equal(possible(PROBABILITIES, (), has_object=has_object), PROBABILITIES)


def test_only_the_results_of_empty_images_are_removed() -> None:
    outputs = Outputs(np.ones((2, 3, 3), np.float32), np.stack([PROBABILITIES, PROBABILITIES[[1, 0, 2]]]))
    is_empty = predicted_empty(np.asarray(outputs.probabilities), {1})
    assert is_empty.tolist() == [True, False]
    heatmaps = without_objects(outputs, is_empty).heatmaps
    assert heatmaps is not None and not heatmaps[0].any() and heatmaps[1].all()
    boxes = without_objects(Outputs(None, None, np.ones((2, 4), np.float32)), is_empty).boxes
    assert boxes is not None and np.isnan(boxes[0]).all() and np.isfinite(boxes[1]).all()


def test_labels_by_name() -> None:
    assert labels_of(("good", "absent"), ("crack", "good")) == {1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, False, id="masks can be empty"),
        pytest.param({"recipe": "paper"}, False, id="also those of the paper"),
        pytest.param({"method": "instant"}, True, id="not a common component"),
        pytest.param({"method": "cam"}, True, id="nor a class map"),
        pytest.param({"method": "psol"}, True, id="nor a regressed box"),
    ],
)
def test_who_decides_that_an_image_is_empty(options: dict[str, object], expected: bool) -> None:
    config = resolve(RunConfig.model_validate(options | {"no_object": "good"}))
    assert Run(Path("run"), config).is_emptied_by_class is expected
    assert not Run(Path("run"), config.model_copy(update={"no_object": None})).is_emptied_by_class


def test_distances_can_be_empty(tmp_path: Path) -> None:
    (tmp_path / "instant").mkdir()
    (tmp_path / "instant" / "model.json").write_text('{"options": {"map": "rare"}}')
    config = resolve(RunConfig(method="instant", no_object="good"))
    assert not Run(tmp_path, config).is_emptied_by_class


def test_a_map_below_the_floor_is_not_shifted_above_the_threshold() -> None:
    pixels = np.zeros((3, 64, 64), np.uint8)
    pixels[:, 20:40, 20:40] = 250
    low = np.full((16, 16), 0.1, np.float32)
    low[5:10, 5:10] = 0.45  # below the threshold of 0.5, and where the colours change
    colours = [colours_of(pixels)]
    assert AROUND_OTSU.shifted(low[None], colours).max() > 0.5
    for floor in (0.45, 0.9):
        rule = AROUND_OTSU.model_copy(update={"floor": floor})
        found = rule.shifted(low[None], colours)[0]
        assert found.max() <= 0.5
        np.testing.assert_allclose(found, low * min(0.5 / floor, 1), rtol=1e-6)
    rule = AROUND_OTSU.model_copy(update={"floor": 0.4})
    np.testing.assert_array_equal(rule.shifted(low[None], colours), AROUND_OTSU.shifted(low[None], colours))
