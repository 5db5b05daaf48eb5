"""Masks: one PNG an image, whose values number the objects."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from wsol.formats.images import below, unique_names
from wsol.formats.objects import count, told
from wsol.formats.readme import write_readme
from wsol.predictions.records import Prediction, Predictions
from wsol.version import __version__

README = """\
Masks made by wsol {version}: {told}.

  masks/  one PNG for each image, of the upright image's size, in the image's subfolder

How to load it with Pillow and numpy, in this folder:

    import numpy, pathlib
    from PIL import Image
    masks = {{path: numpy.asarray(Image.open(path)) for path in pathlib.Path("masks").rglob("*.png")}}

Good to know:
- 0 is background, 1 the first object of the image (the first in predictions.jsonl), 2 the second, and so on. A viewer
  shows them almost black. `mask > 0` is the mask of all objects.
- Where objects overlap, the earlier one is on top. Formats with a mask for each object (coco, cvat) keep both.
- Grey of 8 bits; of 16 bits in an image of more than 255 objects.
- The images stay in {image_root}. Apply their EXIF orientation before you lay a mask over one.
- Renamed masks: {renamed}. Images whose names differ only in the extension would share one.
"""


def write_masks(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write masks/ and README.txt; returns how many images, objects, empty images and renamed masks there are."""
    (folder / "masks").mkdir()
    renamed: list[str] = []
    for prediction, name in zip(predictions, unique_names(predictions, PurePosixPath), strict=True):
        target = name.with_suffix(".png")
        Image.fromarray(_numbered(prediction)).save(below(folder / "masks", target))
        if name != PurePosixPath(prediction.image):
            renamed.append(f"    {prediction.image} -> {target}\n")
    counts = count(predictions) | {"renamed": len(renamed)}
    text = README.format(version=__version__, image_root=predictions.image_root, told=told(counts), **counts)
    write_readme(folder, text + "".join(renamed))
    return counts


def _numbered(prediction: Prediction) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    values = np.zeros(prediction.image_hw, dtype=np.uint8 if len(prediction.objects) <= 255 else np.uint16)
    for number, found in reversed(list(enumerate(prediction.objects, start=1))):
        values[found.mask()] = number
    return values
