"""Label Studio: `tasks.json` with one prediction per task, and `labels.xml`, its labelling interface."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from jaxtyping import Bool

from wsol.formats.json_array import array
from wsol.formats.objects import class_of, clipped_boxes, count, summary
from wsol.formats.readme import write_readme
from wsol.formats.run_lengths import run_lengths
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
Label Studio tasks made by wsol {version}: {summary}.

  tasks.json  one task for each image, with one prediction: a rectangle and a brush mask for each object
  labels.xml  the labelling interface; tasks.json refers to the names in it

How to import it:
1. Give Label Studio access to the images. Before you start it, set
       LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
       LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={document_root}
2. Create a project; under Settings > Labeling Interface > Code, replace everything with labels.xml.
3. Under Settings > Cloud Storage > Add Source Storage > Local files, enter {image_root}
   as the absolute path and save. Do not sync it: that would create a second task for every image.
4. Import tasks.json.
5. Under Settings > Annotation, switch on the predictions, so that annotators start from them.

Good to know:
- Rectangles are in percent of the upright image, as browsers show it. Browsers do not show .tif, .ppm and .pgm.
- The score of a task is the lowest score of its objects, 0 without objects: sort by it to see doubtful images first.
- The prediction of an image without an object has an empty result. Some versions of 2025 refuse that at the import
  (label-studio-sdk pull request 549): use a newer one.
- Label Studio reports no error when labels do not fit the interface: if images have no objects, check step 2.
"""


def write_labelstudio(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write tasks.json, labels.xml and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects and images without objects.
    """
    view = _interface(predictions.class_names)
    ElementTree.indent(view)
    ElementTree.ElementTree(view).write(folder / "labels.xml", encoding="utf-8")
    with (folder / "tasks.json").open("w", encoding="ascii") as file:
        file.writelines(array(_tasks(predictions)))
    counts = count(predictions)
    root = predictions.image_root
    text = README.format(
        version=__version__, image_root=root, document_root=root.parent, summary=summary(counts), **counts
    )
    write_readme(folder, text)
    return counts


def _interface(class_names: tuple[str, ...]) -> Element:
    view = Element("View")
    SubElement(view, "Image", name="image", value="$image")
    for tag, name in (("RectangleLabels", "box"), ("BrushLabels", "mask")):
        labels = SubElement(view, tag, name=name, toName="image")
        for class_name in class_names:
            SubElement(labels, "Label", value=class_name)
    return view


def _tasks(predictions: Predictions) -> Iterator[dict[str, Any]]:
    for prediction in predictions:
        # Label Studio serves files below the document root, and refuses the document root itself as a storage. The URL
        # has the bytes of the name on the disk, whatever their encoding.
        path = predictions.path_of(prediction).relative_to(predictions.image_root.parent)
        yield {
            "data": {"image": "/data/local-files/?d=" + quote(os.fsencode(path.as_posix()))},
            "predictions": [
                {
                    "model_version": f"wsol {__version__}",
                    "score": min((predicted.score for predicted in prediction.objects), default=0.0),
                    "result": list(_regions(predictions, prediction)),
                }
            ],
        }


def _regions(predictions: Predictions, prediction: Prediction) -> Iterator[dict[str, Any]]:
    height, width = prediction.image_hw
    for number, (predicted, xyxy) in enumerate(
        zip(prediction.objects, clipped_boxes(prediction), strict=True), start=1
    ):
        class_name = class_of(predictions, prediction, predicted)
        shared = {
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": predicted.score,
        }
        box = _percent(xyxy, prediction.image_hw) | {"rotation": 0, "rectanglelabels": [class_name]}
        yield shared | {"id": f"box{number}", "from_name": "box", "type": "rectanglelabels", "value": box}
        mask = predicted.mask()
        if mask.any():
            brush = {"format": "rle", "rle": brush_rle(mask), "brushlabels": [class_name]}
            yield shared | {"id": f"mask{number}", "from_name": "mask", "type": "brushlabels", "value": brush}


def _percent(xyxy: tuple[float, float, float, float], image_hw: tuple[int, int]) -> dict[str, float]:
    height, width = image_hw
    x0, y0, x1, y1 = xyxy
    return {
        "x": 100 * x0 / width,
        "y": 100 * y0 / height,
        "width": 100 * (x1 - x0) / width,
        "height": 100 * (y1 - y0) / height,
    }


# Bits for the length of a run (less 1); two bits before the length select one of the four.
LENGTH_BITS = (3, 4, 8, 16)
LONGEST_RUN = 1 << LENGTH_BITS[-1]


def brush_rle(mask: Bool[np.ndarray, "height width"]) -> list[int]:
    """Encode a mask for Label Studio: run lengths of its four channels (all 0 or all 255) per pixel, row by row.

    Bits: 32 for the number of values, 5 for the word size less 1, four times 4 for LENGTH_BITS less 1; then per run a
    1, two bits that select one of LENGTH_BITS, the length less 1, and 8 bits of value; zeros fill the last byte.
    """
    bits = [f"{4 * mask.size:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in LENGTH_BITS)]
    for number, pixels in enumerate(run_lengths(mask)):
        value = 255 * (number % 2)
        full, rest = divmod(4 * pixels, LONGEST_RUN)
        bits += [_run(LONGEST_RUN, value)] * full + ([_run(rest, value)] if rest else [])
    packed = "".join(bits)
    packed += "0" * (-len(packed) % 8)
    return list(int(packed, 2).to_bytes(len(packed) // 8, "big"))


def _run(length: int, value: int) -> str:
    index = next(index for index, size in enumerate(LENGTH_BITS) if length <= 1 << size)
    return f"1{index:02b}{length - 1:0{LENGTH_BITS[index]}b}{value:08b}"
