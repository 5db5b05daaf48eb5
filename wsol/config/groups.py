"""What follows from a configuration: the options that are read, and the folders and networks of the run."""

from __future__ import annotations

from pathlib import Path

from wsol.config.base import Config
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig

GROUPS = tuple(name for name, value in RunConfig() if isinstance(value, Config))
"""Names of all option groups."""


def groups_of(config: RunConfig) -> tuple[str, ...]:
    """Return the option groups that a run reads.

    Args:
        config: the resolved configuration of the run.

    Returns:
        Names of `image`, of the groups of its method, `classify` if it has a separate classifier, and `box` if its
        boxes are computed from maps; in the order of `GROUPS`.
    """
    spec = METHODS[config.method]
    own = {"image", *spec.groups}
    if config.method == "spol":
        own -= {"instant", "cam"} - {{"cues": "instant", "cam": "cam"}[name] for name in first_networks(config)}
    if classifier_of(config) is not None:
        own.add("classify")
    if spec.has_maps:
        own.add("box")
    return tuple(name for name in GROUPS if name in own)


def options_read(config: RunConfig, group: str) -> tuple[str, ...]:
    """Return the options in a group that a run reads.

    Args:
        config: the resolved configuration of the run.
        group: name of the group.

    Returns:
        Names of the options; empty if the run does not read the group.
    """
    if group not in groups_of(config):
        return ()
    if group == "pseudo" and config.pseudo.masks == "cues":
        return ("masks",)
    return METHODS[config.method].read_in_part.get(group, tuple(type(getattr(config, group)).model_fields))


def options_unread(config: RunConfig) -> dict[str, set[str]]:
    """Return for each group the names of the options that a run does not read."""
    return {name: {*type(getattr(config, name)).model_fields} - {*options_read(config, name)} for name in GROUPS}


def needs_labels(config: RunConfig) -> bool:
    """Return whether a run learns from class labels, for localization or classification."""
    return METHODS[config.method].needs_labels or classifier_of(config) is not None


def first_networks(config: RunConfig) -> tuple[str, ...]:
    """Return the folders of SPOL's first networks.

    Args:
        config: the resolved configuration of the run.

    Returns:
        `cues` if pseudo masks come from it, `cam` if pseudo masks or class names come from it; or both.
    """
    cues = ("cues",) if config.pseudo.masks == "cues" else ()
    return (*cues, "cam") if not cues or config.classifier == "localizer" else cues


def networks_of(config: RunConfig) -> tuple[str, ...]:
    """Return the folders of networks that start from pretrained weights, in the order in which they are made."""
    spec = METHODS[config.method]
    if config.method == "spol":
        return (*first_networks(config), spec.folder, "classifier")
    return (*filter(None, [spec.classifier_folder]), spec.folder, "classifier")


def stage_folders(config: RunConfig) -> tuple[str, ...]:
    """Return the folders of all possible stages of a run, in the order in which they are made."""
    return (*METHODS[config.method].folders, "classifier")


def classifier_of(config: RunConfig) -> tuple[str, Path | None] | None:
    """Return the separate classifier of a run.

    Args:
        config: the resolved configuration of the run.

    Returns:
        Its timm name and its weights file, if given; None if the run has no separate classifier.
    """
    if config.classifier in ("none", "localizer"):
        return None
    if config.classifier == "same":
        return config.backbone, config.classifier_weights or config.weights
    return config.classifier, config.classifier_weights
