"""How a run was made: its values, its versions, its weights and their licences."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from wsol.config.options import RunConfig, classifier_of, is_gradient_cam, stage_folders
from wsol.models.licences import weights_licence
from wsol.runs.box_threshold import own_box, read_threshold
from wsol.runs.calibration import Calibration
from wsol.storage.folders import manifest_of
from wsol.text import number_of
from wsol.version import __version__

PACKAGES = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow")


def stages_of(run: Path, config: RunConfig) -> dict[str, dict[str, Any]]:
    """The manifests of a run's finished stages, in the order in which they were made."""
    manifests = {name: manifest_of(run / name, "fit") for name in stage_folders(config)}
    return {name: manifest for name, manifest in manifests.items() if manifest is not None}


def facts_of(run: Path, config: RunConfig, calibration: Calibration | None, *, has_maps: bool) -> dict[str, str]:
    """What a reader of the numbers wants to know of the run, as words."""
    stages = stages_of(run, config)
    seconds = {name: float(stage["figures"].get("seconds", 0)) for name, stage in stages.items()}
    engines = {str(stage["figures"]["engine"]): None for stage in stages.values() if "engine" in stage["figures"]}
    return {
        "method": config.method,
        **(_cut(run, config, calibration) if has_maps else {"boxes": "one for each picture, drawn without a map"}),
        "engine": ", ".join(engines) or "not known",
        "made in": f"{sum(seconds.values()):.0f} s: " + ", ".join(f"{name} {s:.0f}" for name, s in seconds.items()),
        "made with": ", ".join({f"wsol {stage.get('wsol', '?')}": None for stage in stages.values()}) or "not known",
        "reported with": ", ".join([f"wsol {__version__}", f"Python {platform.python_version()}", *_versions(config)]),
    }


def _cut(run: Path, config: RunConfig, calibration: Calibration | None) -> dict[str, str]:
    """How boxes are made of maps."""
    objects = {"largest": "the largest of each picture", "all": "all"}[config.box.objects]
    return {"box threshold": _threshold(run, config, calibration), "objects": objects}


def _threshold(run: Path, config: RunConfig, calibration: Calibration | None) -> str:
    if calibration is not None:
        return f"{calibration.threshold:.2f}, from {number_of(calibration.n, 'drawn box')} (wsol calibrate)"
    if config.box.threshold is not None:
        return f"{config.box.threshold:.2f}, as the configuration says"
    learned = read_threshold(run / "seg")
    assert learned is not None, "own_box has found it"
    return f"{own_box(run).threshold:.2f}, learned from {number_of(learned.n, 'pseudo mask')}"


def _versions(config: RunConfig) -> Iterator[str]:
    for name in (*PACKAGES, *(("grad-cam",) if is_gradient_cam(config) else ())):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:  # another wheel of the same library
            continue


def licences_of(config: RunConfig) -> list[tuple[str, str, str]]:
    """What is in the run, where it comes from, and its licence as far as that is known."""
    finder = {"spol": "maps and masks", "psol": "boxes"}.get(config.method, "maps")
    rows = [("program", "wsol", "Apache-2.0"), _weights(finder, config.backbone, config.weights)]
    classifier = classifier_of(config)
    if classifier is not None:
        rows.append(_weights("classifier", *classifier))
    return [*rows, ("training pictures", "your own, or another's", "as their owners say")]


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
