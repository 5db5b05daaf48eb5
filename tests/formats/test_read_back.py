"""Every export is a data set again: the same boxes, masks and classes, as exactly as the format can store them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fake_data.predictions import CORPUS, line, ones, write_predictions

from wsol.checks.run import check_data
from wsol.commands.evaluate_results import evaluate_results
from wsol.commands.export import Format, export
from wsol.data.open import open_data, open_ground_truth
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.formats.images import unique_names
from wsol.predictions.records import Prediction, Predictions
from wsol.runtime.progress import Progress

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

WITHOUT_BOXES: frozenset[Format] = frozenset({"crops", "masks"})
ERROR_PX: dict[Format, float] = {
    "coco": 1e-9,
    "fiftyone": 1e-9,
    "csv": 1e-9,
    "labelstudio": 1e-9,
    "yolo": 1e-4,
    "yolo-polygons": 1e-4,
    "cvat": 0.005,
    "voc": 1.0,
}
"""The largest difference of a corner: six decimals of 60 pixels, two decimals, whole pixels."""
WITH_MASKS: frozenset[Format] = frozenset({"coco", "fiftyone", "labelstudio", "cvat", "yolo-polygons"})


def shifted(one: Prediction) -> Prediction:
    """The same with corners between the pixels."""
    objects = tuple(replace(it, xyxy=tuple(value + 0.25 for value in it.xyxy)) for it in one.objects)
    return replace(one, image="fractions.png", objects=objects)


LINES = (*CORPUS, shifted(line("x", 1, ones((40, 60), (3, 4, 20, 21)))))


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Predictions:
    """Read only."""
    return write_predictions(tmp_path_factory.mktemp("predictions"), LINES)


def exported(predictions: Predictions, format: Format, folder: Path) -> Path:
    return export(predictions.folder, format, folder / "out", quiet=True)


def read(predictions: Predictions, format: Format, out: Path) -> DataSet:
    return open_ground_truth(
        out, None if (out / "images").is_dir() or (out / "data").is_dir() else predictions.image_root
    )


def image_ids(predictions: Predictions, format: Format) -> dict[str, Prediction]:
    """The predictions by the ids of the images in the export."""
    is_copied = format in ("yolo", "yolo-polygons", "fiftyone")
    names = [str(name) for name in unique_names(predictions)] if is_copied else [one.image for one in predictions]
    return dict(zip(names, predictions, strict=True))


@pytest.mark.parametrize("format", ERROR_PX)
def test_an_export_is_read_back_with_its_boxes_and_classes(
    tmp_path: Path, predictions: Predictions, format: Format
) -> None:
    data = read(predictions, format, exported(predictions, format, tmp_path))
    by_name = image_ids(predictions, format)
    assert {sample.image_id: data.class_names[sample.label] for sample in data.test} == {
        key: one.class_name for key, one in by_name.items() if one.objects or format == "csv"
    }
    assert all(sample.path.is_file() for sample in data.test)
    without = [key for key, one in by_name.items() if not one.objects and format != "csv"]
    assert [sample.image_id for sample in data.unlabelled.test] == without
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == ()
    for key, one in by_name.items():
        if one.objects:
            found = np.sort(ground_truth[key].boxes.xyxy, axis=0)
            expected = np.sort(np.array([it.xyxy for it in one.objects]), axis=0)
            # The outline of a mask has its own box.
            if not (format == "yolo-polygons" and one.image == "fractions.png"):
                assert np.abs(found - expected).max() <= ERROR_PX[format], (key, found, expected)
            assert ground_truth[key].image_hw == one.image_hw


@pytest.mark.parametrize("format", sorted(WITH_MASKS))
def test_an_export_is_read_back_with_its_masks(tmp_path: Path, predictions: Predictions, format: Format) -> None:
    data = read(predictions, format, exported(predictions, format, tmp_path))
    ground_truth = data.read_ground_truth()
    for key, one in image_ids(predictions, format).items():
        if one.objects:
            read_mask = ground_truth[key].read_mask
            assert read_mask is not None, key
            expected = np.any([it.mask() for it in one.objects], axis=0)
            assert np.array_equal(read_mask(one.image_hw).is_object, expected), key


@pytest.mark.parametrize("format", ERROR_PX)
def test_an_export_can_be_checked_and_evaluated_against(
    tmp_path: Path, predictions: Predictions, format: Format
) -> None:
    out = exported(predictions, format, tmp_path)
    images = None if (out / "images").is_dir() or (out / "data").is_dir() else predictions.image_root
    found = check_data(open_ground_truth(out, images), Progress(quiet=True))
    kinds = {finding.kind for finding in found.found}
    assert not kinds & {"wrong in the truth", "unusable ground truth", "no truth", "broken image", "missing image"}
    if format not in ("yolo", "yolo-polygons", "fiftyone"):  # these rename some images
        evaluated = evaluate_results(out, boxes=predictions.folder, images=images, protocol="original", quiet=True)
        assert evaluated.results["original"].iou.min() > 0.5


@pytest.mark.parametrize(
    ("format", "words"), [("crops", "Give .*crops"), ("masks", "masks alone.*beside the class folders")]
)
def test_an_export_without_boxes_says_what_it_is(
    tmp_path: Path, predictions: Predictions, format: Format, words: str
) -> None:
    assert {*ERROR_PX, *WITHOUT_BOXES} == set(get_args(Format))
    out = exported(predictions, format, tmp_path)
    with pytest.raises(WsolError, match=words) as raised:
        open_data(out)
    assert format in open_ground_truth(out).doubts[0]
    assert ("holds one folder" in str(raised.value)) == (format == "crops")
