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
from wsol.formats.objects import class_of, count, pixel_boxes, told
from wsol.formats.readme import write_readme
from wsol.predictions.records import Predictions
from wsol.version import __version__

README = """\
Crops made by wsol {version}: {told}.

  crops/  a folder for each class; in it every object's box, cut out of its image and named after it

How to load it: crops/ is a data set of class folders.

    wsol check crops

    from torchvision.datasets import ImageFolder
    crops = ImageFolder("crops")

Good to know:
- Crops are upright JPEGs (quality 95) from the images in {image_root}.
- a/owl.jpg becomes a_owl_1.jpg, a_owl_2.jpg for its second object. Names that would meet get a number more.
- In the names of class folders, characters that a disk may refuse are written as _. Names that are too long are cut.
"""


def write_crops(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write crops/ and README.txt; returns how many images, objects (one crop each) and empty images there are.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    (folder / "crops").mkdir()
    met: set[str] = set()
    class_folders = {name: _unique("", _safe(name), "", "", met) for name in predictions.class_names}
    for prediction in predictions:
        boxes = pixel_boxes(prediction)
        if not boxes:
            continue
        image = predictions.path_of(prediction)
        check_unchanged(image, prediction.image_hw)
        pixels = read_image(image)
        stem = "_".join(PurePosixPath(prediction.image).with_suffix("").parts)
        class_folder = class_folders[class_of(predictions, prediction)]
        for number, (x0, y0, x1, y1) in enumerate(boxes, start=1):
            name = _unique(f"{class_folder}/", stem, f"_{number}", ".jpg", met)
            Image.fromarray(pixels[y0:y1, x0:x1]).save(below(folder / "crops", name), quality=95)
    counts = count(predictions)
    text = README.format(version=__version__, image_root=predictions.image_root, told=told(counts), **counts)
    write_readme(folder, text)
    return counts


def _safe(name: str) -> str:
    """A class as the name of one folder on any disk; a leading dot would hide it, and Windows has devices called CON or
    aux.old.
    """
    safe = re.sub(r'[\x00-\x1f<>:"/\\|?*]|^\.|[. ]$', "_", name) or "_"
    return re.sub(r"(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(?=\.|$)", r"\1_", safe)


def _unique(parent: str, stem: str, ending: str, suffix: str, met: set[str]) -> str:
    """The name, or with a number that no other has, also on disks that ignore case or the way accents are composed."""
    more = chain([""], (f"({number})" for number in numbers(2)))
    names = (parent + fitting(stem, ending + one + suffix) for one in more)
    chosen = next(name for name in names if _key(name) not in met)
    met.add(_key(chosen))
    return chosen


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
