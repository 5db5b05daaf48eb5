"""Crops: a folder for each class with the boxes cut out of the images."""

from __future__ import annotations

import re
import unicodedata
from itertools import chain
from itertools import count as numbers
from pathlib import Path, PurePosixPath

from PIL import Image

from wsol.data.images import read_image
from wsol.formats.images import below, check_unchanged
from wsol.formats.names import fitting
from wsol.formats.objects import class_of, count, pixel_boxes, summary
from wsol.formats.readme import write_readme
from wsol.predictions.records import Predictions
from wsol.version import __version__

README = """\
Crops made by wsol {version}: {summary}.

  crops/  a folder for each class, with the box of every object, cut out of its image and named after the image

How to load it: crops/ is a data set of class folders.

    wsol check crops

    from torchvision.datasets import ImageFolder
    crops = ImageFolder("crops")

Good to know:
- An image without an object has no crop; predictions.jsonl and `--format csv` list it.
- Crops are upright JPEGs (quality 95) from the images in {image_root}.
- a/owl.jpg becomes a_owl_1.jpg, and a_owl_2.jpg for its second object. A name that exists already gets a number.
- In the names of class folders, characters that a file system may refuse are written as _. Long names are cut.
"""


def write_crops(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write crops/ and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects (one crop each) and images without objects.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    (folder / "crops").mkdir()
    taken: set[str] = set()
    class_folders = {name: _unique("", _safe(name), "", "", taken) for name in predictions.class_names}
    for prediction in predictions:
        boxes = pixel_boxes(prediction)
        if not boxes:
            continue
        image = predictions.path_of(prediction)
        check_unchanged(image, prediction.image_hw)
        pixels = read_image(image, predictions.image)
        stem = "_".join(PurePosixPath(prediction.image).with_suffix("").parts)
        for number, (predicted, (x0, y0, x1, y1)) in enumerate(zip(prediction.objects, boxes, strict=True), start=1):
            class_folder = class_folders[class_of(predictions, prediction, predicted)]
            name = _unique(f"{class_folder}/", stem, f"_{number}", ".jpg", taken)
            Image.fromarray(pixels[y0:y1, x0:x1]).save(below(folder / "crops", name), quality=95)
    counts = count(predictions)
    text = README.format(version=__version__, image_root=predictions.image_root, summary=summary(counts), **counts)
    write_readme(folder, text)
    return counts


def _safe(name: str) -> str:
    """The class name as a folder name on any disk: a leading dot would hide the folder, and Windows has devices named
    CON or aux.old.
    """
    safe = re.sub(r'[\x00-\x1f<>:"/\\|?*]|^\.|[. ]$', "_", name) or "_"
    return re.sub(r"(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(?=\.|$)", r"\1_", safe)


def _unique(parent: str, stem: str, ending: str, suffix: str, taken: set[str]) -> str:
    """The name, with a number if needed to be unique even on disks that ignore case or the composition of accents."""
    more = chain([""], (f"({number})" for number in numbers(2)))
    names = (parent + fitting(stem, ending + one + suffix) for one in more)
    chosen = next(name for name in names if _key(name) not in taken)
    taken.add(_key(chosen))
    return chosen


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
