"""PASCAL VOC (Everingham et al. 2010): `Annotations/` with one XML beside each image's name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from wsol.formats.images import below, unique_names
from wsol.formats.names import readable
from wsol.formats.objects import class_of, count, pixel_boxes, told
from wsol.formats.readme import write_readme
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
PASCAL VOC annotations made by wsol {version}: {told}.

  Annotations/  one XML for each image, in the image's subfolder, also where no object was found

How to load it:
- LabelImg: "Open Dir" with the folder of the images, then "Change Save Dir" with Annotations/ (or its subfolder of the
  same name), and the format PascalVOC.
- A reader of the VOC development kit (torchvision, Detectron2) wants the images as JPEGImages/<name>.jpg beside
  Annotations/<name>.xml, and their names in ImageSets/Main/: copy images of one folder there.

The images stay where they are, and each <filename> is the path of one below
{image_root}

Good to know:
- Corners count pixels from 1 and name the first and the last pixel: xmin = x0 + 1, xmax = x1, x0 and x1 being pixel
  edges counted from 0. A reader that counts from 0 must take 1 from xmin and ymin. Edges between pixels move outwards.
- Sizes and corners are those of the upright image, with its EXIF orientation applied.
- VOC has neither scores nor masks: `--format csv` has the scores, `--format masks` the masks.
- Renamed files: {renamed}. Images whose names differ only in the extension would share an XML file.
"""


def write_voc(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write Annotations/ and README.txt; returns how many images, objects, empty images and renamed files there are.

    The images are not copied: unlike trainers of YOLO, annotation tools ask for two folders.
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
    text = README.format(version=__version__, image_root=predictions.image_root, told=told(counts), **counts)
    write_readme(folder, text + "".join(renamed))
    return counts


def _annotation(prediction: Prediction, predictions: Predictions) -> Element:
    element = Element("annotation")
    height, width = prediction.image_hw
    _add(element, "folder", readable(predictions.image_root.name))
    _add(element, "filename", prediction.image)
    _add(SubElement(element, "source"), "database", f"wsol {__version__}")
    size = SubElement(element, "size")
    for side, length in (("width", width), ("height", height), ("depth", 3)):
        _add(size, side, str(length))
    _add(element, "segmented", "0")
    for x0, y0, x1, y1 in pixel_boxes(prediction):
        one = SubElement(element, "object")
        _add(one, "name", class_of(predictions, prediction))
        for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _add(one, name, text)
        box = SubElement(one, "bndbox")
        for edge, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            _add(box, edge, str(value))
    return element


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text
