"""Label Studio: `tasks.json` with one prediction a task, and `labels.xml`, the labelling interface it belongs to."""

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
from wsol.formats.objects import class_of, clipped_boxes, count, told
from wsol.formats.readme import write_readme
from wsol.formats.run_lengths import run_lengths
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
Label Studio tasks made by wsol {version}: {told}.

  tasks.json  one task for each image, with one prediction: a rectangle and a brush mask for each object
  labels.xml  the labelling interface: the names in it are those that tasks.json refers to

How to import it:
1. Let Label Studio see the images. Before you start it, set
       LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
       LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={document_root}
2. Create a project; under Settings > Labeling Interface > Code, replace all by labels.xml.
3. Under Settings > Cloud Storage > Add Source Storage > Local files, name {image_root}
   as the absolute path and save. Do not sync it: that would make a second task of every image.
4. Import tasks.json.
5. Under Settings > Annotation, switch on the predictions, so that annotators start from them.

Good to know:
- Rectangles are percent of the upright image, which browsers show. Browsers do not show .tif, .ppm and .pgm.
- A task's score is that of its weakest object, 0 where there is none: sort by it to see the doubtful ones first.
- Label Studio says nothing when labels do not fit the interface: if images come without objects, look at step 2.
"""


def write_labelstudio(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write tasks.json, labels.xml and README.txt; returns how many images, objects and empty images there are."""
    view = _interface(predictions.class_names)
    ElementTree.indent(view)
    ElementTree.ElementTree(view).write(folder / "labels.xml", encoding="utf-8")
    with (folder / "tasks.json").open("w", encoding="ascii") as file:
        file.writelines(array(_tasks(predictions)))
    counts = count(predictions)
    root = predictions.image_root
    text = README.format(version=__version__, image_root=root, document_root=root.parent, told=told(counts), **counts)
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
        # Label Studio serves what lies below the document root, and refuses a storage that is the document root itself.
        # In the URL are the bytes of its name on the disk, whatever they are.
        path = predictions.path_of(prediction).relative_to(predictions.image_root.parent)
        yield {
            "data": {"image": "/data/local-files/?d=" + quote(os.fsencode(path.as_posix()))},
            "predictions": [
                {
                    "model_version": f"wsol {__version__}",
                    "score": min((found.score for found in prediction.objects), default=0.0),
                    "result": list(_regions(prediction, class_of(predictions, prediction))),
                }
            ],
        }


def _regions(prediction: Prediction, class_name: str) -> Iterator[dict[str, Any]]:
    height, width = prediction.image_hw
    for number, (found, xyxy) in enumerate(zip(prediction.objects, clipped_boxes(prediction), strict=True), start=1):
        shared = {
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": found.score,
        }
        box = _percent(xyxy, prediction.image_hw) | {"rotation": 0, "rectanglelabels": [class_name]}
        yield shared | {"id": f"box{number}", "from_name": "box", "type": "rectanglelabels", "value": box}
        mask = found.mask()
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


# The bits that a run's length (less 1) may take; which of the four stands before it.
LENGTH_BITS = (3, 4, 8, 16)
LONGEST_RUN = 1 << LENGTH_BITS[-1]


def brush_rle(mask: Bool[np.ndarray, "height width"]) -> list[int]:
    """A mask in Label Studio's bytes: run lengths over the four channels (all 0 or all 255) of each pixel, row by row.

    Bits: 32 for the number of values, 5 for the word's bits less 1, four times 4 for LENGTH_BITS less 1; then each run
    is a 1, two bits for which of LENGTH_BITS, the length less 1, and the 8 bits of the value; zeros fill the last byte.
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
    which = next(which for which, size in enumerate(LENGTH_BITS) if length <= 1 << size)
    return f"1{which:02b}{length - 1:0{LENGTH_BITS[which]}b}{value:08b}"
