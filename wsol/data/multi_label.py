"""Images with several labels: left out where a method learns one label an image, else used once for each label."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from wsol.data.ground_truth import GroundTruth, Mistake
from wsol.data.samples import DataSet, Sample


def with_one_label(data: DataSet) -> DataSet:
    """Leave out the images with several labels.

    Args:
        data: the data set.

    Returns:
        The data set without these images, which are listed in `mistakes`, and without the classes that no other image
        has, which are listed in `unused`. It is the same if no image has several labels.
    """
    several = {sample.image_id: sample for sample in (*data.train, *data.test) if sample.others}
    if not several:
        return data
    mistakes = [
        Mistake(
            "several classes",
            f"{data.root}, {sample.image_id}",
            f"expected one label, got {', '.join(data.class_names[label] for label in sample.labels)}",
        )
        for sample in several.values()
    ]
    used = sorted({sample.label for sample in (*data.train, *data.test) if not sample.others})
    new_label = {label: number for number, label in enumerate(used)}

    def single(samples: Iterable[Sample]) -> tuple[Sample, ...]:
        return tuple(replace(one, label=new_label[one.label]) for one in samples if not one.others)

    return replace(
        data,
        class_names=tuple(data.class_names[label] for label in used),
        train=single(data.train),
        test=single(data.test),
        read_ground_truth=lambda: _without(data.read_ground_truth(), several),
        mistakes=(*data.mistakes, *mistakes),
        unused=(*data.unused, *(name for label, name in enumerate(data.class_names) if label not in new_label)),
        no_object=frozenset(new_label[label] for label in data.no_object if label in new_label),
    )


def with_each_label(data: DataSet) -> DataSet:
    """Evaluate images with several labels once for each: the test images are listed as often as they have labels.

    Args:
        data: the data set.
    """
    return replace(data, test=tuple(one for sample in data.test for one in sample.of_each_label()))


def _without(ground_truth: GroundTruth, image_ids: Collection[str]) -> GroundTruth:
    kept = {image_id: one for image_id, one in ground_truth.by_id.items() if image_id not in image_ids}
    return replace(ground_truth, by_id=kept)
