"""A folder of images without labels: `root/**/*.jpg`, some of them in `root` itself. For methods that use no labels.

Ground truth, where there is one, stands beside the images as in class folders: `boxes.csv`, `masks/`.
"""

from __future__ import annotations

from pathlib import Path

from wsol.data.images import images_under, is_image
from wsol.data.readers.class_folders import read_ground_truth
from wsol.data.samples import DataSet, Sample

KIND = "images without labels"
CLASS_NAMES = ("object",)
"""What there is, as far as anybody knows."""


def recognise(root: Path) -> bool:
    """Whether a folder holds images itself: those of class folders lie a folder deeper."""
    return root.is_dir() and any(is_image(path) and path.is_file() for path in root.iterdir())


def read(root: Path) -> DataSet:
    """All images below a folder, `masks/` left out."""
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
