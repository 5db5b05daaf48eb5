"""Masks: one PNG per image, in which the value of a pixel is the number of its object."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from wsol.formats.images import below, unique_names
from wsol.formats.objects import count, summary
from wsol.formats.readme import write_readme
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
Masks made by wsol {version}: {summary}.

  masks/  one PNG for each image, in the subfolder of the image, with the size of the upright image

How to load it with Pillow and numpy, in this folder:

    import numpy, pathlib
    from PIL import Image
    masks = {{path: numpy.asarray(Image.open(path)) for path in pathlib.Path("masks").rglob("*.png")}}

Good to know:
- 0 is background, 1 the first object of the image (the first in predictions.jsonl), 2 the second, and so on. A viewer
  shows them almost black. `mask > 0` is the mask of all objects.
- Where objects overlap, the earlier one is on top. Formats with one mask per object (coco, cvat) keep both.
- The PNGs are grey with 8 bits, or 16 bits for an image with more than 255 objects.
- The images are not copied; they are in {image_root}. Apply their EXIF orientation before you overlay a mask.
- Renamed masks: {renamed}. Images whose names differ only in the extension would have the same mask file.
"""


def write_masks(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write masks/ and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects, images without objects, and renamed masks.
    """
    (folder / "masks").mkdir()
    renamed: list[str] = []
    for prediction, name in zip(predictions, unique_names(predictions, PurePosixPath), strict=True):
        target = name.with_suffix(".png")
        Image.fromarray(_numbered(prediction)).save(below(folder / "masks", target))
        if name != PurePosixPath(prediction.image):
            renamed.append(f"    {prediction.image} -> {target}\n")
    counts = count(predictions) | {"renamed": len(renamed)}
    text = README.format(version=__version__, image_root=predictions.image_root, summary=summary(counts), **counts)
    write_readme(folder, text + "".join(renamed))
    return counts


def _numbered(prediction: Prediction) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    values = np.zeros(prediction.image_hw, dtype=np.uint8 if len(prediction.objects) <= 255 else np.uint16)
    for number, predicted in reversed(list(enumerate(prediction.objects, start=1))):
        values[predicted.mask()] = number
    return values
