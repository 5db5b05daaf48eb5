"""Recipes against the table in spec/spol.md, overrides, and the code behind each choice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from wsol.config.base import Auxiliary, Config, Fusion, Gaussian, Method, Recipe, Training
from wsol.config.messages import as_error
from wsol.config.methods import METHODS, Seg
from wsol.config.options import RunConfig
from wsol.config.recipes import NETWORKS, RECIPES, resolve
from wsol.errors import WsolError
from wsol.methods.spol.gaussian_prior import GAUSSIANS_PER_IMAGE
from wsol.methods.spol.losses import CLASS_LOSSES
from wsol.methods.table import METHODS as FITTED
from wsol.models.mffnet import FUSIONS
from wsol.runs.saved_config import load_config, preview, save_config
from wsol.storage.folders import flat

ALL = get_args(Recipe)


def resolved(recipe: str, **over: Any) -> dict[str, Any]:
    """The recipe's values by dotted name."""
    return flat(resolve(RunConfig.model_validate({"recipe": recipe, **over})).model_dump())


# "Common to both", and MFF-Net's own section.
COMMON = {
    "backbone": "resnet50.tv_in1k",
    "cam.fusion": "multiply",
    "cam.levels": 3,
    "cam.attention": True,
    "seg.fusion": "multiply",
    "seg.levels": 3,
    "seg.attention": True,
    "cam.momentum": 0.9,
    "seg.momentum": 0.9,
    "cam.weight_decay": 1e-4,
    "seg.weight_decay": 1e-4,
    "cam.resize_px": 256,
    "cam.crop_px": 224,
    "seg.resize_px": 256,
    "seg.crop_px": 224,
    "cam.least_steps": 0,
    "seg.least_steps": 0,
    "cam.lr_backbone": 0.002,
    "cam.lr_new": 0.02,
    "seg.lr_new": 0.02,
    "pseudo.thresholding": True,
    "pseudo.masks": "thresholds",
    "seg.scale": 1,
    "cam.freeze": 0,
    "seg.freeze": 0,
    "classify.freeze": 0,
    "box.objects": "largest",
}
PAPER = {
    "cam.auxiliary": "joint",
    "pseudo.gaussian": "entire",
    "pseudo.gaussian_divisor": 1,
    "pseudo.gaussian_foreground": 0.7,
    "pseudo.foreground": 0.5,
    "pseudo.background": 0.004,
    "seg.lr_backbone": 0.002,
    "classifier": "densenet161.tv_in1k",
}
RELEASED = {
    "pseudo.gaussian": "contours",
    "pseudo.gaussian_divisor": 10,
    "pseudo.gaussian_foreground": 0.25,
    "pseudo.foreground": 0.25,
    "pseudo.background": 0.01,
    "seg.lr_backbone": 0.02,
    "classifier": "tf_efficientnet_b7.aa_in1k",
    "classify.resize_px": 685,
    "classify.crop_px": 600,
}
SPEC: dict[str, dict[str, Any]] = {
    "paper": PAPER | {"cam.epochs": 32, "seg.epochs": 32, "cam.batch_size": 64, "seg.batch_size": 128},
    "paper-imagenet": PAPER | {"cam.epochs": 6, "seg.epochs": 6, "cam.batch_size": 128, "seg.batch_size": 128},
    "released": (
        RELEASED
        | {
            "cam.auxiliary": "distil",
            "cam.epochs": 32,
            "seg.epochs": 8,
            "cam.batch_size": 64,
            "seg.batch_size": 128,
            "classify.epochs": 20,
            "classify.batch_size": 16,
            "classify.rates": "linear",
            "classify.lr_new": 0.05,
            "classify.lr_backbone": 0.005,
            "box.threshold": 0.2,
        }
    ),
    "released-imagenet": (
        RELEASED
        | {
            "cam.auxiliary": "none",
            "cam.steps": 6000,
            "seg.steps": 6000,
            "classify.epochs": 0,
            "cam.batch_size": 128,
            "seg.batch_size": 128,
            "box.threshold": 0.8,
        }
    ),
}


@pytest.mark.parametrize("recipe", SPEC)
def test_a_recipe_selects_the_values_of_its_column(recipe: str) -> None:
    values = resolved(recipe)
    expected = COMMON | SPEC[recipe]
    assert {name: values[name] for name in expected} == expected


def test_the_default_recipe_is_the_defaults() -> None:
    assert resolve(RunConfig()) == RunConfig()


@pytest.mark.parametrize("recipe", ALL)
def test_resolving_twice_changes_nothing(recipe: str) -> None:
    once = resolve(RunConfig.model_validate({"recipe": recipe, "cam": {"epochs": 3}}))
    assert resolve(once) == once


def leaves(kind: type[Config], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and annotations of all single values."""
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        elif name not in ("recipe", "method"):
            yield prefix + name, field.annotation


LEAVES = dict(leaves(RunConfig))


def another(name: str, value: Any) -> Any:
    """A value that fits the field, is not `value`, and contradicts no other of the recipe."""
    annotation = LEAVES[name]
    if name.endswith("output_stride"):
        return {8: 16, 16: 32, 32: 8}[value]
    if get_origin(annotation) is Literal:
        return next(word for word in get_args(annotation) if word != value)
    if get_origin(annotation) is not None and Path in get_args(annotation):
        return Path("other.safetensors")
    if value is None:
        return {"box.threshold": 0.7, "no_object": "good", "columns": "label=kind"}.get(name, 7)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "1%,99%" if name == "image.window" else "other"
    if name.endswith("crop_px"):
        return 200
    return value + 1 if isinstance(value, int) else value * 0.75


def nested(name: str, value: Any) -> dict[str, Any]:
    """`a.b = 1` as `{"a": {"b": 1}}`."""
    head, _, tail = name.partition(".")
    return {head: nested(tail, value)} if tail else {head: value}


@pytest.mark.parametrize("recipe", ALL)
def test_any_single_value_of_a_recipe_can_be_overridden(recipe: str) -> None:
    before = resolved(recipe)
    for name in LEAVES.keys() - {"backbone"}:
        chosen = another(name, before[name])
        after = resolved(recipe, **nested(name, chosen))
        group, _, last = name.rpartition(".")
        exact = {f"{group}.least_steps": 0} if last in ("epochs", "steps") else {}
        assert after == before | exact | flat({name: chosen}), name


def test_given_epochs_are_used_exactly_unless_least_steps_are_given_too(tmp_path: Path) -> None:
    assert resolved("wsol")["cam.least_steps"] > 0 and resolved("wsol")["seg.least_steps"] > 0
    both = {"cam": {"epochs": 2, "least_steps": 9}, "seg": {"steps": 3}}
    assert [resolved("wsol", **both)[f"{group}.least_steps"] for group in ("cam", "seg")] == [9, 0]
    save_config(tmp_path, resolve(RunConfig()))
    again = preview(tmp_path, RunConfig(seg=Seg(epochs=2)))
    assert (again.seg.least_steps, again.cam.least_steps) == (0, RunConfig().cam.least_steps)


@pytest.mark.parametrize(
    ("recipe", "name", "value"),
    [
        pytest.param("paper", "pseudo.background", 0.4, id="below the paper's foreground, above the default's"),
        pytest.param("released", "classify.crop_px", 500, id="within the released 685 px, above the default 256"),
    ],
)
def test_an_override_is_checked_against_the_recipes_other_values(recipe: str, name: str, value: float) -> None:
    assert resolved(recipe, **nested(name, value))[name] == value


@pytest.mark.parametrize(
    ("recipe", "over"),
    [
        pytest.param("wsol", {"pseudo": {"background": 0.5}}, id="background above foreground"),
        pytest.param("paper", {"pseudo": {"foreground": 0.003}}, id="foreground below the recipe's background"),
        pytest.param("wsol", {"cam": {"crop_px": 300}}, id="crop larger than the image"),
        pytest.param("released", {"classify": {"resize_px": 256}}, id="image smaller than the recipe's crop"),
    ],
)
def test_values_that_contradict_each_other_are_refused(recipe: str, over: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be at most"):
        resolved(recipe, **over)


@pytest.mark.parametrize("value", ["nonsense", "-1.5", []], ids=repr)
def test_an_error_about_a_wrong_value_has_all_fields(value: Any) -> None:
    for name in LEAVES:
        try:
            RunConfig.model_validate(nested(name, value))
        except ValidationError as error:
            wrong = as_error(error)
            assert (wrong.problem, wrong.got) == (f"--{name.replace('_', '-')}", str(value))
            assert wrong.expected and "`wsol fit --help`" in str(wrong.remedy)
            pydantics = ("Input", "Value error", "validation", "pars", "string", "integer")
            assert not any(word in str(wrong) for word in pydantics), wrong
        else:
            assert isinstance(value, str), "names and paths are strings"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            {"method": "has", "training": {"resize_px": 96}},
            "--training.crop-px: expected at most --training.resize-px, got 224 > 96. Set --training.crop-px to 96 or"
            " less, or --training.resize-px to 224 or more.",
            id="a value that contradicts another",
        ),
        pytest.param({"recipe": "papers"}, "Did you mean paper?", id="a misspelt word"),
        pytest.param(
            {"method": "ddt", "classifier": "localizer"}, "ddt's has none: expected same, none, or a", id="of no group"
        ),
        pytest.param({"cam": {"epocs": 3}}, "no option --cam.epocs (value 3)", id="a misspelt option"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        resolve(RunConfig.model_validate(values))
    assert expected in str(as_error(wrong.value))


def test_contradicting_values_raise_a_wsol_error_in_python_too(tmp_path: Path) -> None:
    with pytest.raises(WsolError) as wrong:
        preview(tmp_path, RunConfig(seg=Seg(resize_px=96)))
    assert (wrong.value.problem, wrong.value.got) == ("--seg.crop-px", "224 > 96")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("cam: {epochs: none}", "--cam.epochs: expected a whole number, got none.", id="a wrong value"),
        pytest.param("cam: {", "expected what `wsol fit` wrote", id="no YAML"),
        pytest.param("", "expected ", id="empty"),
        pytest.param("cam: &a {}\nseg: *a", "a reference", id="references"),
        pytest.param("seed: 1\n" + "#" * 100_000, "more than 100000 bytes", id="very long"),
        pytest.param('weights: "a\\uD800"', "surrogates", id="half a character"),
        pytest.param("seed: 0x" + "F" * 5000, "digits", id="a number of 5,000 digits"),
        pytest.param("seed: 2001-01-01", "date", id="a date"),
    ],
)
def test_a_damaged_configuration_of_a_run_is_reported(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "config.yaml").write_text(f"schema: 3\n{content}" if content else "")
    with pytest.raises(WsolError) as wrong:
        load_config(tmp_path)
    message = str(wrong.value)
    assert message.startswith(f"{tmp_path / 'config.yaml'} cannot be used") and expected in message
    assert "Restore it, or make another run." in message and "validation" not in message and "\n" not in message


def test_a_configuration_states_its_schema(tmp_path: Path) -> None:
    config = resolve(RunConfig(seed=3))
    save_config(tmp_path, config)
    text = (tmp_path / "config.yaml").read_text()
    assert text.startswith("schema: 3\n")
    assert load_config(tmp_path) == config
    (tmp_path / "config.yaml").write_text("schema: 4\nmodel: of a new kind\n")
    with pytest.raises(WsolError, match="made by a newer wsol: expected schema 3, .* got schema 4. Upgrade"):
        load_config(tmp_path)


@pytest.mark.parametrize("schema", ["", "schema: 1\n", "schema: 2\n"])
def test_a_run_of_an_older_schema_is_refused_with_what_to_do(schema: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"{schema}seed: 3\nclassifier: cam\n")
    with pytest.raises(WsolError, match="made by an older wsol: expected schema 3") as refused:
        load_config(tmp_path)
    assert refused.value.remedy is not None and "wsol fit" in refused.value.remedy


@pytest.mark.parametrize("recipe", ALL)
def test_another_backbone_replaces_the_recipes_classifier_too(recipe: str) -> None:
    own, named = resolved(recipe), resolved(recipe, backbone="mobilenetv3_small_100")
    changed = {name for name in own if own[name] != named[name]}
    assert (named["backbone"], named["classifier"], named["classify.resize_px"], named["classify.crop_px"]) == (
        "mobilenetv3_small_100",
        "same",
        256,
        224,
    )
    assert changed <= {"backbone", "classifier", "classify.resize_px", "classify.crop_px"}


def test_a_given_classifier_is_kept_with_a_given_backbone() -> None:
    assert resolved("paper", backbone="resnet18", classifier="resnet34")["classifier"] == "resnet34"


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"backbon": "resnet50"}, id="misspelt name"),
        pytest.param({"cam": {"epoch": 3}}, id="misspelt name in a group"),
        pytest.param({"recipe": "papers"}, id="unknown recipe"),
        pytest.param({"cam": {"fusion": "mul"}}, id="unknown fusion"),
        pytest.param({"cam": {"levels": 0}}, id="no level"),
        pytest.param({"cam": {"levels": 5}}, id="five levels"),
        pytest.param({"seg": {"auxiliary": "joint"}}, id="stage 3 has no auxiliary loss"),
        pytest.param({"cam": {"epochs": 0}}, id="no epoch"),
        pytest.param({"cam": {"lr_new": -1}}, id="negative rate"),
        pytest.param({"pseudo": {"gaussian_divisor": 0}}, id="division by zero"),
        pytest.param({"box": {"threshold": 1.5}}, id="threshold above one"),
        pytest.param({"box": {"threshold": float("nan")}}, id="threshold not a number"),
        pytest.param({"seed": -1}, id="negative seed"),
    ],
)
def test_invalid_values_are_refused_at_construction(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate(values)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().seed = 1  # type: ignore[misc]


def test_every_option_has_a_description() -> None:
    groups = {name: value for name, value in RunConfig() if isinstance(value, Config)}
    kinds = {RunConfig, Training} | {type(group) for group in groups.values()}
    bare = {
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, field in kind.model_fields.items()
        if not field.description
    }
    assert bare == {f"RunConfig.{name}" for name in groups}, "groups are described by their classes"
    assert all(kind.__doc__ and kind.__doc__ != Config.__doc__ for kind in kinds)


@pytest.mark.parametrize(
    ("literal", "table"),
    [
        pytest.param(Fusion, FUSIONS, id="fusion"),
        pytest.param(Auxiliary, CLASS_LOSSES, id="auxiliary loss"),
        pytest.param(Gaussian, GAUSSIANS_PER_IMAGE, id="gaussian"),
        pytest.param(Recipe, RECIPES, id="recipe"),
        pytest.param(Recipe, NETWORKS, id="networks of a recipe"),
        pytest.param(Method, FITTED, id="method"),
        pytest.param(Method, METHODS, id="values of a method"),
    ],
)
def test_every_word_of_a_choice_has_its_code(literal: Any, table: dict[str, Any]) -> None:
    assert set(get_args(literal)) == set(table)
