"""Weakly supervised object localization: boxes and masks for images that have only class labels."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsol.version import __version__

if TYPE_CHECKING:
    from wsol.checks.run import check
    from wsol.commands.calibrate import calibrate
    from wsol.commands.evaluate import evaluate
    from wsol.commands.evaluate_results import evaluate_results
    from wsol.commands.export import export
    from wsol.commands.export_model import export_model
    from wsol.commands.fit import fit, make_pseudo, train_cam, train_classifier, train_seg
    from wsol.commands.predict import predict
    from wsol.comparisons.compare import compare
    from wsol.config.options import RunConfig
    from wsol.data.open import open_data
    from wsol.errors import WsolError
    from wsol.geometry.boxes import Boxes
    from wsol.inference.localizer import Localization, Localizer
    from wsol.reports.write_report import report
    from wsol.runs.run import Run

# Imported on first use: `import wsol` and `wsol --help` must not wait for torch.
_HOMES = {
    "Boxes": "wsol.geometry.boxes",
    "Localization": "wsol.inference.localizer",
    "Localizer": "wsol.inference.localizer",
    "Run": "wsol.runs.run",
    "RunConfig": "wsol.config.options",
    "WsolError": "wsol.errors",
    "calibrate": "wsol.commands.calibrate",
    "check": "wsol.checks.run",
    "compare": "wsol.comparisons.compare",
    "evaluate": "wsol.commands.evaluate",
    "evaluate_results": "wsol.commands.evaluate_results",
    "export": "wsol.commands.export",
    "export_model": "wsol.commands.export_model",
    "fit": "wsol.commands.fit",
    "make_pseudo": "wsol.commands.fit",
    "open_data": "wsol.data.open",
    "predict": "wsol.commands.predict",
    "report": "wsol.reports.write_report",
    "train_cam": "wsol.commands.fit",
    "train_classifier": "wsol.commands.fit",
    "train_seg": "wsol.commands.fit",
}

__all__ = [
    "Boxes",
    "Localization",
    "Localizer",
    "Run",
    "RunConfig",
    "WsolError",
    "__version__",
    "calibrate",
    "check",
    "compare",
    "evaluate",
    "evaluate_results",
    "export",
    "export_model",
    "fit",
    "make_pseudo",
    "open_data",
    "predict",
    "report",
    "train_cam",
    "train_classifier",
    "train_seg",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsol' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from wsol.config.messages import training_needed

        if (what := training_needed(error)) is None:
            raise
        raise ModuleNotFoundError(str(what), name=error.name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
