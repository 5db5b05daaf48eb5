"""Provenance of a run: settings, versions, weights and licences."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from wsol.config.groups import classifier_of, stage_folders
from wsol.config.methods import METHODS, MethodSpec
from wsol.config.options import RunConfig
from wsol.models.licences import weights_licence
from wsol.runs.calibration import Calibration
from wsol.runs.run import Run
from wsol.storage.folders import manifest_of
from wsol.text import number_of
from wsol.version import __version__

PACKAGES = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow")


def stages_of(run: Run) -> dict[str, dict[str, Any]]:
    """Read the manifests of a run's finished stages.

    Args:
        run: the run.

    Returns:
        Manifests by folder name, in the order of the stages.
    """
    manifests = {name: manifest_of(run.folder / name, "fit") for name in stage_folders(run.config)}
    return {name: manifest for name, manifest in manifests.items() if manifest is not None}


def provenance_of(run: Run, calibration: Calibration | None) -> dict[str, str]:
    """Describe how a run was made.

    Args:
        run: the run.
        calibration: its calibration, if it has one.

    Returns:
        Text by name, in the order in which it is shown.
    """
    stages = stages_of(run)
    seconds = {name: float(stage["figures"].get("seconds", 0)) for name, stage in stages.items()}
    engines = {str(stage["figures"]["engine"]): None for stage in stages.values() if "engine" in stage["figures"]}
    return {
        "method": run.config.method,
        **(_cut(run, calibration) if run.spec.has_maps else {"boxes": "one per image, predicted without a map"}),
        "engine": ", ".join(engines) or "not known",
        "made in": f"{sum(seconds.values()):.0f} s: " + ", ".join(f"{name} {s:.0f}" for name, s in seconds.items()),
        "made with": ", ".join({f"wsol {stage.get('wsol', '?')}": None for stage in stages.values()}) or "not known",
        "reported with": ", ".join(
            [f"wsol {__version__}", f"Python {platform.python_version()}", *_versions(run.spec)]
        ),
    }


def _cut(run: Run, calibration: Calibration | None) -> dict[str, str]:
    """How boxes are cut from maps."""
    objects = {"largest": "the largest of each image", "all": "all"}[run.config.box.objects]
    return {"box threshold": _threshold(run, calibration), "objects": objects}


def _threshold(run: Run, calibration: Calibration | None) -> str:
    if calibration is not None:
        return f"{calibration.threshold:.2f}, from {number_of(calibration.n, 'annotated box')} (wsol calibrate)"
    if run.config.box.threshold is not None:
        return f"{run.config.box.threshold:.2f}, set in the configuration"
    learned = run.learned_threshold
    assert learned is not None, "Run.box raises otherwise"
    return f"{learned.threshold:.2f}, learned from {number_of(learned.n, 'pseudo mask')}"


def _versions(spec: MethodSpec) -> Iterator[str]:
    for name in (*PACKAGES, *(("grad-cam",) if spec.uses_gradients else ())):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:  # another wheel provides this library
            continue


def licences_of(config: RunConfig) -> list[tuple[str, str, str]]:
    """List the parts of a run with their licences.

    Args:
        config: the run's configuration.

    Returns:
        Rows of (part, source, licence); the licence is "unknown: ..." where it is not stated.
    """
    model = {"masks": "maps and masks"}.get(METHODS[config.method].output, METHODS[config.method].output)
    rows = [("program", "wsol", "Apache-2.0"), _weights(model, config.backbone, config.weights)]
    classifier = classifier_of(config)
    if classifier is not None:
        rows.append(_weights("classifier", *classifier))
    return [*rows, ("training images", "not part of wsol", "set by their owners")]


def _weights(what: str, name: str, weights: Path | None) -> tuple[str, str, str]:
    if weights is not None:
        return (
            what,
            f"{name}, initial weights from the file {weights.name}",
            "unknown: a weight file does not state it",
        )
    stated = weights_licence(name, None)
    return (
        what,
        f"{name}, timm's pretrained weights",
        f"{stated}, according to timm" if stated else "unknown: timm states none",
    )
