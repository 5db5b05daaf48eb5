"""A folder of images without labels: `root/**/*.jpg`, some of them in `root` itself, for methods without labels.

Optional ground truth beside the images as for class folders: `boxes.csv`, `masks/`.
"""

from __future__ import annotations

from pathlib import Path

from wsol.data.images import images_under, is_image
from wsol.data.readers.class_folders import read_ground_truth
from wsol.data.samples import DataSet, Sample

KIND = "images without labels"
CLASS_NAMES = ("object",)
"""The only class."""


def recognise(root: Path) -> bool:
    """Whether a folder holds images itself; in class folders, images are one level deeper."""
    return root.is_dir() and any(is_image(path) and path.is_file() for path in root.iterdir())


def read(root: Path) -> DataSet:
    """Read all images below a folder, except those in `masks/`."""
    names = ((path.relative_to(root), path) for path in images_under(root))
    samples = tuple(Sample(name.as_posix(), path, 0) for name, path in names if name.parts[0] != "masks")
    return DataSet(
        KIND,
        root,
        CLASS_NAMES,
        samples,
        samples,
        False,
        lambda: read_ground_truth(root, root, samples, frozenset()),
        listed=(root,),
    )
