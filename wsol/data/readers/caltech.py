"""Caltech-101 and Caltech-256 as published (Fei-Fei et al. 2004; Griffin et al. 2007): class folders in a folder
beside the annotations, which are MATLAB files and not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wsol.data.readers import class_folders
from wsol.data.samples import DataSet

KIND = "Caltech"
FOLDERS = ("101_ObjectCategories", "256_ObjectCategories")


def recognise(root: Path) -> bool:
    """Whether there is the published folder of class folders."""
    return any((root / name).is_dir() for name in FOLDERS)


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read the class folders.

    Args:
        root: the folder that holds `101_ObjectCategories`.
        images: the folder of the class folders, if it is another one.

    Raises:
        WsolError: as for class folders.
    """
    folder = next(root / name for name in FOLDERS if (root / name).is_dir())
    return replace(class_folders.read(folder, images), kind=KIND, root=root)
