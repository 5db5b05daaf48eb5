"""CVAT 1.1 for images: `annotations.xml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from wsol.formats.objects import class_of, clipped_boxes, count, summary
from wsol.formats.readme import write_readme
from wsol.formats.run_lengths import run_lengths
from wsol.geometry.boxes import tight_box
from wsol.predictions.records import PredictedObject, Prediction, Predictions
from wsol.version import __version__

README = """\
CVAT annotations made by wsol {version}: {summary}.

  annotations.xml  CVAT for images 1.1: a box and a mask for each object, in one group

How to import it:
1. Create a task with the labels below and the images of
   {image_root}
   Keep the subfolders (upload a zip of that folder, or use a shared folder): CVAT finds an image by its path.
2. In the task, choose Actions > Upload annotations > CVAT 1.1, and annotations.xml.

The "Raw" page of the label constructor is not needed: enter these names, with the type "any".
{labels}
Good to know:
- Pixels are those of the upright image, as CVAT shows it.
- CVAT has no field for scores: `--format csv` has them.
- To see only boxes or only masks, filter by the type of the shape.
"""


def write_cvat(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write annotations.xml and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects and images without objects.
    """
    counts = count(predictions)
    with (folder / "annotations.xml").open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        file.write(_text(_meta(predictions.class_names, counts["images"])))
        file.writelines(_text(element) for element in _images(predictions))
        file.write("</annotations>\n")
    labels = "".join(f"    {name}\n" for name in predictions.class_names)
    text = README.format(
        version=__version__, image_root=predictions.image_root, labels=labels, summary=summary(counts), **counts
    )
    write_readme(folder, text)
    return counts


def _text(element: Element) -> str:
    ElementTree.indent(element)
    return ElementTree.tostring(element, encoding="unicode") + "\n"


def _meta(class_names: tuple[str, ...], images: int) -> Element:
    meta = Element("meta")
    task = SubElement(meta, "task")
    for name, text in (("name", "wsol"), ("size", str(images)), ("mode", "annotation"), ("overlap", "0")):
        SubElement(task, name).text = text
    labels = SubElement(task, "labels")
    for class_name in class_names:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = class_name
        SubElement(label, "type").text = "any"
        SubElement(label, "attributes")
    return meta


def _images(predictions: Predictions) -> Iterator[Element]:
    for number, prediction in enumerate(predictions):
        height, width = prediction.image_hw
        image = Element("image", id=str(number), name=prediction.image, width=str(width), height=str(height))
        _add_objects(image, predictions, prediction)
        yield image


def _add_objects(image: Element, predictions: Predictions, prediction: Prediction) -> None:
    for number, (predicted, xyxy) in enumerate(
        zip(prediction.objects, clipped_boxes(prediction), strict=True), start=1
    ):
        class_name = class_of(predictions, prediction, predicted)
        shared = {"label": class_name, "source": "auto", "occluded": "0", "z_order": "0", "group_id": str(number)}
        edges = zip(("xtl", "ytl", "xbr", "ybr"), xyxy, strict=True)
        SubElement(image, "box", shared | {edge: f"{value:.2f}" for edge, value in edges})
        _add_mask(image, predicted, shared)


def _add_mask(image: Element, predicted: PredictedObject, shared: dict[str, str]) -> None:
    mask = predicted.mask()
    box = tight_box(mask)
    if box is None:
        return
    left, top, right, bottom = map(int, box)
    runs = ", ".join(map(str, run_lengths(mask[top:bottom, left:right])))
    position = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    SubElement(image, "mask", shared | {"rle": runs} | {name: str(value) for name, value in position.items()})
