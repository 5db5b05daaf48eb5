"""YOLO: `images/`, `labels/` with one text file beside each image, `scores/`, `data.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from wsol.errors import WsolError
from wsol.formats.images import below, copy_image, unique_names
from wsol.formats.objects import clipped_boxes, told
from wsol.formats.polygons import one_ring
from wsol.formats.readme import write_readme
from wsol.geometry.boxes import Boxes
from wsol.predictions.records import Prediction, Predictions
from wsol.storage.folders import final_of
from wsol.version import __version__

README = """\
YOLO annotations made by wsol {version}: {told}.

  images/    the images
  labels/    beside each image a text file: `{row}`, as shares of the upright image;
             an empty file where no object was found (a background image)
  scores/    beside each label file its scores, one a line, in the same order (a sixth column would break training)
  data.yaml  the folder and the class names

How to load it:
1. If you moved this folder, write its new place into `path:` of data.yaml.
2. Give data.yaml to your trainer. With ultralytics, MODEL being the model of your choice:
       yolo {task} train "data={data}" model=MODEL
3. `val:` names the same images as `train:`, since these predictions know no other. Figures from it say nothing about
   new images: name a folder of your own there.

Good to know:
- The images are copies of those in {image_root}.
- Rewritten images: {rewritten}. YOLO readers differ in whether they apply the EXIF orientation, so an image that it
  turns or mirrors is written upright (JPEG quality 95, without EXIF); and they pass over .gif, .ppm and .pgm, which
  become .png.
- Renamed images: {renamed}. Images whose names differ only in the extension would share a label file; a subfolder
  called images would send readers to another labels folder; and .jpe and .jfif are not read, though they are JPEG.
"""


def write_yolo(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write images, labels, scores, data.yaml and README.txt; returns how many images, objects and so on there are.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    return _write(predictions, folder, BOXES)


def write_yolo_polygons(predictions: Predictions, folder: Path) -> dict[str, int]:
    """The same with outlines of masks for segmentation; an object without a mask has the outline of its box.

    Raises:
        WsolError: as `write_yolo`.
    """
    return _write(predictions, folder, POLYGONS)


@dataclass(frozen=True)
class _Kind:
    """Boxes or outlines: the rows of a label file, what they hold, the trainer's word for it, and what there is to say
    of it.
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
            predictions.path_of(prediction), prediction.image_hw, below(folder / "images", name)
        )
        below(folder / "labels", text).write_text("".join(kind.rows(prediction)), encoding="ascii")
        below(folder / "scores", text).write_text(
            "".join(f"{found.score:.6f}\n" for found in prediction.objects), encoding="ascii"
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
    """Ahead of the copies: data.yaml has to name the folder."""
    try:
        str(final_of(folder)).encode("utf-8")
    except UnicodeEncodeError:
        raise WsolError(
            f"the path {final_of(folder)} is not UTF-8",
            expected="one that is, since data.yaml has to name it",
            remedy="Choose another folder for --out.",
        ) from None


def _write_data(predictions: Predictions, folder: Path) -> None:
    # Readers take an empty or relative `path` from their own folder for data sets, or from the working directory.
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
        told=told(counts),
        **counts,
    )
    write_readme(folder, text + "".join(renamed) + kind.note)


def _rows(prediction: Prediction) -> Iterator[str]:
    """The lines of a label file: exactly five columns, since trainers refuse a sixth and take more for a polygon."""
    height, width = prediction.image_hw
    boxes = Boxes.of([found.xyxy for found in prediction.objects]).clipped(prediction.image_hw)
    for x0, y0, x1, y1 in boxes.xyxy.tolist():
        x, box_width = _shares(x0, x1, width)
        y, box_height = _shares(y0, y1, height)
        yield f"{prediction.label or 0} {x:.6f} {y:.6f} {box_width:.6f} {box_height:.6f}\n"


def _polygon_rows(prediction: Prediction) -> Iterator[str]:
    height, width = prediction.image_hw
    for found, (x0, y0, x1, y1) in zip(prediction.objects, clipped_boxes(prediction), strict=True):
        outline: list[tuple[float, float]] = [*one_ring(found.mask())]
        ring = outline or [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        points = " ".join(f"{x / width:.6f} {y / height:.6f}" for x, y in ring)
        yield f"{prediction.label or 0} {points}\n"


def _shares(low: float, high: float, side: int) -> tuple[float, float]:
    """Centre and length of an interval as shares of the image's side; the length is never 0.000000."""
    centre, length = (low + high) / 2 / side, (high - low) / side
    if round(length, 6) == 0:
        length = max(round(1 / side, 6), 1e-6)
        centre = min(max(centre, length / 2), 1 - length / 2)
    return centre, length


BOXES = _Kind(_rows, "class x_centre y_centre width height", "detect", "")
POLYGONS = _Kind(
    _polygon_rows,
    "class x1 y1 x2 y2 ...",
    "segment",
    """- Each row is the outline of an object's pixels, and no file mixes rows of five with outlines. One row holds
  one outline: the parts and holes of an object are joined by lines that go there and back, which enclose nothing.
  Even-odd filling (pycocotools) gives the mask back; a trainer that draws lines one pixel wide (OpenCV) draws those
  too.
""",
)
