"""A run folder must lie outside the data set."""

from __future__ import annotations

import os
from pathlib import Path

from wsol.data.samples import DataSet
from wsol.errors import WsolError


def check_outside(run: Path, data: DataSet) -> None:
    """Refuse a run folder that would be read as a class of the data set, or whose charts would be read as its images.

    Args:
        run: the run folder, which need not exist.
        data: the data set.

    Raises:
        WsolError: the run is a folder of the data set, or lies in one.
    """
    listed = {_identity(folder) for folder in data.listed}
    # The path as given and with links resolved: the reader of the data set follows links.
    for path in (Path(os.path.abspath(run)), run.resolve()):
        for above in (*reversed(path.parents), path):
            is_hidden = any(name.startswith(".") for name in path.relative_to(above).parts)
            if above.exists() and not is_hidden and _identity(above) in listed:
                lies = "is" if above == path else "lies in"
                raise WsolError(
                    f"run {run} {lies} the data set {above}, whose folders are its classes",
                    expected="a folder outside the data set",
                    remedy="Name another --run.",
                )


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode: equal for all paths to a folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino
