"""Settings that make a method a matter of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fake_data.backbone import NAME

from wsol.config.base import Method
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.models.checkpoint import MethodConfig

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 4, "resize_px": 64, "crop_px": 56}


def quick(method: Method, weights: Path, **values: Any) -> RunConfig:
    """A configuration of few steps on small images, checkpoints after each."""
    machine = {"device": "cpu", "precision": "fp32", "workers": 0, "checkpoint_seconds": 0}
    groups = {group: QUICK for group in ("training", "seg", "classify")} | {"instant": {"resize_px": 64}}
    groups |= {"acol": {"width": 16}, "spg": {"width": 16}, "gcnet": {"width": 16}}
    given = {"method": method, "backbone": NAME, "weights": weights, **machine, **groups}
    return resolve(RunConfig.model_validate(given | values))


def small_config(method: Method, **options: Any) -> MethodConfig:
    """Of the small backbone, for three classes."""
    return MethodConfig(
        method=method,
        options=options,
        backbone=NAME,
        output_stride=16,
        feature="stage",
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        resize_px=64,
        class_names=("beetle", "crane", "fish"),
    )
