"""From the annotated images of any annotation tool to a data set: labels first, boxes and masks when they are asked
for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wsol.data.ground_truth import Collector, GroundTruth, Kind, Mistake
from wsol.data.image_files import ImageSizes
from wsol.data.labels import labels_of
from wsol.data.readers.coco_masks import add_coco_masks
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.data.splits import SplitName
from wsol.errors import NoGroundTruth
from wsol.geometry.boxes import Xyxy

Split = SplitName | Literal[""]

SAME_PX = 1.0
"""A box and a mask of one class whose bounds differ by at most this are one object: tools draw them one by one."""


class ShapeError(Exception):
    """The mistake of an object without a usable box."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind = kind


@dataclass(frozen=True)
class Outline:
    """The box of an object; corners and polygons are in pixels, or all in fractions of their image."""

    corners: Xyxy
    segmentation: Any = None
    """Polygons or run lengths as in COCO files; None for a box."""


@dataclass(frozen=True)
class Shape:
    """One annotated object."""

    class_name: str | None
    """None if the file has no class of this number; `outline` says so."""
    where: str
    outline: Callable[[], Outline]
    """Raises `ShapeError`."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of the file."""

    image_id: str
    path: Path
    """It may be absent."""
    where: str
    """The position in the files; two entries of one image have different ones."""
    split: Split = ""
    tags: tuple[str, ...] = ()
    """Labels of the whole image."""
    shapes: tuple[Shape, ...] = ()
    image_hw: tuple[int, int] | None = None
    """Upright (height, width) in the file; None if it has none."""
    problem: Mistake | None = None
    """Why it is left out, whatever its labels."""


ReadImages = Callable[[], Iterable[AnnotatedImage]]
"""Reads the files; called once for the labels, and again for the ground truth, so that boxes do not fill the memory."""


def data_set(
    kind: str,
    root: Path,
    read_images: ReadImages,
    *,
    in_fractions: bool = False,
    declared: Sequence[str] = (),
    mistakes: Iterable[Mistake] = (),
    doubts: tuple[str, ...] = (),
) -> DataSet:
    """The data set of annotated images.

    Args:
        kind: of the data set.
        root: the data set.
        read_images: reads the annotated images.
        in_fractions: whether corners and polygons are fractions of the image, not pixels.
        declared: the class names in the file's order; others follow in alphabetical order.
        mistakes: those in what belongs to no image.
        doubts: sentences for the user.

    Raises:
        WsolError: as `read_images`.
    """
    noted = list(mistakes)
    images = list(_each_once(map(_without_geometry, read_images()), noted))
    has_own_names = not _are_unnamed(images)
    labelled = [(one, own) for one in images if (own := _labels(one, noted, has_own_names)) is not None]
    used = {name for _, own in labelled for name in own}
    names = [*(name for name in dict.fromkeys(declared) if name in used), *sorted(used - set(declared))]
    numbers = {name: number for number, name in enumerate(names)}
    samples: dict[bool, dict[Split, list[Sample]]] = {True: defaultdict(list), False: defaultdict(list)}
    for one, own in labelled:
        first, *others = sorted(numbers[name] for name in own) or [NO_LABEL]
        samples[bool(own)][one.split].append(Sample(one.image_id, one.path, first, tuple(others)))
    test_split = _test_split(samples.values())
    train, test = _splits(samples[True], test_split)
    known = {one.image_id: (one.where, own) for one, own in labelled if own}
    return DataSet(
        kind,
        root,
        tuple(names),
        train,
        test,
        bool(test_split),
        lambda: _read_truth(root, read_images(), known, in_fractions),
        tuple(noted),
        doubts=doubts,
        unused=tuple(name for name in dict.fromkeys(declared) if name not in used),
        unlabelled=_splits(samples[False], test_split),
    )


def _without_geometry(one: AnnotatedImage) -> AnnotatedImage:
    """The same with one object for each class; the others would fill the memory."""
    shapes = {shape.class_name: shape for shape in one.shapes}
    return replace(one, shapes=tuple(Shape(name, "", _none) if name else shape for name, shape in shapes.items()))


def _none() -> Outline:
    raise ShapeError("no true box", "expected an outline")


def _each_once(images: Iterable[AnnotatedImage], mistakes: list[Mistake]) -> Iterable[AnnotatedImage]:
    taken: dict[str, str] = {}
    for one in images:
        if one.problem is None and taken.setdefault(one.image_id, one.where) != one.where:
            what = f"expected one annotation an image, but {one.image_id} is annotated in {taken[one.image_id]} too"
            mistakes.append(Mistake("unknown image", one.where, what))
        else:
            yield one


def _are_unnamed(images: Sequence[AnnotatedImage]) -> bool:
    """Whether the objects have one name that is no class (`object`), and the tags of their images are the classes."""
    drawn = [one for one in images if one.shapes]
    names = {shape.class_name for one in drawn for shape in one.shapes}
    tags = {tag for one in images for tag in one.tags}
    return len(names) == 1 and not names & tags and all(one.tags for one in drawn)


def _labels(one: AnnotatedImage, mistakes: list[Mistake], has_own_names: bool) -> Sequence[str] | None:
    """The classes of an image, none if it has no label, None if it is left out."""
    if one.problem is not None:
        mistakes.append(one.problem)
        return None
    shapes = one.shapes if has_own_names else ()
    names = {shape.class_name for shape in shapes if shape.class_name is not None} | {*one.tags}
    unknown = next((shape for shape in shapes if shape.class_name is None), None)
    if unknown and not names:
        try:
            unknown.outline()
        except ShapeError as error:
            mistakes.append(Mistake(error.kind, unknown.where, str(error)))
        return None
    labels = labels_of(names, one.where)
    if not isinstance(labels, Mistake):
        return labels
    mistakes.append(labels)
    return () if labels.kind == "no label" else None


def _test_split(samples: Collection[Mapping[Split, Sequence[Sample]]]) -> Split:
    """The split of the test images; validation images are the test if there are no test images, "" is no split."""
    named: tuple[Split, ...] = ("test", "val")
    return next((split for split in named if any(by_split.get(split) for by_split in samples)), "")


def _splits(samples: Mapping[Split, Sequence[Sample]], test: Split) -> Splits:
    everything = (*samples.get("train", ()), *samples.get("", ()))
    return Splits(everything, tuple(samples.get(test, ())) if test else everything)


# Ground truth


def _read_truth(
    root: Path,
    images: Iterable[AnnotatedImage],
    known: Mapping[str, tuple[str, Collection[str]]],
    in_fractions: bool,
) -> GroundTruth:
    """The boxes and masks of images; `known` is the position and the labels of each."""
    collector = Collector(may_be_fractions=not in_fractions)
    sizes = ImageSizes(collector)
    masks: dict[str, tuple[list[tuple[str, Any]], tuple[int, int], str]] = {}
    for one in images:
        where, labels = known.get(one.image_id, ("", ()))
        if where != one.where:
            continue
        image_hw = one.image_hw or sizes(one.path) if one.shapes else None
        if image_hw is None:
            continue
        measured = [_measured(collector, shape, image_hw if in_fractions else (1, 1)) for shape in one.shapes]
        objects = each_object(found for found in measured if found is not None)
        segmentations = [(_class_of(shape, labels), outline.segmentation) for shape, outline in objects]
        for (class_name, _), (shape, outline) in zip(segmentations, objects, strict=True):
            collector.add(one.image_id, outline.corners, image_hw, shape.where, class_name)
        # A mask without one of the objects would count correct pixels as wrong.
        if None not in measured and all(segmentation for _, segmentation in segmentations):
            masks[one.image_id] = segmentations, image_hw, where
    boxed = collector.ground_truth()
    if not boxed.by_id and not boxed.mistakes:
        raise NoGroundTruth(
            f"no boxes in {root}",
            expected="annotated boxes, polygons or masks",
            remedy="Annotate some of the images, or use `wsol predict` for boxes without an evaluation.",
        )
    for image_id, (segmentations, image_hw, where) in masks.items():
        if image_id in boxed:
            add_coco_masks(collector, image_id, segmentations, [], image_hw, where)
    return collector.ground_truth()


def _class_of(shape: Shape, labels: Collection[str]) -> str:
    """The class of an object, "" if its name is none of its image's classes, which are those of its tags."""
    return shape.class_name if shape.class_name in labels and shape.class_name else ""


def _measured(collector: Collector, shape: Shape, scale_hw: tuple[int, int]) -> tuple[Shape, Outline] | None:
    """The object in pixels; its mistake is noted if it has no usable box."""
    try:
        outline = shape.outline()
    except ShapeError as error:
        collector.note(error.kind, shape.where, str(error))
        return None
    (x0, y0, x1, y1), (height, width) = outline.corners, scale_hw
    segmentation = outline.segmentation
    if isinstance(segmentation, list):
        scales = width, height
        segmentation = [[value * scales[i % 2] for i, value in enumerate(polygon)] for polygon in segmentation]
    return shape, Outline((x0 * width, y0 * height, x1 * width, y1 * height), segmentation)


def each_object(found: Iterable[tuple[Shape, Outline]]) -> list[tuple[Shape, Outline]]:
    """Each object once: tools write a box and a mask of the same object as two shapes.

    Args:
        found: shapes and their outlines in pixels.
    """
    objects: list[tuple[Shape, Outline]] = []
    for shape, outline in sorted(found, key=lambda one: one[1].segmentation is not None):
        box = next((i for i, one in enumerate(objects) if _is_box_of(one, (shape, outline))), None)
        if box is None:
            objects.append((shape, outline))
        else:
            objects[box] = objects[box][0], Outline(objects[box][1].corners, outline.segmentation)
    return objects


def _is_box_of(box: tuple[Shape, Outline], mask: tuple[Shape, Outline]) -> bool:
    if box[1].segmentation is not None or mask[1].segmentation is None or box[0].class_name != mask[0].class_name:
        return False
    return all(abs(one - other) <= SAME_PX for one, other in zip(box[1].corners, mask[1].corners, strict=True))
