"""Photographs with nothing but class labels in, boxes and masks out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsol.version import __version__

if TYPE_CHECKING:
    from wsol.api import (
        calibrate,
        evaluate,
        evaluate_results,
        export_model,
        fit,
        make_pseudo,
        predict,
        train_cam,
        train_classifier,
        train_seg,
    )
    from wsol.config.options import RunConfig
    from wsol.data.open import open_data
    from wsol.errors import WsolError
    from wsol.geometry.boxes import Boxes
    from wsol.inference.localizer import Localization, Localizer

# Imported on first use: `import wsol` and `wsol --help` must not wait for torch.
_HOMES = {
    "Boxes": "wsol.geometry.boxes",
    "Localization": "wsol.inference.localizer",
    "Localizer": "wsol.inference.localizer",
    "RunConfig": "wsol.config.options",
    "WsolError": "wsol.errors",
    "calibrate": "wsol.api",
    "evaluate": "wsol.api",
    "evaluate_results": "wsol.api",
    "export_model": "wsol.api",
    "fit": "wsol.api",
    "make_pseudo": "wsol.api",
    "open_data": "wsol.data.open",
    "predict": "wsol.api",
    "train_cam": "wsol.api",
    "train_classifier": "wsol.api",
    "train_seg": "wsol.api",
}

__all__ = [
    "Boxes",
    "Localization",
    "Localizer",
    "RunConfig",
    "WsolError",
    "__version__",
    "calibrate",
    "evaluate",
    "evaluate_results",
    "export_model",
    "fit",
    "make_pseudo",
    "open_data",
    "predict",
    "train_cam",
    "train_classifier",
    "train_seg",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsol' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
