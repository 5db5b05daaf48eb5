"""FiftyOne: a `COCODetectionDataset` folder, `data/` and `labels.json`."""

from __future__ import annotations

from pathlib import Path

from pycocotools import mask as coco_mask

from wsol.formats.coco import write_instances
from wsol.formats.images import below, copy_image, unique_names
from wsol.formats.objects import count, told
from wsol.formats.readme import write_readme
from wsol.predictions.records import Predictions
from wsol.storage.folders import final_of
from wsol.version import __version__

README = """\
A FiftyOne dataset made by wsol {version}: {told}.

  data/        the images, copied from {image_root}
  labels.json  COCO annotations with a score each, which FiftyOne shows as the confidence

How to load it with FiftyOne (pip install fiftyone):

    import fiftyone as fo
    dataset = fo.Dataset.from_dir({folder!r}, fo.types.COCODetectionDataset, label_types={label_types})
    fo.launch_app(dataset).wait()

Good to know:
- Rewritten images: {rewritten}. An image that its EXIF orientation turns or mirrors is written upright (JPEG quality
  95, without EXIF), and .gif, .ppm and .pgm become .png.
{fields}"""

WITH_MASKS = """- Boxes and masks are one label field, since both come from `segmentations`.
"""
WITHOUT_MASKS = """- Masks stay in labels.json: boxes drawn by hand (wsol review) have none, and with "segmentations"
  among the label types FiftyOne would pass over them.
"""


def write_fiftyone(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write data/, labels.json and README.txt; returns how many images, objects, empty and rewritten images there are.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    rewritten = 0
    for prediction, name in zip(predictions, unique_names(predictions), strict=True):
        target = below(folder / "data", name)
        rewritten += copy_image(predictions.path_of(prediction), prediction.image_hw, target)
    names = (str(name) for name in unique_names(predictions))
    write_instances(predictions, folder / "labels.json", names, with_scores=True)
    counts = count(predictions) | {"rewritten": rewritten}
    have_masks = all(coco_mask.area(found.rle) for prediction in predictions for found in prediction.objects)
    text = README.format(
        version=__version__,
        image_root=predictions.image_root,
        folder=str(final_of(folder)),
        label_types='["detections", "segmentations"]' if have_masks else '["detections"]',
        fields=WITH_MASKS if have_masks else WITHOUT_MASKS,
        told=told(counts),
        **counts,
    )
    write_readme(folder, text)
    return counts
