"""Which data set is this? The one place that knows all readers."""

from __future__ import annotations

from pathlib import Path

from wsol.data import class_folders, cub
from wsol.data.samples import DataSet, checked
from wsol.errors import WsolError


def open_data(root: Path) -> DataSet:
    """Recognise and read a data set.

    Raises:
        WsolError: not a readable folder, or nothing to learn from in it.
    """
    if not root.exists():
        raise WsolError(
            f"{root} does not exist: expected a folder of pictures ({class_folders.LAYOUT}, or CUB-200-2011 as published). Check the path."
        )
    if not root.is_dir():
        raise WsolError(
            f"{root} is a file: expected a folder of pictures ({class_folders.LAYOUT}). Name the folder that holds the class folders."
        )
    try:
        return checked(cub.read(root) if cub.is_cub(root) else class_folders.read(root))
    except PermissionError as error:
        raise WsolError(
            f"cannot read {error.filename}: expected a readable folder. Change its permissions, or move it elsewhere."
        ) from None
