"""A finished prediction folder with its images: with everything that is difficult for an annotation format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsol.commands.export import checked
from wsol.geometry.boxes import tight_box
from wsol.predictions.records import (
    LINES,
    PredictedObject,
    Prediction,
    Predictions,
    encode,
    open_predictions,
    write_lines,
)
from wsol.storage.folders import write_manifest

CLASSES = ("Amsel & Drossel", 'the "great" <tit>', "Käuzchen 梟")
TURNED = "turned.jpg"


def ones(image_hw: tuple[int, int], *boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """A mask of several boxes; boxes inside an earlier one are holes."""
    mask = np.zeros(image_hw, dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] ^= True
    return mask


def line(image: str, label: int | None, *masks: NDArray[np.bool_], image_hw: tuple[int, int] = (40, 60)) -> Prediction:
    """A line of predictions.jsonl, the boxes tight."""
    objects = []
    for number, mask in enumerate(masks):
        xyxy = tight_box(mask)
        assert xyxy is not None
        objects.append(PredictedObject(xyxy, 0.875 - number / 8, encode(mask)))
    return Prediction(image, image_hw, tuple(objects), label, None if label is None else CLASSES[label], ())


CORPUS = (
    line("a/owl.jpg", 0, ones((40, 60), (10, 5, 30, 25))),
    line("a/owl.png", 1, ones((40, 60), (2, 2, 20, 30), (5, 5, 9, 9), (12, 8, 14, 29), (40, 1, 50, 9))),
    line("a/o & 'u' \"x\".jpg", 1, ones((40, 60), (0, 0, 7, 7)), ones((40, 60), (30, 20, 50, 39))),
    line("b/at borders.png", 2, ones((40, 60), (0, 0, 60, 40), (9, 9, 30, 31))),
    line("b/梟 ö.jpg", 2, ones((40, 60), (59, 39, 60, 40)), ones((40, 60), (0, 0, 1, 1))),
    line("b/empty.jpg", 0),
    line("images/corners.jpg", 0, ones((40, 60), (3, 3, 6, 6), (6, 6, 9, 9), (9, 3, 12, 6))),
    line(TURNED, 0, ones((60, 40), (3, 30, 33, 59)), image_hw=(60, 40)),
)
EMPTY = (CORPUS[5],)
UNNAMED = (line("a.jpg", None, ones((40, 60), (1, 1, 9, 9))), line("b.jpg", None), line("c.jpg", 2))

COUNTED = [
    pytest.param((), {"images": 0, "objects": 0, "empty_images": 0}, id="no images"),
    pytest.param(EMPTY, {"images": 1, "objects": 0, "empty_images": 1}, id="no objects"),
    pytest.param(UNNAMED, {"images": 3, "objects": 1, "empty_images": 2}, id="no classes"),
    pytest.param(CORPUS, {"images": 8, "objects": 9, "empty_images": 1}, id="corpus"),
]
"""The counts of every format."""
COUNTED_WITH_NAMES = [
    pytest.param(lines, counts | {"renamed": int(lines is CORPUS)}, id=case.id)
    for case in COUNTED
    for lines, counts in [case.values]
]
"""The same for formats with one file per image, in which `a/owl.png` and `a/owl.jpg` have the same name."""


def write_predictions(root: Path, lines: tuple[Prediction, ...] = CORPUS) -> Predictions:
    """`root/predictions` and `root/images`, opened and checked; the image `TURNED` is upright by EXIF only."""
    for one in lines:
        _draw(root / "images" / one.image, one.image_hw, is_turned=one.image == TURNED)
    folder = root / "predictions"
    folder.mkdir(parents=True)
    write_lines(folder / LINES, lines)
    write_manifest(folder, "predict", {}, {}, {"image_root": str(root / "images"), "class_names": CLASSES})
    return checked(open_predictions(folder))


def _draw(path: Path, image_hw: tuple[int, int], is_turned: bool) -> None:
    """Red grows to the right, green downwards."""
    height, width = image_hw
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    exif = Image.Exif()
    image = Image.fromarray(pixels)
    if is_turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif)
