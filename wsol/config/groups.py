"""What a configuration implies: the options that it reads, and the folders and networks of its run."""

from __future__ import annotations

from pathlib import Path

from wsol.config.base import Config
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig

GROUPS = tuple(name for name, value in RunConfig() if isinstance(value, Config))
"""The names of all groups of options."""


def groups_of(config: RunConfig) -> tuple[str, ...]:
    """The groups of options that a run reads: its method's, its classifier's if it trains one, and `box` where boxes
    are cut from maps.
    """
    spec = METHODS[config.method]
    own = set(spec.groups)
    if config.method == "spol":
        own -= {"instant", "cam"} - {{"cues": "instant", "cam": "cam"}[name] for name in first_networks(config)}
    if classifier_of(config) is not None:
        own.add("classify")
    if spec.has_maps:
        own.add("box")
    return tuple(name for name in GROUPS if name in own)


def options_read(config: RunConfig, group: str) -> tuple[str, ...]:
    """The names of a group's options that a run reads; none of a group that is not its own."""
    if group not in groups_of(config):
        return ()
    if group == "pseudo" and config.pseudo.masks == "cues":
        return ("masks",)
    return METHODS[config.method].read_in_part.get(group, tuple(type(getattr(config, group)).model_fields))


def options_unread(config: RunConfig) -> dict[str, set[str]]:
    """The names of the options in groups that a run does not read, group by group."""
    return {name: {*type(getattr(config, name)).model_fields} - {*options_read(config, name)} for name in GROUPS}


def needs_labels(config: RunConfig) -> bool:
    """Whether a run learns from class labels, in finding or in naming."""
    return METHODS[config.method].needs_labels or classifier_of(config) is not None


def first_networks(config: RunConfig) -> tuple[str, ...]:
    """The folders of what SPOL's masks are made from, and of what names the objects by the way."""
    cues = ("cues",) if config.pseudo.masks == "cues" else ()
    return (*cues, "cam") if not cues or config.classifier == "localizer" else cues


def networks_of(config: RunConfig) -> tuple[str, ...]:
    """The folders of a run that hold networks which begin with pretrained weights, in the order in which they are
    made.
    """
    spec = METHODS[config.method]
    if config.method == "spol":
        return (*first_networks(config), spec.folder, "classifier")
    return (*filter(None, [spec.classifier_folder]), spec.folder, "classifier")


def stage_folders(config: RunConfig) -> tuple[str, ...]:
    """Where in a run its stages may lie, in the order in which they are made."""
    return (*METHODS[config.method].folders, "classifier")


def classifier_of(config: RunConfig) -> tuple[str, Path | None] | None:
    """The classifier's timm name and weights file; None where stage 1 names, or nobody does."""
    if config.classifier in ("none", "localizer"):
        return None
    if config.classifier == "same":
        return config.backbone, config.classifier_weights or config.weights
    return config.classifier, config.classifier_weights
