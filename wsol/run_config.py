"""The configuration that a run folder remembers."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from wsol.config import RESOLVED, RunConfig, merged, resolve
from wsol.errors import WsolError
from wsol.folders import write_text
from wsol.wrong_values import told

FILE = "config.yaml"


def to_yaml(config: RunConfig) -> str:
    """The resolved configuration as text."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def save_config(run: Path, config: RunConfig) -> None:
    """Remember the configuration with the run."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / FILE, to_yaml(config))


def load_config(run: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        WsolError: not a run folder, or its configuration is damaged.
    """
    path = run / FILE
    if not path.is_file():
        raise WsolError(
            f"{run} is not a run: expected {FILE} in it. Make one with `wsol fit DATA --run {run}`, or name another run."
        )
    try:
        return RunConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WsolError(
            f"{path} cannot be used ({error}): expected what `wsol fit` wrote. Restore it, or make another run."
        ) from None
    except ValidationError as error:
        raise WsolError(f"{path} cannot be used: {told(error)} Restore it, or make another run.") from None


def preview(run: Path, given: RunConfig | None) -> RunConfig:
    """The configuration for a stage: what the run remembers, changed by what was set on `given`.

    A run that remembers nothing starts from the recipe. Naming a recipe, or another method, starts from the recipe again.

    Raises:
        WsolError: what the run remembers is damaged, or values do not go together.
    """
    try:
        return _together(run, given or RunConfig())
    except ValidationError as error:
        raise WsolError(told(error)) from None


def _together(run: Path, given: RunConfig) -> RunConfig:
    if (run / FILE).is_file() and "recipe" not in given.model_fields_set:
        remembered = load_config(run)
        if "method" not in given.model_fields_set or given.method == remembered.method:
            values = merged(remembered.model_dump(), given.model_dump(exclude_unset=True))
            return RunConfig.model_validate(values, context=RESOLVED)
    return resolve(given)
