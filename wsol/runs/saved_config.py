"""The configuration saved in a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from wsol.config.base import RESOLVED, Masks, Method, Training
from wsol.config.groups import (
    GROUPS,
    first_networks,
    groups_of,
    options_read,
    options_unread,
    stage_folders,
)
from wsol.config.messages import as_error, option
from wsol.config.methods import METHODS, Pseudo
from wsol.config.options import RunConfig
from wsol.config.recipes import exactly, merged, resolve
from wsol.errors import WsolError
from wsol.storage.folders import CHECKPOINT, MANIFEST, opened, parse_json, scratch_of, write_text
from wsol.storage.schema import check_schema
from wsol.storage.shards import PARTS

CONFIG_FILE = "config.yaml"

SCHEMA = 3
"""Of the file. Schemas 1 and 2 have options that no longer exist."""
_MAX_BYTES = 100_000


def to_yaml(config: RunConfig) -> str:
    """The resolved configuration as YAML text."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def save_config(run: Path, config: RunConfig) -> None:
    """Write the configuration to the run folder, which is created if it does not exist."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / CONFIG_FILE, f"schema: {SCHEMA}\n{to_yaml(config)}")


def load_config(run: Path) -> RunConfig:
    """Read the configuration of a run.

    Args:
        run: the run folder.

    Returns:
        The resolved configuration.

    Raises:
        WsolError: not a run folder, or the configuration is damaged or of another schema.
    """
    path = run / CONFIG_FILE
    if not path.exists():
        raise WsolError(
            f"{run} is not a run",
            expected=f"{CONFIG_FILE} in it",
            remedy=f"Make one with `wsol fit DATA --run {run}`, or name another run.",
        )
    values = _values_in(path)
    if isinstance(values, dict):
        check_schema(values.pop("schema", 1), SCHEMA, path, "wsol fit DATA --run ANOTHER")
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        wrong = as_error(error)
        raise WsolError(
            f"{path} cannot be used: {wrong.problem}",
            expected=wrong.expected,
            got=wrong.got,
            remedy="Restore it, or make another run.",
        ) from None


class _Plain(yaml.SafeLoader):
    """YAML without references: a few lines that refer to one another can expand to any size."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference (*), which wsol never writes")
        return super().compose_node(parent, index)


def _values_in(path: Path) -> Any:
    with opened(path, "wsol fit") as file:
        content = file.read(_MAX_BYTES + 1)
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        values = yaml.load(content.decode("utf-8"), _Plain)
        return parse_json(json.dumps(values).encode("ascii"))  # only values that JSON can represent
    except Exception as error:  # PyYAML's constructors raise any exception
        reason = " ".join(str(error).split())  # PyYAML's messages have several lines
        raise WsolError(
            f"{path} cannot be used ({reason:.300})",
            expected="what `wsol fit` wrote",
            remedy="Restore it, or make another run.",
        ) from None


def preview(run: Path, given: RunConfig | None, *, is_checked: bool = True) -> RunConfig:
    """The configuration for a stage: the saved one, with the options that are set in `given`.

    A new run starts from the recipe. A run starts from the recipe again if `given` sets a recipe or another method.

    Args:
        run: the run folder, which need not exist.
        given: the options of the command; None for none.
        is_checked: whether options that the run does not read are refused.

    Returns:
        The resolved configuration; nothing is written.

    Raises:
        WsolError: the saved configuration is damaged, the run belongs to another method, options contradict each other,
            or the run does not read one of them.
    """
    given = given or RunConfig()
    try:
        _check_method(run, given)
        if is_checked:
            _check_read(run, given)
        return _combined(run, given)
    except ValidationError as error:
        raise as_error(error) from None


def with_stage_one(run: Path, given: RunConfig | None) -> RunConfig:
    """The options for `wsol train-cam`: the pseudo masks are made from stage 1, unless `given` or the run has
    another choice.

    Args:
        run: the run folder, which need not exist.
        given: the options of the command; None for none.

    Returns:
        `given`, or the same with `pseudo.masks` set to `thresholds`.
    """
    given = given or RunConfig()
    is_set = "masks" in given.pseudo.model_fields_set or "recipe" in given.model_fields_set
    if is_set or is_begun(run / "pseudo") or "cam" in first_networks(preview(run, given, is_checked=False)):
        return given
    values = given.model_dump(exclude_unset=True)
    return RunConfig.model_validate(merged(values, {"pseudo": {"masks": "thresholds"}}))


def _saved(run: Path) -> RunConfig | None:
    """The configuration of the run; None if it has none yet."""
    return load_config(run) if (run / CONFIG_FILE).is_file() else None


def _combined(run: Path, given: RunConfig) -> RunConfig:
    """The saved configuration with the options in `given`, or the recipe with them."""
    saved = None if "recipe" in given.model_fields_set else _saved(run)
    if saved is not None and ("method" not in given.model_fields_set or _is_same_training(saved, given)):
        values = merged(saved.model_dump(), exactly(given.model_dump(exclude_unset=True)))
        return RunConfig.model_validate(values, context=RESOLVED)
    return resolve(given)


def _is_same_training(one: RunConfig, other: RunConfig) -> bool:
    """Whether both methods train the same network: gradient CAMs do."""
    return one.method == other.method or (METHODS[one.method].uses_gradients and METHODS[other.method].uses_gradients)


def is_begun(folder: Path) -> bool:
    """Whether a stage folder is finished, or has saved something to continue from."""
    scratch = scratch_of(folder)
    return (folder / MANIFEST).exists() or (scratch / CHECKPOINT).exists() or any((scratch / PARTS).glob("*"))


def _check_method(run: Path, given: RunConfig) -> None:
    """Refuse to train a second method in the same run: it would be evaluated as the last one."""
    saved = _saved(run) if given.model_fields_set & {"method", "recipe"} else None
    if saved is None or _is_same_training(saved, given):
        return
    own = (run / name for name in stage_folders(saved) if name != "classifier")  # any method can use the classifier
    if any(map(is_begun, own)):
        or_method = "" if "method" in given.model_fields_set else f", or add `--method {saved.method}`"
        raise WsolError(
            f"{run} is a run of method {saved.method}",
            expected="the same method",
            got=f"{given.method}",
            remedy=f"Name another --run{or_method}.",
        )


def _check_read(run: Path, given: RunConfig) -> None:
    """Refuse an option that the run would save and never read.

    A value equal to the saved one passes: whole configurations and repeated commands contain such values.
    """
    choices = given.model_dump(exclude_unset=True, exclude=set(GROUPS))
    if "masks" in given.pseudo.model_fields_set:  # decides which other options are read
        choices["pseudo"] = {"masks": given.pseudo.masks}
    plain = _combined(run, RunConfig.model_validate(choices))
    for group, names in options_unread(plain).items():
        for name in sorted(names & getattr(given, group).model_fields_set):
            value = getattr(getattr(given, group), name)
            if value != getattr(getattr(plain, group), name):
                raise _not_read(plain, group, name, value, _made_with(run, given))


def _made_with(run: Path, given: RunConfig) -> str:
    """A relative clause for a method that the run has saved and the command does not name."""
    is_saved = (run / CONFIG_FILE).is_file() and not given.model_fields_set & {"method", "recipe"}
    return f", which {run} was made with," if is_saved else ""


def _not_read(config: RunConfig, group: str, name: str, value: object, made_with: str) -> WsolError:
    reader = f"method {config.method}{made_with}"
    if group == "classify":
        reader = f"method {config.method} with --classifier {config.classifier}{made_with}"
        remedy = "Have a classifier trained with `--classifier same` or a timm model"
    elif config.method == "spol" and group in ("cam", "pseudo", "instant"):
        remedy = f"Choose `--pseudo.masks {'cues' if group == 'instant' else 'thresholds'}`, which reads it"
    elif same := _same_option(config, group, name):
        remedy = f"Use {' and '.join(same)}"
    else:
        owners = [
            method for method in METHODS if any(name in options_read(one, group) for one in _variants(config, method))
        ]
        remedy = f"Choose `--method {owners[0]}`" if len(owners) < 3 else "Choose another `--method`"
        remedy += " and another --run" if made_with else ""
    return WsolError(
        f"{reader} does not read {option(group, name)}",
        expected=f"options of {_read(config)}",
        got=f"{option(group, name)} {value}",
        remedy=f"{remedy}, or leave it out.",
    )


def _variants(config: RunConfig, method: Method) -> list[RunConfig]:
    """The configuration with another method and each kind of masks: both decide which options are read."""
    kinds = [Pseudo(masks=masks) for masks in get_args(Masks)]
    return [config.model_copy(update={"method": method, "pseudo": pseudo}) for pseudo in kinds]


def _read(config: RunConfig) -> str:
    """The groups of options that a run reads; if it reads only part of a group, these options."""
    unread = options_unread(config)
    in_part = {group: ", ".join(options_read(config, group)).replace("_", "-") for group in GROUPS if unread[group]}
    return ", ".join(f"{group} ({in_part[group]})" if group in in_part else group for group in groups_of(config))


def _same_option(config: RunConfig, group: str, name: str) -> list[str]:
    """The same option in the trainings of this method, if it is an option of a training."""
    if not isinstance(getattr(config, group), Training):
        return []
    read = [one for one in groups_of(config) if one != "classify" and isinstance(getattr(config, one), Training)]
    return [option(one, name) for one in read if name in options_read(config, one)]
