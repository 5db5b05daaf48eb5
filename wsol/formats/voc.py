"""PASCAL VOC (Everingham et al. 2010): `Annotations/` with one XML file per image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from wsol.formats.images import below, unique_names
from wsol.formats.names import readable
from wsol.formats.objects import class_of, count, pixel_boxes, summary
from wsol.formats.readme import write_readme
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
PASCAL VOC annotations made by wsol {version}: {summary}.

  Annotations/  one XML for each image, in the subfolder of the image, also if no object was found

How to load it:
- LabelImg: "Open Dir" with the folder of the images, then "Change Save Dir" with Annotations/ (or its subfolder of the
  same name), and the format PascalVOC.
- A reader of the VOC development kit (torchvision, Detectron2) expects the images as JPEGImages/<name>.jpg beside
  Annotations/<name>.xml, and their names in ImageSets/Main/: copy the images of one folder there.

The images are not copied. Each <filename> is a path relative to
{image_root}

Good to know:
- Corners are the first and the last pixel of a box, counted from 1: xmin = x0 + 1, xmax = x1, where x0 and x1 are
  pixel edges counted from 0. A reader that counts from 0 must subtract 1 from xmin and ymin. Fractions of a pixel are
  rounded outwards.
- Sizes and corners are those of the upright image, with its EXIF orientation applied.
- VOC has neither scores nor masks: `--format csv` has the scores, `--format masks` the masks.
- Renamed files: {renamed}. Images whose names differ only in the extension would have the same XML file.
"""


def write_voc(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write Annotations/ and README.txt. Images are not copied, since annotation tools ask for two folders.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects, images without objects, and renamed files.
    """
    (folder / "Annotations").mkdir()
    renamed: list[str] = []
    for prediction, name in zip(predictions, unique_names(predictions, PurePosixPath), strict=True):
        target = name.with_suffix(".xml")
        element = _annotation(prediction, predictions)
        ElementTree.indent(element)
        ElementTree.ElementTree(element).write(below(folder / "Annotations", target), encoding="utf-8")
        if name != PurePosixPath(prediction.image):
            renamed.append(f"    {prediction.image} -> {target}\n")
    counts = count(predictions) | {"renamed": len(renamed)}
    text = README.format(version=__version__, image_root=predictions.image_root, summary=summary(counts), **counts)
    write_readme(folder, text + "".join(renamed))
    return counts


def _annotation(prediction: Prediction, predictions: Predictions) -> Element:
    element = Element("annotation")
    height, width = prediction.image_hw
    _add(element, "folder", readable(predictions.image_root.name))
    _add(element, "filename", prediction.image)
    _add(SubElement(element, "source"), "database", f"wsol {__version__}")
    size = SubElement(element, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        _add(size, name, str(value))
    _add(element, "segmented", "0")
    for predicted, (x0, y0, x1, y1) in zip(prediction.objects, pixel_boxes(prediction), strict=True):
        one = SubElement(element, "object")
        _add(one, "name", class_of(predictions, prediction, predicted))
        for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _add(one, name, text)
        box = SubElement(one, "bndbox")
        for name, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            _add(box, name, str(value))
    return element


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text
