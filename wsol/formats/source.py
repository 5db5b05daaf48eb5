"""Check the source of the images that an export copies: a prediction folder of another user may name any folder."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from wsol.errors import WsolError
from wsol.predictions.records import LINES, Predictions
from wsol.storage.folders import MANIFEST


def check_source(predictions: Predictions) -> None:
    """Make sure that the images may be copied from the image root of the predictions.

    Raises:
        WsolError: the prediction folder belongs to another user, or an image is a link to outside the image root.
    """
    _check_owner(predictions)
    root = predictions.image_root.resolve()
    for prediction in predictions:
        path = predictions.path_of(prediction).resolve()
        if not path.is_relative_to(root):
            raise WsolError(
                f"{predictions.path_of(prediction)} is a link to {path}",
                expected=f"an image inside {root}, since this format copies it",
                remedy=_remedy(predictions),
            )


def _check_owner(predictions: Predictions) -> None:
    if not hasattr(os, "getuid"):  # Windows
        return
    for path in (predictions.folder, predictions.folder / MANIFEST, predictions.folder / LINES):
        if path.stat().st_uid != os.getuid():
            raise WsolError(
                f"{path} belongs to another user ({_owner(path)})",
                expected=(
                    "your own predictions, since this format copies images from the folder named in them,"
                    f" {predictions.image_root}"
                ),
                remedy=_remedy(predictions),
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"number {path.stat().st_uid}"


def _remedy(predictions: Predictions) -> str:
    return (
        "If you want to export these images, run the same command with `--images"
        f" {shlex.quote(str(predictions.image_root))}`."
    )
