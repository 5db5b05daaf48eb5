"""A CSV table: one line per object, and one line for each image without objects."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from wsol.data.csv_cells import guarded, guarded_path
from wsol.formats.objects import class_of, count, summary
from wsol.formats.readme import write_readme
from wsol.geometry.boxes import Boxes
from wsol.predictions.records import Predictions
from wsol.version import __version__

COLUMNS = ("path", "label", "score", "x0", "y0", "x1", "y1", "width", "height")

README = """\
A table made by wsol {version}: {summary}.

  boxes.csv  one line for each object; an image without an object has one line with empty score and corners

How to load it with pandas (pip install pandas), in this folder:

    import pandas
    empty = dict.fromkeys(["score", "x0", "y0", "x1", "y1"], "")
    boxes = pandas.read_csv("boxes.csv", keep_default_na=False, na_values=empty)

A spreadsheet opens it too: UTF-8, separated by commas, with a decimal point.

Columns:
  path           the image, relative to {image_root}
  label          the class of the image; empty if it has none
                 A spreadsheet takes text that begins with = + - or @ for a formula. Such a path is written with ./
                 in front, such a class with ' in front (wsol removes it when it reads the table).
  score          from 0 to 1
  x0 y0 x1 y1    pixel edges counted from 0 from the top left: the box's width is x1 - x0
  width height   of the upright image, with its EXIF orientation applied

wsol reads it too. Boxes that a person has reviewed can be used as ground truth (--images is the folder above):

    wsol calibrate RUN --boxes boxes.csv --images FOLDER
    wsol evaluate --boxes OTHER --truth boxes.csv --images FOLDER
"""


def write_csv(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write boxes.csv and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects and images without objects.
    """
    with (folder / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(predictions))
    counts = count(predictions)
    text = README.format(version=__version__, image_root=predictions.image_root, summary=summary(counts), **counts)
    write_readme(folder, text)
    return counts


def _rows(predictions: Predictions) -> Iterator[tuple[str | float, ...]]:
    for prediction in predictions:
        path, (height, width) = guarded_path(prediction.image), prediction.image_hw
        boxes = Boxes.of([predicted.xyxy for predicted in prediction.objects]).clipped(prediction.image_hw)
        for predicted, corners in zip(prediction.objects, boxes.xyxy.tolist(), strict=True):
            yield path, guarded(class_of(predictions, prediction, predicted)), predicted.score, *corners, width, height
        if not prediction.objects:
            yield path, guarded(prediction.class_name or ""), "", "", "", "", "", width, height
