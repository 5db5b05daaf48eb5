"""What a training asks of its run folder before it writes there."""

from __future__ import annotations

import os
from pathlib import Path

from wsol.data.samples import DataSet
from wsol.errors import WsolError


def check_outside(run: Path, data: DataSet) -> None:
    """Refuse a run that the next reading of the data set would take for a class, or whose charts for images.

    Raises:
        WsolError: it is such a folder, or lies in one.
    """
    listed = {_identity(folder) for folder in data.listed}
    # By its name and by where that leads: a link in the data set is read as what it leads to.
    for path in (Path(os.path.abspath(run)), run.resolve()):
        for above in (*reversed(path.parents), path):
            is_hidden = any(name.startswith(".") for name in path.relative_to(above).parts)
            if above.exists() and not is_hidden and _identity(above) in listed:
                lies = "is" if above == path else "lies in"
                raise WsolError(
                    f"run {run} {lies} the data set {above}, whose folders are its classes",
                    expected="a folder outside",
                    remedy="Name another --run.",
                )


def _identity(folder: Path) -> tuple[int, int]:
    """The same by whatever name."""
    status = folder.stat()
    return status.st_dev, status.st_ino
