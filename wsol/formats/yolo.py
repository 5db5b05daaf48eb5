"""YOLO: `images/`, `labels/` with one text file per image, `scores/`, `data.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from wsol.errors import WsolError
from wsol.formats.images import below, copy_image, unique_names
from wsol.formats.objects import clipped_boxes, summary
from wsol.formats.polygons import one_ring
from wsol.formats.readme import write_readme
from wsol.geometry.boxes import Boxes
from wsol.predictions.records import Prediction, Predictions
from wsol.storage.folders import final_of
from wsol.version import __version__

README = """\
YOLO annotations made by wsol {version}: {summary}.

  images/    the images
  labels/    one text file per image: `{row}`, as fractions of the upright image;
             the file is empty if no object was found (a background image)
  scores/    one text file per label file: one score per line, in the same order (a sixth column would break training)
  data.yaml  the folder and the class names

How to load it:
1. If you moved this folder, write its new path into `path:` of data.yaml.
2. Give data.yaml to your trainer. With ultralytics, where MODEL is the model of your choice:
       yolo {task} train "data={data}" model=MODEL
3. `val:` names the same images as `train:`, since the predictions have no split. Its metrics are no measure for new
   images: enter a folder of other images there.

Good to know:
- The images are copies of those in {image_root}.
- Rewritten images: {rewritten}. Not all YOLO readers apply the EXIF orientation, so an image that it rotates or mirrors
  is written upright (JPEG quality 95, without EXIF). Readers skip .gif, .ppm and .pgm, which become .png.
- Renamed images: {renamed}. Images whose names differ only in the extension would have the same label file; for a
  subfolder called images readers would search another labels folder; and .jpe and .jfif are not read, though they are
  JPEG.
"""


def write_yolo(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write images, labels, scores, data.yaml and README.txt, with boxes.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects, images without objects, and rewritten and renamed images.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    return _write(predictions, folder, BOXES)


def write_yolo_polygons(predictions: Predictions, folder: Path) -> dict[str, int]:
    """The same with polygons of masks, for segmentation; an object without a mask gets the corners of its box.

    Args:
        predictions: as `write_yolo`.
        folder: as `write_yolo`.

    Returns:
        As `write_yolo`.

    Raises:
        WsolError: as `write_yolo`.
    """
    return _write(predictions, folder, POLYGONS)


@dataclass(frozen=True)
class _Kind:
    """Boxes or polygons: the rows of a label file, their columns, the name of the training task, and a note for the
    README.
    """

    rows: Callable[[Prediction], Iterator[str]]
    row: str
    task: str
    note: str


def _write(predictions: Predictions, folder: Path, kind: _Kind) -> dict[str, int]:
    _check_encodable(folder)
    counts = {"images": 0, "objects": 0, "empty_images": 0, "rewritten": 0, "renamed": 0}
    renamed: list[str] = []
    for prediction, name in zip(predictions, unique_names(predictions), strict=True):
        text = f"{name.with_suffix('')}.txt"
        counts["rewritten"] += copy_image(
            predictions.path_of(prediction), prediction.image_hw, below(folder / "images", name), predictions.image
        )
        below(folder / "labels", text).write_text("".join(kind.rows(prediction)), encoding="ascii")
        below(folder / "scores", text).write_text(
            "".join(f"{predicted.score:.6f}\n" for predicted in prediction.objects), encoding="ascii"
        )
        counts["images"] += 1
        counts["objects"] += len(prediction.objects)
        counts["empty_images"] += not prediction.objects
        if name != PurePosixPath(prediction.image):
            renamed.append(f"    {prediction.image} -> {name}\n")
    counts["renamed"] = len(renamed)
    _write_data(predictions, folder)
    _write_readme(predictions, folder, counts, renamed, kind)
    return counts


def _check_encodable(folder: Path) -> None:
    """Refuse a folder name that data.yaml cannot store, before anything is copied."""
    try:
        str(final_of(folder)).encode("utf-8")
    except UnicodeEncodeError:
        raise WsolError(
            f"the path {final_of(folder)} is not UTF-8",
            expected="a path in UTF-8, since data.yaml has to store it",
            remedy="Choose another folder for --out.",
        ) from None


def _write_data(predictions: Predictions, folder: Path) -> None:
    # Readers resolve an empty or relative `path` against their own data set folder, or the working directory.
    data = {
        "path": str(final_of(folder)),
        "train": "images",
        "val": "images",
        "names": dict(enumerate(predictions.class_names)),
    }
    (folder / "data.yaml").write_text(
        yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=100_000), encoding="utf-8"
    )


def _write_readme(
    predictions: Predictions, folder: Path, counts: dict[str, int], renamed: list[str], kind: _Kind
) -> None:
    text = README.format(
        version=__version__,
        data=final_of(folder) / "data.yaml",
        image_root=predictions.image_root,
        row=kind.row,
        task=kind.task,
        summary=summary(counts),
        **counts,
    )
    write_readme(folder, text + "".join(renamed) + kind.note)


def _rows(prediction: Prediction) -> Iterator[str]:
    """The lines of a label file: exactly five columns, since trainers refuse six and read more as a polygon."""
    height, width = prediction.image_hw
    boxes = Boxes.of([predicted.xyxy for predicted in prediction.objects]).clipped(prediction.image_hw)
    for predicted, (x0, y0, x1, y1) in zip(prediction.objects, boxes.xyxy.tolist(), strict=True):
        x, box_width = _fractions(x0, x1, width)
        y, box_height = _fractions(y0, y1, height)
        yield f"{prediction.label_of(predicted) or 0} {x:.6f} {y:.6f} {box_width:.6f} {box_height:.6f}\n"


def _polygon_rows(prediction: Prediction) -> Iterator[str]:
    height, width = prediction.image_hw
    for predicted, (x0, y0, x1, y1) in zip(prediction.objects, clipped_boxes(prediction), strict=True):
        outline: list[tuple[float, float]] = [*one_ring(predicted.mask())]
        ring = outline or [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        points = " ".join(f"{x / width:.6f} {y / height:.6f}" for x, y in ring)
        yield f"{prediction.label_of(predicted) or 0} {points}\n"


def _fractions(low: float, high: float, size: int) -> tuple[float, float]:
    """Centre and length of an interval as fractions of the image's width or height; the length is never 0.000000."""
    centre, length = (low + high) / 2 / size, (high - low) / size
    if round(length, 6) == 0:
        length = max(round(1 / size, 6), 1e-6)
        centre = min(max(centre, length / 2), 1 - length / 2)
    return centre, length


BOXES = _Kind(_rows, "class x_centre y_centre width height", "detect", "")
POLYGONS = _Kind(
    _polygon_rows,
    "class x1 y1 x2 y2 ...",
    "segment",
    """- Each row is one polygon: the outline of the object's pixels; no file mixes boxes and polygons. The separate
  components and holes of an object are connected by lines that run forth and back and enclose no area. Even-odd
  filling (pycocotools) restores the mask; a trainer that draws outlines one pixel wide (OpenCV) also draws these lines.
""",
)
