"""COCO: `instances.json` for tools that take annotations, `results.json` (the same objects with scores) for COCO's
evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from wsol.formats.json_array import array
from wsol.formats.objects import count, summary
from wsol.formats.readme import write_readme
from wsol.geometry.boxes import Boxes
from wsol.predictions.records import PredictedObject, Predictions
from wsol.version import __version__

README = """\
COCO annotations made by wsol {version}: {summary}.

  instances.json  images, categories, annotations (boxes and masks)
  results.json    the same objects with their scores, in COCO's results format

How to load it with pycocotools (pip install pycocotools), in this folder:

    from pycocotools.coco import COCO
    ground_truth = COCO("instances.json")
    annotations = ground_truth.loadAnns(ground_truth.getAnnIds())
    masks = [ground_truth.annToMask(annotation) for annotation in annotations]
{results}
The images are not copied. Each file_name is a path relative to
{image_root}
Give that folder to a tool that asks for the image root.

Good to know:
- Boxes are [x, y, width, height] in pixels, counted from 0. Ids of images, annotations and categories count from 1.
- Widths, heights, boxes and masks are those of the upright image. Apply the EXIF orientation of an image after
  decoding: `ImageOps.exif_transpose` with Pillow; OpenCV's `imread` does it by itself.
- Masks are compressed run lengths, also for single objects (iscrowd 0). Detectron2 reads them with
  INPUT.MASK_FORMAT = "bitmask"; a tool that reads only polygons can still read the boxes.
- A box annotated by hand (wsol review) has no mask: its segmentation is [], its area that of the box. Train masks
  only on the other objects.
"""

RESULTS = """    results = ground_truth.loadRes("results.json")
"""

NO_RESULTS = """
No object was found: results.json is the empty list, for which `ground_truth.loadRes("results.json")` fails with
"IndexError: list index out of range". There is nothing to evaluate.
"""


def write_coco(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write instances.json, results.json and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects and images without objects.
    """
    write_instances(predictions, folder / "instances.json", (prediction.image for prediction in predictions))
    with (folder / "results.json").open("w", encoding="ascii") as file:
        file.writelines(array(shared | {"score": predicted.score} for shared, predicted in _objects(predictions)))
    counts = count(predictions)
    results = RESULTS if counts["objects"] else NO_RESULTS
    text = README.format(
        version=__version__, results=results, image_root=predictions.image_root, summary=summary(counts), **counts
    )
    write_readme(folder, text)
    return counts


def write_instances(predictions: Predictions, path: Path, file_names: Iterable[str], with_scores: bool = False) -> None:
    """Write a COCO file of images, categories and annotations.

    Args:
        predictions: the predictions to export.
        path: the file.
        file_names: the `file_name` of each image, in the order of the predictions.
        with_scores: add a score to each annotation, which COCO's own annotations do not have.
    """
    info = {"description": "Boxes and masks from class labels", "version": __version__, "contributor": "wsol"}
    categories = [
        {"id": number, "name": name, "supercategory": ""}
        for number, name in enumerate(predictions.class_names, start=1)
    ]
    # ASCII only: pycocotools opens the file with the locale's encoding.
    with path.open("w", encoding="ascii") as file:
        file.write(
            f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": {json.dumps(categories)},\n"images": '
        )
        file.writelines(array(_images(predictions, file_names)))
        file.write(',\n"annotations": ')
        file.writelines(array(_annotations(predictions, with_scores)))
        file.write("}\n")


def _images(predictions: Predictions, file_names: Iterable[str]) -> Iterator[dict[str, Any]]:
    for image_id, (prediction, file_name) in enumerate(zip(predictions, file_names, strict=True), start=1):
        height, width = prediction.image_hw
        yield {"id": image_id, "file_name": file_name, "width": width, "height": height}


def _objects(predictions: Predictions) -> Iterator[tuple[dict[str, Any], PredictedObject]]:
    """The keys that annotations and results share, with the predicted object."""
    for image_id, prediction in enumerate(predictions, start=1):
        boxes = Boxes.of([predicted.xyxy for predicted in prediction.objects]).clipped(prediction.image_hw)
        for (x0, y0, x1, y1), predicted in zip(boxes.xyxy.tolist(), prediction.objects, strict=True):
            category_id = 1 + (prediction.label_of(predicted) or 0)
            yield (
                {
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    # A box annotated in a review has no mask; data sets of boxes write an empty list for that.
                    "segmentation": predicted.rle if coco_mask.area(predicted.rle) else [],
                },
                predicted,
            )


def _annotations(predictions: Predictions, with_scores: bool) -> Iterator[dict[str, Any]]:
    # COCO's own files use run lengths for crowds only. Ours are single objects (iscrowd 0): COCOeval does not count
    # iscrowd 1, and trainers drop it. pycocotools and torchvision's v2 wrapper use the type of `segmentation`, not
    # iscrowd; Detectron2 needs INPUT.MASK_FORMAT "bitmask"; readers of polygons only (torchvision's v1 detection
    # references) cannot read it.
    for annotation_id, (shared, predicted) in enumerate(_objects(predictions), start=1):
        score = {"score": predicted.score} if with_scores else {}
        _, _, width, height = shared["bbox"]
        area = int(coco_mask.area(predicted.rle)) or width * height
        yield {"id": annotation_id, **shared, "area": area, "iscrowd": 0} | score
