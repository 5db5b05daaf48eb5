"""COCO's segmentations (polygons, run lengths, compressed run lengths) as one ground-truth mask of an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

from wsol.data.ground_truth import Collector, GroundTruthMask
from wsol.data.masks import nearest
from wsol.data.untrusted import is_id, short_repr, to_float
from wsol.errors import BrokenImage
from wsol.geometry.boxes import Xyxy
from wsol.geometry.mask_rle import cover


def read_coco_mask(
    objects: Sequence[object],
    crowds: Sequence[object],
    annotated_hw: tuple[int, int],
    where: str,
    image_hw: tuple[int, int],
) -> GroundTruthMask:
    """The union of all objects; pixels of crowds that no object covers are ignored.

    Args:
        objects: segmentations of the objects.
        crowds: segmentations of the crowds.
        annotated_hw: (height, width) of the image in the file.
        where: the position in the file, for the error.
        image_hw: (height, width) of the result.

    Raises:
        BrokenImage: a segmentation is malformed, or of another size than `annotated_hw`.
    """
    try:
        is_object = nearest(_union(objects, annotated_hw), image_hw)
        is_crowd = nearest(_union(crowds, annotated_hw), image_hw)
    except ValueError as error:
        raise BrokenImage(f"{where}: {error}", remedy="Fix the annotation, or remove it.") from None
    return GroundTruthMask(is_object, is_crowd & ~is_object)


def add_coco_masks(
    collector: Collector,
    image_id: str,
    objects: Sequence[tuple[str, object]],
    crowds: Sequence[object],
    image_hw: tuple[int, int],
    where: str,
) -> None:
    """Add the mask of an image, and that of each of its classes, to the collector.

    Args:
        collector: the collector.
        image_id: the image.
        objects: class name and segmentation of each object.
        crowds: segmentations of the crowds.
        image_hw: (height, width) of the image in the file.
        where: the position in the file, for errors.
    """
    shapes = [shape for _, shape in objects]
    collector.add_mask(image_id, partial(read_coco_mask, shapes, crowds, image_hw, where), image_hw)
    for name in dict.fromkeys(name for name, _ in objects):
        own = [shape for other, shape in objects if other == name]
        collector.add_mask(image_id, partial(read_coco_mask, own, crowds, image_hw, where), image_hw, name)


def bounds_of(segmentation: object, image_hw: tuple[int, int]) -> Xyxy:
    """The tight box x0, y0, x1, y1 of one segmentation.

    Raises:
        ValueError: it is malformed, or of another size.
    """
    x, y, width, height = (float(value) for value in coco_mask.toBbox(_compressed(segmentation, image_hw)))
    return x, y, x + width, y + height


def run_lengths_of(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as one segmentation, which needs little memory."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def _union(segmentations: Iterable[object], hw: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    runs = [_compressed(segmentation, hw) for segmentation in segmentations]
    return np.asarray(coco_mask.decode(coco_mask.merge(runs)), dtype=bool) if runs else np.zeros(hw, dtype=bool)


# pycocotools trusts its input: run lengths that are too short leave uninitialised memory in the mask, and polygon
# corners far outside the image end the process. So everything is checked first.


def _compressed(segmentation: object, hw: tuple[int, int]) -> dict[str, Any]:
    height, width = hw
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size != [height, width]:
            raise ValueError(
                f"expected run lengths of size [{height}, {width}] (height, width), got size {short_repr(size)}"
            )
        is_whole = cover(counts, height * width) if isinstance(counts, str) else _are_runs(counts, height * width)
        if not is_whole:
            raise ValueError(f"expected run lengths of {height * width} pixels together, got others")
        if isinstance(counts, str):
            return {"size": [height, width], "counts": counts.encode("ascii")}
        return dict(coco_mask.frPyObjects(segmentation, height, width))
    for polygon in segmentation if isinstance(segmentation, list) else [segmentation]:
        if not _is_polygon(polygon, 3 * max(hw)):
            raise ValueError(
                f"expected polygons [x, y, x, y, x, y, ...] in an image of {width} x {height},"
                f" got {short_repr(polygon)}"
            )
    return dict(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))


def _is_polygon(polygon: object, limit: float) -> bool:
    # pycocotools reads four numbers as a box.
    return (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(abs(to_float(value)) <= limit for value in polygon)
    )


def _are_runs(runs: object, pixels: int) -> bool:
    return isinstance(runs, list) and all(is_id(run) and run >= 0 for run in runs) and sum(runs) == pixels
