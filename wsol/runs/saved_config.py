"""The configuration that a run folder remembers."""

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

FILE = "config.yaml"


SCHEMA = 3
"""Of the file. 2 and before had other words, and masks that are made no longer."""
_MOST_BYTES = 100_000


def to_yaml(config: RunConfig) -> str:
    """The resolved configuration as text."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def save_config(run: Path, config: RunConfig) -> None:
    """Remember the configuration with the run."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / FILE, f"schema: {SCHEMA}\n{to_yaml(config)}")


def load_config(run: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        WsolError: not a run folder, or its configuration is damaged or of another schema.
    """
    path = run / FILE
    if not path.exists():
        raise WsolError(
            f"{run} is not a run",
            expected=f"{FILE} in it",
            remedy=f"Make one with `wsol fit DATA --run {run}`, or name another run.",
        )
    values = _values_in(path)
    if isinstance(values, dict):
        check_schema(values.pop("schema", 1), SCHEMA, path, "wsol fit")
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
    """YAML as wsol writes it: a few lines with references to one another can grow to any size."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference (*), which wsol never writes")
        return super().compose_node(parent, index)


def _values_in(path: Path) -> Any:
    with opened(path, "wsol fit") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        values = yaml.load(content.decode("utf-8"), _Plain)
        return parse_json(
            json.dumps(values).encode("ascii")
        )  # nothing but what JSON has, and no number or text beyond it
    except Exception as error:  # PyYAML's constructors let through whatever Python raises of the text
        said = " ".join(str(error).split())  # PyYAML's are of several lines
        raise WsolError(
            f"{path} cannot be used ({said:.300})",
            expected="what `wsol fit` wrote",
            remedy="Restore it, or make another run.",
        ) from None


def preview(run: Path, given: RunConfig | None, *, is_checked: bool = True) -> RunConfig:
    """The configuration for a stage: what the run remembers, changed by what was set on `given`.

    A run that remembers nothing starts from the recipe. Naming a recipe, or another method, starts from the recipe
    again. `is_checked`: whether options that the run would not read are refused.

    Raises:
        WsolError: what the run remembers is damaged, it is another method's, values do not go together, or the run
            would not read one of them.
    """
    given = given or RunConfig()
    try:
        _check_method(run, given)
        if is_checked:
            _check_read(run, given)
        return _together(run, given)
    except ValidationError as error:
        raise as_error(error) from None


def with_stage_one(run: Path, given: RunConfig | None) -> RunConfig:
    """What was set, for the training of stage 1 by itself: who asks for it wants its masks, unless something else was
    said or begun.
    """
    given = given or RunConfig()
    is_said = "masks" in given.pseudo.model_fields_set or "recipe" in given.model_fields_set
    if is_said or is_begun(run / "pseudo") or "cam" in first_networks(preview(run, given, is_checked=False)):
        return given
    asked = given.model_dump(exclude_unset=True)
    return RunConfig.model_validate(merged(asked, {"pseudo": {"masks": "thresholds"}}))


def _together(run: Path, given: RunConfig) -> RunConfig:
    if (run / FILE).is_file() and "recipe" not in given.model_fields_set:
        remembered = load_config(run)
        if "method" not in given.model_fields_set or _is_same_training(remembered, given):
            values = merged(remembered.model_dump(), exactly(given.model_dump(exclude_unset=True)))
            return RunConfig.model_validate(values, context=RESOLVED)
    return resolve(given)


def _is_same_training(one: RunConfig, other: RunConfig) -> bool:
    """Whether the methods train the same: gradient CAMs share their network."""
    return one.method == other.method or (METHODS[one.method].uses_gradients and METHODS[other.method].uses_gradients)


def is_begun(folder: Path) -> bool:
    """Whether a stage is finished, or something of it has been saved."""
    scratch = scratch_of(folder)
    return (folder / MANIFEST).exists() or (scratch / CHECKPOINT).exists() or any((scratch / PARTS).glob("*"))


def _check_method(run: Path, given: RunConfig) -> None:
    """Refuse to lay one method's networks beside another's: the run would be judged as the last one's."""
    if not (run / FILE).is_file() or not given.model_fields_set & {"method", "recipe"}:
        return
    remembered = load_config(run)
    own = (run / name for name in stage_folders(remembered) if name != "classifier")  # which serves any
    if not _is_same_training(remembered, given) and any(map(is_begun, own)):
        or_say = "" if "method" in given.model_fields_set else f", or give `--method {remembered.method}` too"
        raise WsolError(
            f"{run} is a run of method {remembered.method}",
            expected="the same",
            got=f"{given.method}",
            remedy=f"Name another --run{or_say}.",
        )


def _check_read(run: Path, given: RunConfig) -> None:
    """Refuse a value that the run would remember and never read.

    One that stands there anyway is let through: whole configurations are given too, and commands again.
    """
    choices = given.model_dump(exclude_unset=True, exclude=set(GROUPS))
    if "masks" in given.pseudo.model_fields_set:  # which decides what else is read
        choices["pseudo"] = {"masks": given.pseudo.masks}
    plain = _together(run, RunConfig.model_validate(choices))
    for group, names in options_unread(plain).items():
        for name in sorted(names & getattr(given, group).model_fields_set):
            value = getattr(getattr(given, group), name)
            if value != getattr(getattr(plain, group), name):
                raise WsolError(_not_read(plain, group, name, value, _made_with(run, given)))


def _made_with(run: Path, given: RunConfig) -> str:
    """To be put behind a method that is the run's own and was not named now."""
    is_remembered = (run / FILE).is_file() and not given.model_fields_set & {"method", "recipe"}
    return f", which {run} was made with," if is_remembered else ""


def _not_read(config: RunConfig, group: str, name: str, value: object, made_with: str) -> str:
    who = f"method {config.method}{made_with}"
    if group == "classify":
        who = f"method {config.method} with --classifier {config.classifier}{made_with}"
        do = "Have a classifier trained with `--classifier same` or a timm model"
    elif config.method == "spol" and group in ("cam", "pseudo", "instant"):
        do = f"Choose `--pseudo.masks {'cues' if group == 'instant' else 'thresholds'}`, which reads it"
    elif same := _same_option(config, group, name):
        do = f"Use {' and '.join(same)}"
    else:
        owners = [method for method in METHODS if any(name in options_read(one, group) for one in _of(config, method))]
        do = f"Choose `--method {owners[0]}`" if len(owners) < 3 else "Choose another `--method`"
        do += " and another --run" if made_with else ""
    return (
        f"{who} does not read {option(group, name)}: expected options of {_read(config)}, got {option(group, name)}"
        f" {value}. {do}, or leave it out."
    )


def _of(config: RunConfig, method: Method) -> list[RunConfig]:
    """The same of another method, with each kind of masks: what is read depends on both."""
    kinds = [Pseudo(masks=masks) for masks in get_args(Masks)]
    return [config.model_copy(update={"method": method, "pseudo": pseudo}) for pseudo in kinds]


def _read(config: RunConfig) -> str:
    """The groups that a run reads; of one that it reads in part, the options."""
    unread = options_unread(config)
    in_part = {group: ", ".join(options_read(config, group)).replace("_", "-") for group in GROUPS if unread[group]}
    return ", ".join(f"{group} ({in_part[group]})" if group in in_part else group for group in groups_of(config))


def _same_option(config: RunConfig, group: str, name: str) -> list[str]:
    """What it is called in the trainings of this method, if it is an option of a training."""
    if not isinstance(getattr(config, group), Training):
        return []
    read = [one for one in groups_of(config) if one != "classify" and isinstance(getattr(config, one), Training)]
    return [option(one, name) for one in read if name in options_read(config, one)]
