"""YOLO: `images/`, `labels/` with one text file beside each picture, `scores/`, `data.yaml`."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

import yaml
from PIL import Image

from wsol.boxes import Boxes
from wsol.errors import WsolError
from wsol.folders import final_of
from wsol.images import image_hw, is_turned, read_image
from wsol.predictions import COMMAND, Prediction, Predictions
from wsol.version import __version__

# What ultralytics and its forerunners open; they pass over every other suffix without a word.
READABLE = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
JPEG_SUFFIXES = frozenset({".jpe", ".jfif"})

README = """\
YOLO annotations made by wsol {version}: {images} pictures, {objects} objects, {empty_images} pictures without an object.

  images/    the pictures
  labels/    beside each picture a text file: `class x_centre y_centre width height`, as shares of the upright picture;
             an empty file where no object was found (a background picture)
  scores/    beside each label file its scores, one a line, in the same order (a sixth column would break training)
  data.yaml  the folder and the class names

How to load it:
1. If you moved this folder, write its new place into `path:` of data.yaml.
2. Give data.yaml to your trainer. With ultralytics, MODEL being the model of your choice:
       yolo detect train "data={data}" model=MODEL
3. `val:` names the same pictures as `train:`, since these predictions know no other. Figures from it say nothing about new
   pictures: name a folder of your own there.

Good to know:
- The pictures are copies of those in {image_root}.
- Rewritten pictures: {rewritten}. YOLO readers differ in whether they apply the EXIF orientation, so a picture that it turns
  or mirrors is written upright (JPEG quality 95, without EXIF); and they pass over .gif, .ppm and .pgm, which become .png.
- Renamed pictures: {renamed}. Pictures whose names differ only in the extension would share a label file; a subfolder called
  images would send readers to another labels folder; and .jpe and .jfif are not read, though they are JPEG.
"""


def write_yolo(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write pictures, labels, scores, data.yaml and README.txt; returns how many images, objects and so on there are.

    Raises:
        WsolError: a picture is missing, broken, or no longer of the size that was predicted on.
    """
    counts = {"images": 0, "objects": 0, "empty_images": 0, "rewritten": 0, "renamed": 0}
    renamed: list[str] = []
    for prediction, name in zip(predictions, _names(predictions), strict=True):
        text = f"{name.with_suffix('')}.txt"
        counts["rewritten"] += _write_picture(
            predictions.image_root / prediction.image, prediction.image_hw, _below(folder / "images", name)
        )
        _below(folder / "labels", text).write_text("".join(_rows(prediction)), encoding="ascii")
        _below(folder / "scores", text).write_text(
            "".join(f"{found.score:.6f}\n" for found in prediction.objects), encoding="ascii"
        )
        counts["images"] += 1
        counts["objects"] += len(prediction.objects)
        counts["empty_images"] += not prediction.objects
        if name != PurePosixPath(prediction.image):
            renamed.append(f"    {prediction.image} -> {name}\n")
    counts["renamed"] = len(renamed)
    _write_data(predictions, folder)
    _write_readme(predictions, folder, counts, renamed)
    return counts


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


def _write_readme(predictions: Predictions, folder: Path, counts: dict[str, int], renamed: list[str]) -> None:
    text = README.format(
        version=__version__, data=final_of(folder) / "data.yaml", image_root=predictions.image_root, **counts
    )
    (folder / "README.txt").write_text(text + "".join(renamed), encoding="utf-8")


def _below(folder: Path, name: PurePosixPath | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _names(predictions: Predictions) -> Iterator[PurePosixPath]:
    """Where each picture goes below images/: its own path, unless its label file would meet another's there."""
    taken = {_key(_wanted(prediction.image)) for prediction in predictions}
    met: set[str] = set()
    for prediction in predictions:
        name = _wanted(prediction.image)
        if _key(name) in met:
            candidates = _other_names(name, PurePosixPath(prediction.image).suffix[1:])
            name = next(candidate for candidate in candidates if _key(candidate) not in taken)
            taken.add(_key(name))
        met.add(_key(name))
        yield name


def _other_names(name: PurePosixPath, suffix: str) -> Iterator[PurePosixPath]:
    """owl.png -> owl_png.png, owl_png2.png, owl_png3.png, ..."""
    yield name.with_stem(f"{name.stem}_{suffix}")
    for number in count(2):
        yield name.with_stem(f"{name.stem}_{suffix}{number}")


def _wanted(image: str) -> PurePosixPath:
    path = PurePosixPath(image)
    # Readers put `labels` for the last folder called `images`: data/images/owls/images/1.jpg would look in images/owls/labels.
    folders = ["images_" if part == "images" else part for part in path.parts[:-1]]
    suffix = (
        path.suffix if path.suffix.lower() in READABLE else ".jpg" if path.suffix.lower() in JPEG_SUFFIXES else ".png"
    )
    return PurePosixPath(*folders, path.stem + suffix)


def _key(name: PurePosixPath) -> str:
    """Equal for names that share a label file, also on disks that ignore case or the way accents are composed."""
    return unicodedata.normalize("NFC", str(name.with_suffix("")).casefold())


def _write_picture(picture: Path, predicted_hw: tuple[int, int], target: Path) -> bool:
    """Copy, or (True) rewrite a picture."""
    if not picture.is_file():
        raise WsolError(
            f"no picture at {picture}: expected the one that was predicted on. Put it back, or run `{COMMAND}` on the pictures you have."
        )
    found_hw = image_hw(picture)
    if found_hw != predicted_hw:
        raise WsolError(
            f"{picture} has changed: expected (height, width) {predicted_hw} as predicted on, got {found_hw}. Put the old one back, or run `{COMMAND}` again."
        )
    is_rewritten = is_turned(picture) or picture.suffix.lower() not in READABLE | JPEG_SUFFIXES
    if is_rewritten:
        Image.fromarray(read_image(picture)).save(target, quality=95)
    else:
        # No hard link: trainers repair pictures in place, and would repair the user's.
        shutil.copyfile(picture, target)
    return is_rewritten


def _rows(prediction: Prediction) -> Iterator[str]:
    """The lines of a label file: exactly five columns, since trainers refuse a sixth and take more for a polygon."""
    height, width = prediction.image_hw
    boxes = Boxes.of([found.xyxy for found in prediction.objects]).clipped(prediction.image_hw)
    for x0, y0, x1, y1 in boxes.xyxy.tolist():
        x, box_width = _shares(x0, x1, width)
        y, box_height = _shares(y0, y1, height)
        yield f"{prediction.label or 0} {x:.6f} {y:.6f} {box_width:.6f} {box_height:.6f}\n"


def _shares(low: float, high: float, side: int) -> tuple[float, float]:
    """Centre and length of an interval as shares of the picture's side; the length is never 0.000000."""
    centre, length = (low + high) / 2 / side, (high - low) / side
    if round(length, 6) == 0:
        length = max(round(1 / side, 6), 1e-6)
        centre = min(max(centre, length / 2), 1 - length / 2)
    return centre, length
