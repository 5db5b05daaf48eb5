"""Images of classes without objects: they need no ground truth, and none of theirs is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from wsol.data.ground_truth import GroundTruth, GroundTruthMask, ImageTruth, Mistake
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes
from wsol.metrics.empty_images import evaluated_samples, with_empty_images

BOX = ImageTruth(Boxes.of([(1, 2, 3, 4)]), (10, 20))


def data_of(*image_ids: str, no_object: Sequence[str] = ("good",)) -> DataSet:
    """Class folders that are never read."""
    names = tuple(sorted({image_id.split("/")[1] for image_id in image_ids}))
    test = tuple(Sample(one, Path("root") / one, names.index(one.split("/")[1])) for one in image_ids)
    labels = frozenset(names.index(name) for name in no_object if name in names)
    return DataSet("x", Path("root"), names, (), test, True, lambda: GroundTruth({}), no_object=labels)


def test_images_without_an_object_are_added_with_their_size_and_others_are_as_before() -> None:
    data = data_of("test/good/1.jpg", "test/good/2.jpg", "test/scratch/1.jpg", "test/scratch/2.jpg")
    before = GroundTruth({"test/scratch/1.jpg": BOX}, sizes={"test/good/1.jpg": (10, 20)})
    found = with_empty_images(data, before)
    assert found["test/scratch/1.jpg"] is BOX and "test/scratch/2.jpg" not in found
    assert [found[f"test/good/{i}.jpg"].has_object for i in (1, 2)] == [False, False]
    assert [found[f"test/good/{i}.jpg"].image_hw for i in (1, 2)] == [(10, 20), None]
    with_ground_truth = [one.image_id for one in evaluated_samples(data, found)]
    assert with_ground_truth == ["test/good/1.jpg", "test/good/2.jpg", "test/scratch/1.jpg"]
    assert with_empty_images(data_of("test/good/1.jpg", no_object=()), before) is before


def test_an_annotated_box_in_an_image_without_an_object_is_a_mistake_and_the_class_decides() -> None:
    data = data_of("test/good/1.jpg", "test/scratch/1.jpg")
    found = with_empty_images(data, GroundTruth({"test/good/1.jpg": BOX, "test/scratch/1.jpg": BOX}))
    (mistake,) = found.mistakes
    assert (mistake.kind, mistake.where) == (
        "unexpected object",
        "test/good/1.jpg",
    ) and "1 annotated box" in mistake.what
    assert not len(found["test/good/1.jpg"].boxes) and len(found["test/scratch/1.jpg"].boxes)


@pytest.mark.parametrize(
    ("mistake", "is_kept"),
    [
        pytest.param(Mistake("no area", "my set/masks/test/good/1.png", "an empty mask"), False, id="empty mask"),
        pytest.param(Mistake("no area", r"C:\set\masks\test\good\1.png", "an empty mask"), False, id="on Windows"),
        pytest.param(
            Mistake("no true box", "a/list.txt, test/good/1.jpg", "none"), False, id="a list without its line"
        ),
        pytest.param(Mistake("no true box", "a.txt", "a line for image 3 (test/good/1.jpg)"), False, id="CUB's table"),
        pytest.param(Mistake("no area", "root/masks/test/scratch/1.png", "an empty mask"), True, id="of an object"),
        pytest.param(Mistake("no area", "root/masks/test/good/11.png", "an empty mask"), True, id="another image"),
        pytest.param(Mistake("broken mask", "masks/test/good/1.png", "cut off"), True, id="a mistake of another kind"),
    ],
)
def test_that_such_an_image_has_no_box_is_no_mistake(mistake: Mistake, is_kept: bool) -> None:
    data = data_of("test/good/1.jpg", "test/scratch/1.jpg")
    found = with_empty_images(data, GroundTruth({"test/scratch/1.jpg": BOX}, (mistake,)))
    assert found.mistakes == ((mistake,) if is_kept else ())


def test_an_image_without_an_object_has_neither_boxes_nor_a_mask() -> None:
    def mask(image_hw: tuple[int, int]) -> GroundTruthMask:
        return GroundTruthMask(np.ones(image_hw, bool), np.zeros(image_hw, bool))

    for boxes, read_mask in [(BOX.boxes, None), (Boxes.of([]), mask)]:
        with pytest.raises(ValueError, match="without an object"):
            ImageTruth(boxes, None, read_mask, has_object=False)


def test_images_without_an_object_do_not_hide_that_the_others_have_no_ground_truth() -> None:
    data = data_of("test/good/1.jpg", "test/scratch/1.jpg", "test/scratch/2.jpg")
    with pytest.raises(WsolError, match=r"2 images listed|2 test images|3 images listed"):
        evaluated_samples(data, with_empty_images(data, GroundTruth({})))
    only_good = data_of("test/good/1.jpg")
    assert len(evaluated_samples(only_good, with_empty_images(only_good, GroundTruth({})))) == 1
