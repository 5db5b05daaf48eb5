"""Images without an object: their class says so, and they are evaluated although they have no annotated box."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from os.path import splitext

from wsol.data.ground_truth import GroundTruth, ImageTruth, Mistake, remedy_for
from wsol.data.image_files import check_there
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes
from wsol.text import number_of


def with_empty_images(data: DataSet, ground_truth: GroundTruth) -> GroundTruth:
    """Add the test images whose class contains no object.

    An annotated box in such an image is a mistake, and is not used. That they have no box, or an empty mask, is none.

    Args:
        data: with the classes without an object.
        ground_truth: of the data set.

    Returns:
        The ground truth; unchanged if every class contains objects.
    """
    empty = [sample for sample in data.test if not data.has_object(sample)]
    if not empty:
        return ground_truth
    added = {}
    unexpected = []
    for sample in empty:
        annotated = ground_truth.by_id.get(sample.image_id)
        if annotated is not None and len(annotated.boxes):
            what = f"expected no object in an image of {data.class_names[sample.label]}"
            got = f"got {number_of(len(annotated.boxes), 'annotated box')}, which is not used"
            unexpected.append(Mistake("unexpected object", sample.image_id, f"{what}, {got}"))
        image_hw = ground_truth.sizes.get(sample.image_id)
        added[sample.image_id] = ImageTruth(Boxes.of([]), image_hw, has_object=False)
    stems = {splitext(image_id)[0] for image_id in added}
    mistakes = [mistake for mistake in ground_truth.mistakes if not _is_about_absence(mistake, stems)]
    return replace(ground_truth, by_id={**ground_truth.by_id, **added}, mistakes=(*mistakes, *unexpected))


def _is_about_absence(mistake: Mistake, stems: set[str]) -> bool:
    """Whether the mistake is that one of these images (paths without suffix) has no box, or an empty mask."""
    return mistake.kind in ("no true box", "no area") and not stems.isdisjoint(_paths_in(mistake))


def _paths_in(mistake: Mistake) -> Iterator[str]:
    """The ends of the paths in a mistake, without suffix. Readers write the image, or its mask, into `where`, alone or
    after a comma; CUB's writes it into `what`, in brackets.
    """
    for text in (mistake.where, *mistake.where.split(", "), *re.findall(r"\((.+?)\)", mistake.what)):
        folders = splitext(text.replace("\\", "/"))[0].split("/")
        yield from ("/".join(folders[start:]) for start in range(len(folders)))


def truth_of(sample: Sample, data: DataSet, ground_truth: GroundTruth) -> ImageTruth | None:
    """The ground truth of an image's label; None if there is none.

    Args:
        sample: the image; one with several labels is evaluated once for each.
        data: names the labels.
        ground_truth: of the data set.
    """
    return ground_truth.of_class(sample.image_id, data.class_names[sample.label])


def without_truth(data: DataSet, ground_truth: GroundTruth) -> list[str]:
    """Why test images cannot be evaluated, a text for each; arguments as for `truth_of`."""
    return [
        f"{sample.image_id}: no ground truth{f' of {data.class_names[sample.label]}' if sample.others else ''}"
        for sample in data.test
        if truth_of(sample, data, ground_truth) is None
    ]


def evaluated_samples(data: DataSet, ground_truth: GroundTruth) -> list[Sample]:
    """The test images with ground truth.

    Args:
        data: the data set.
        ground_truth: with the images without an object.

    Raises:
        WsolError: no image with an object has usable ground truth, unless none of the test images contains an object.
    """
    samples = [sample for sample in data.test if truth_of(sample, data, ground_truth) is not None]
    with_object = [sample for sample in data.test if data.has_object(sample)]
    if not samples or (with_object and not any(map(data.has_object, samples))):
        check_there(data.root, data.test)
        raise WsolError(
            f"none of the {number_of(len(with_object), 'test image')} of {data.root} has usable ground truth",
            expected="boxes or masks by image path",
            remedy=remedy_for(ground_truth.mistakes),
        )
    return samples
