"""What `--method` chooses, and the options that it excludes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from methods_quick import quick
from pydantic import ValidationError

import wsol
from wsol.cli.main import main
from wsol.config.base import Method, Recipe
from wsol.config.groups import groups_of, options_read
from wsol.config.methods import METHODS, Adl, Cam, MethodTraining
from wsol.config.options import Classify, RunConfig
from wsol.config.recipes import resolve
from wsol.errors import WsolError
from wsol.models.backbone import feature_pyramid
from wsol.runs.saved_config import load_config, preview, save_config
from wsol.storage.folders import write_text


@pytest.mark.parametrize("method", [method for method in get_args(Method) if method != "spol"])
def test_a_method_has_a_threshold_and_a_folder_of_its_own(method: Method) -> None:
    config = resolve(RunConfig(method=method))
    assert config.box.threshold is not None and METHODS[config.method].folder == method.split(":")[0]


@pytest.mark.parametrize("method", ["ddt", "psol"])
def test_a_network_without_class_scores_cannot_classify(method: Method) -> None:
    with pytest.raises(
        ValidationError, match=f"classifier localizer needs a network with class scores, {method}'s has none"
    ):
        resolve(RunConfig(method=method, classifier="localizer"))


def test_the_same_method_continues_with_the_saved_options_and_another_starts_from_the_recipe(
    tmp_path: Path, weights: Path
) -> None:
    save_config(tmp_path, quick("adl", weights, adl={"gamma": 0.8}))
    assert preview(tmp_path, RunConfig(method="adl")).adl.gamma == 0.8
    assert preview(tmp_path, None) == load_config(tmp_path)
    assert preview(tmp_path, RunConfig(method="tap")) == resolve(RunConfig(method="tap"))


BEGUN = {
    "finished": "ddt/manifest.json",
    "begun": ".ddt.partial/parts/0.npz",
    "of a training": ".ddt.partial/checkpoint.safetensors",
}


@pytest.mark.parametrize("file", BEGUN.values(), ids=BEGUN)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("--method cam", "expected the same method, got cam. Name another --run.", id="another method"),
        pytest.param(
            "--method psol",
            "expected the same method, got psol. Name another --run.",
            id="one that would take its network",
        ),
        pytest.param(
            "--recipe paper",
            "expected the same method, got spol. Name another --run, or add `--method ddt`.",
            id="the method of a recipe",
        ),
    ],
)
def test_a_run_belongs_to_the_method_that_started_a_network_in_it(
    file: str, words: str, expected: str, tmp_path: Path, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    save_config(run, resolve(RunConfig(method="ddt")))
    command = ["fit", str(class_folders), "--run", str(run), *words.split()]
    main([*command, "--dry-run"])  # a configuration alone does not reserve the run
    (run / file).parent.mkdir(parents=True)
    (run / file).touch()
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2 and f"error: {run} is a run of method ddt: {expected}" in capsys.readouterr().err
    with pytest.raises(WsolError, match="is a run of method ddt"):
        wsol.fit(class_folders, run, RunConfig(method="adl"))
    assert preview(run, None).method == preview(run, RunConfig(method="ddt")).method == "ddt"


def test_gradient_cams_share_a_run_and_a_classifier_serves_any_method(tmp_path: Path) -> None:
    for folder, first, then in (("gradcam", "gradcam:layercam", "gradcam:scorecam"), ("classifier", "spol", "psol")):
        run = tmp_path / folder
        save_config(run, resolve(RunConfig(method=first)))
        write_text(run / folder / "manifest.json", "{}")
        assert preview(run, RunConfig(method=then)) == resolve(RunConfig(method=then))
    with pytest.raises(WsolError, match="is a run of method gradcam:layercam"):
        preview(tmp_path / "gradcam", RunConfig(method="cam"))


def test_an_option_that_the_runs_method_does_not_read_is_refused_with_the_source_of_the_method(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    save_config(run, resolve(RunConfig(method="has")))
    message = (
        f"^method has, which {run} was made with, does not read --adl.gamma.* Choose `--method adl` and another --run"
    )
    with pytest.raises(WsolError, match=message):
        preview(run, RunConfig(adl=Adl(gamma=0.5)))
    message = f"^method has with --classifier localizer, which {run} was made with, does not read --classify.epochs"
    with pytest.raises(WsolError, match=message):
        preview(run, RunConfig(classify=Classify(epochs=50)))
    with pytest.raises(
        WsolError, match="^method has does not read --adl.gamma.* Choose `--method adl`, or leave it out"
    ):
        preview(run, RunConfig(method="has", adl=Adl(gamma=0.5)))


def test_a_misspelt_method_gets_a_list_of_methods(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["fit", str(tmp_path), "--run", str(tmp_path / "run"), "--method", "camm"])
    message = capsys.readouterr().err
    assert "camm" in message and "cam" in message and "adl" in message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("mobilenetv3_small_050", 16, id="a stride can be removed"),
        pytest.param("vgg11", 32, id="not supported by timm: the model's own stride"),
    ],
)
def test_the_last_map_has_the_requested_stride_if_the_model_supports_it(name: str, expected: int) -> None:
    assert feature_pyramid(name, 1, None, 16).feature_info.reduction() == [expected]


A_VALUE: dict[str, dict[str, Any]] = {
    **{group: {"epochs": 3} for group in ("cam", "seg", "classify", "training")},
    "pseudo": {"gaussian": "none"},
    "has": {"p_hide": 0.3},
    "cutmix": {"alpha": 0.3},
    **{group: {"width": 3} for group in ("acol", "spg", "psol", "gcnet")},
    "adl": {"gamma": 0.3},
    "i2c": {"gamma": 0.3},
    "ddt": {"images": "all"},
    "instant": {"sample": 3},
    "tap": {"percentile": 3},
    "box": {"objects": "all"},
}
"""One value of each group that is not a default."""


@pytest.mark.parametrize(
    ("method", "groups"),
    [
        ("spol", "image pseudo seg classify instant box"),
        ("cam", "image training box"),
        ("has", "image training has box"),
        ("instant", "image instant box"),
        ("ddt", "image training ddt box"),
        ("psol", "image classify training ddt psol"),
        ("gcnet", "image training gcnet box"),
        ("gradcam:layercam", "image training box"),
    ],
)
def test_the_groups_that_a_method_reads(method: Method, groups: str) -> None:
    assert " ".join(groups_of(resolve(RunConfig(method=method)))) == groups


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("classifier", ["same", "none"])
def test_an_option_is_refused_if_the_run_does_not_read_it(method: Method, classifier: str, tmp_path: Path) -> None:
    for group, values in A_VALUE.items():
        given = RunConfig.model_validate({"method": method, "classifier": classifier, group: values})
        if set(values) <= set(options_read(resolve(RunConfig(method=method, classifier=classifier)), group)):
            assert preview(tmp_path, given) == resolve(given)
        else:
            with pytest.raises(WsolError, match=f"^method {re.escape(method)}.* does not read --{group}[.].* or leave"):
                preview(tmp_path, given)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            "--method cam --cam.resize-px 96",
            "method cam does not read --cam.resize-px: expected options of image, training, box, got --cam.resize-px"
            " 96. Use --training.resize-px, or leave it out.",
            id="the group cam is SPOL's stage 1",
        ),
        pytest.param(
            "--training.resize-px 96", "Use --seg.resize-px, or leave it out.", id="the group training is not SPOL's"
        ),
        pytest.param(
            "--training.output-stride 8",
            "Choose another `--method`, or leave it out.",
            id="an option of all other methods",
        ),
        pytest.param("--method has --adl.gamma 0.5", "Choose `--method adl`, or leave it out.", id="another method's"),
        pytest.param(
            "--method psol --box.threshold 0.3",
            "method psol does not read --box.threshold: expected options of image, classify, training, ddt, psol, got"
            " --box.threshold 0.3. Choose another `--method`",
            id="no maps, no threshold",
        ),
        pytest.param(
            "--method ddt --training.epochs 3",
            "method ddt does not read --training.epochs: expected options of image, training (resize-px, crop-px,"
            " output-stride, feature), ddt, box, got --training.epochs 3. Choose another `--method`, or leave it out.",
            id="a method that does not train",
        ),
        pytest.param(
            "--method ddt --cam.epochs 3",
            "got --cam.epochs 3. Choose `--method spol`, or leave it out.",
            id="the suggestion does not read it either",
        ),
        pytest.param(
            "--method ddt --cam.resize-px 96", "Use --training.resize-px, or leave it out.", id="the image size"
        ),
        pytest.param(
            "--method ddt --epochs 2",
            "method ddt trains nothing: expected no --epochs, got --epochs 2. Choose another",
            id="epochs without a training",
        ),
        pytest.param(
            "--method ddt --freeze 2",
            "method ddt trains nothing: expected no --freeze, got --freeze 2. Choose another",
            id="frozen layers without a training",
        ),
        pytest.param("--freeze -1", "--freeze: expected at least 0, got -1", id="less than nothing"),
        pytest.param(
            "--method has --cam.fusion add", "Choose `--method spol`, or leave it out.", id="an option of MFF-Net alone"
        ),
        pytest.param(
            "--method cam --pseudo.gaussian none", "Choose `--method spol`, or leave it out.", id="a stage of SPOL's"
        ),
        pytest.param(
            "--classifier localizer --classify.epochs 3",
            "with --classifier localizer does not read --classify.epochs: expected options of image, cam, pseudo"
            " (masks), seg, instant, box, got",
            id="no separate classifier",
        ),
        pytest.param(
            "--cam.epochs 3",
            "got --cam.epochs 3. Choose `--pseudo.masks thresholds`, which reads it, or leave it out.",
            id="a stage that the default does not run",
        ),
        pytest.param(
            "--recipe paper --instant.sample 3",
            "Choose `--pseudo.masks cues`, which reads it",
            id="cues that the recipe paper does not use",
        ),
    ],
)
def test_an_option_that_is_not_read_is_refused_with_the_right_one(
    words: str, expected: str, class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fit", str(class_folders), "--run", str(tmp_path / "run"), *words.split(), "--dry-run"])
    assert stopped.value.code == 2 and expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "--pseudo.masks thresholds --pseudo.gaussian none",
        "--recipe paper --pseudo.gaussian contours",
        "--classifier localizer --cam.epochs 3",
        "--pseudo.masks thresholds --cam.epochs 3",
    ],
)
def test_an_option_is_accepted_together_with_the_value_that_needs_it(
    words: str, class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            "fit",
            str(class_folders),
            "--run",
            str(tmp_path / "run"),
            *words.split(),
            "--backbone",
            "tf_efficientnet_lite0",
            "--dry-run",
        ]
    )
    assert "pseudo" in capsys.readouterr().out


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("recipe", get_args(Recipe))
def test_a_whole_configuration_can_be_given_again(method: Method, recipe: Recipe, tmp_path: Path) -> None:
    config = resolve(RunConfig(method=method, recipe=recipe, backbone="tf_efficientnet_lite0"))
    assert preview(tmp_path, config) == config


def test_saved_options_that_are_not_read_can_be_given_again(tmp_path: Path) -> None:
    given = RunConfig(method="cam", cam=Cam(epochs=3))
    with pytest.raises(WsolError):
        preview(tmp_path, given)
    save_config(tmp_path, resolve(given))
    assert preview(tmp_path, given) == resolve(given)


def test_a_method_without_training_reads_the_image_size_and_stride(tmp_path: Path) -> None:
    method: Method = "ddt"
    seen = MethodTraining(resize_px=96, crop_px=96, output_stride=8)
    assert preview(tmp_path, RunConfig(method=method, training=seen)).training == seen
    for name, value in {
        "steps": 3,
        "batch_size": 2,
        "lr_new": 0.5,
        "weight_decay": 0.5,
        "batch_norm": "live",
    }.items():
        with pytest.raises(WsolError, match=f"^method {method} does not read --training.{name.replace('_', '-')}"):
            preview(tmp_path, RunConfig.model_validate({"method": method, "training": {name: value}}))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--freeze 1", {"seg": 1, "classify": 1, "cam": None, "training": None}),
        ("--freeze 0 --seg.freeze 3", {"seg": 3, "classify": 0, "cam": None, "training": None}),
        (
            "--recipe paper --backbone tf_efficientnet_lite0 --freeze 2",
            {"seg": 2, "classify": 2, "cam": 2, "training": None},
        ),
        ("--method has --freeze 2", {"seg": None, "classify": None, "cam": None, "training": 2}),
    ],
)
def test_freeze_applies_to_every_training_of_the_method(
    words: str, expected: dict[str, int | None], class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fit", str(class_folders), "--run", str(tmp_path / "run"), *words.split(), "--dry-run"])
    shown = RunConfig.model_validate(yaml.safe_load(capsys.readouterr().out))
    assert {group: getattr(shown, group).freeze for group in expected} == expected


@pytest.mark.parametrize("method", [method for method in get_args(Method) if method not in ("instant", "ddt")])
def test_epochs_apply_to_every_training_of_the_method(
    method: Method, class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fit", str(class_folders), "--run", str(tmp_path / "run"), "--method", method, "--epochs", "3", "--dry-run"])
    shown = RunConfig.model_validate(yaml.safe_load(capsys.readouterr().out))
    before, read = resolve(RunConfig(method=method)), groups_of(shown)
    for group in ("cam", "seg", "classify", "training"):
        assert getattr(shown, group).epochs == (3 if group in read else getattr(before, group).epochs)
