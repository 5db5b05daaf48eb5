"""How a run was made: its values, its versions, its weights and their licences."""

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
    """The manifests of a run's finished stages, in the order in which they were made."""
    manifests = {name: manifest_of(run.folder / name, "fit") for name in stage_folders(run.config)}
    return {name: manifest for name, manifest in manifests.items() if manifest is not None}


def facts_of(run: Run, calibration: Calibration | None) -> dict[str, str]:
    """What a reader of the numbers wants to know of the run, as words."""
    stages = stages_of(run)
    seconds = {name: float(stage["figures"].get("seconds", 0)) for name, stage in stages.items()}
    engines = {str(stage["figures"]["engine"]): None for stage in stages.values() if "engine" in stage["figures"]}
    return {
        "method": run.config.method,
        **(_cut(run, calibration) if run.spec.has_maps else {"boxes": "one for each image, drawn without a map"}),
        "engine": ", ".join(engines) or "not known",
        "made in": f"{sum(seconds.values()):.0f} s: " + ", ".join(f"{name} {s:.0f}" for name, s in seconds.items()),
        "made with": ", ".join({f"wsol {stage.get('wsol', '?')}": None for stage in stages.values()}) or "not known",
        "reported with": ", ".join(
            [f"wsol {__version__}", f"Python {platform.python_version()}", *_versions(run.spec)]
        ),
    }


def _cut(run: Run, calibration: Calibration | None) -> dict[str, str]:
    """How boxes are made of maps."""
    objects = {"largest": "the largest of each image", "all": "all"}[run.config.box.objects]
    return {"box threshold": _threshold(run, calibration), "objects": objects}


def _threshold(run: Run, calibration: Calibration | None) -> str:
    if calibration is not None:
        return f"{calibration.threshold:.2f}, from {number_of(calibration.n, 'drawn box')} (wsol calibrate)"
    if run.config.box.threshold is not None:
        return f"{run.config.box.threshold:.2f}, as the configuration says"
    learned = run.learned_threshold
    assert learned is not None, "Run.box has found it"
    return f"{learned.threshold:.2f}, learned from {number_of(learned.n, 'pseudo mask')}"


def _versions(spec: MethodSpec) -> Iterator[str]:
    for name in (*PACKAGES, *(("grad-cam",) if spec.uses_gradients else ())):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:  # another wheel of the same library
            continue


def licences_of(config: RunConfig) -> list[tuple[str, str, str]]:
    """What is in the run, where it comes from, and its licence as far as that is known."""
    model = {"masks": "maps and masks"}.get(METHODS[config.method].output, METHODS[config.method].output)
    rows = [("program", "wsol", "Apache-2.0"), _weights(model, config.backbone, config.weights)]
    classifier = classifier_of(config)
    if classifier is not None:
        rows.append(_weights("classifier", *classifier))
    return [*rows, ("training images", "your own, or another's", "as their owners say")]


def _weights(what: str, name: str, weights: Path | None) -> tuple[str, str, str]:
    if weights is not None:
        return (
            what,
            f"{name}, its first weights from the file {weights.name}",
            "unknown: wsol cannot tell it from a file",
        )
    stated = weights_licence(name, None)
    return (
        what,
        f"{name}, timm's pretrained weights",
        f"{stated}, as timm states it" if stated else "unknown: timm states none",
    )
