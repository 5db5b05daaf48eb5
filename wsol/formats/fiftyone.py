"""FiftyOne: a `COCODetectionDataset` folder, `data/` and `labels.json`."""

from __future__ import annotations

from pathlib import Path

from pycocotools import mask as coco_mask

from wsol.formats.coco import write_instances
from wsol.formats.images import below, copy_image, unique_names
from wsol.formats.objects import count, summary
from wsol.formats.readme import write_readme
from wsol.predictions.records import Predictions
from wsol.storage.folders import final_of
from wsol.version import __version__

README = """\
A FiftyOne dataset made by wsol {version}: {summary}.

  data/        the images, copied from {image_root}
  labels.json  COCO annotations, each with a score, which FiftyOne shows as the confidence

How to load it with FiftyOne (pip install fiftyone):

    import fiftyone as fo
    dataset = fo.Dataset.from_dir({folder!r}, fo.types.COCODetectionDataset, label_types={label_types})
    fo.launch_app(dataset).wait()

Good to know:
- Rewritten images: {rewritten}. An image whose EXIF orientation rotates or mirrors it is written upright (JPEG quality
  95, without EXIF), and .gif, .ppm and .pgm become .png.
{fields}"""

WITH_MASKS = """- Boxes and masks are one label field, since both come from `segmentations`.
"""
WITHOUT_MASKS = """- The masks in labels.json are not loaded: boxes annotated by hand (wsol review) have none, and
  FiftyOne would skip those boxes with "segmentations" among the label types.
"""


def write_fiftyone(predictions: Predictions, folder: Path) -> dict[str, int]:
    """Write data/, labels.json and README.txt.

    Args:
        predictions: the predictions to export.
        folder: an existing folder to write into.

    Returns:
        The number of images, objects, images without objects, and rewritten images.

    Raises:
        WsolError: an image is missing, broken, or no longer of the size that was predicted on.
    """
    rewritten = 0
    for prediction, name in zip(predictions, unique_names(predictions), strict=True):
        target = below(folder / "data", name)
        rewritten += copy_image(predictions.path_of(prediction), prediction.image_hw, target, predictions.image)
    names = (str(name) for name in unique_names(predictions))
    write_instances(predictions, folder / "labels.json", names, with_scores=True)
    counts = count(predictions) | {"rewritten": rewritten}
    have_masks = all(coco_mask.area(one.rle) for prediction in predictions for one in prediction.objects)
    text = README.format(
        version=__version__,
        image_root=predictions.image_root,
        folder=str(final_of(folder)),
        label_types='["detections", "segmentations"]' if have_masks else '["detections"]',
        fields=WITH_MASKS if have_masks else WITHOUT_MASKS,
        summary=summary(counts),
        **counts,
    )
    write_readme(folder, text)
    return counts
