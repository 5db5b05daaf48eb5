"""What `--method` chooses, and what it does not go with."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from methods_quick import quick
from pydantic import ValidationError

from wsol.cli import main
from wsol.config import Method, RunConfig, finder_folder, resolve
from wsol.models.backbone import feature_pyramid
from wsol.run_config import load_config, preview, save_config


@pytest.mark.parametrize("method", [method for method in get_args(Method) if method != "spol"])
def test_a_method_has_a_threshold_and_a_folder_of_its_own(method: Method) -> None:
    config = resolve(RunConfig(method=method))
    assert config.box.threshold is not None and finder_folder(config) == method.split(":")[0]


@pytest.mark.parametrize("method", ["ddt", "psol"])
def test_a_network_that_knows_no_classes_cannot_name(method: Method) -> None:
    with pytest.raises(
        ValidationError, match=f"classifier cam needs a network that knows the classes, {method}'s does not"
    ):
        resolve(RunConfig(method=method, classifier="cam"))


def test_the_same_method_goes_on_with_what_the_run_remembers_and_another_starts_anew(
    tmp_path: Path, weights: Path
) -> None:
    save_config(tmp_path, quick("adl", weights, adl={"gamma": 0.8}))
    assert preview(tmp_path, RunConfig(method="adl")).adl.gamma == 0.8
    assert preview(tmp_path, None) == load_config(tmp_path)
    assert preview(tmp_path, RunConfig(method="tap")) == resolve(RunConfig(method="tap"))


def test_a_misspelt_method_is_told_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["fit", str(tmp_path), "--run", str(tmp_path / "run"), "--method", "camm"])
    said = capsys.readouterr().err
    assert "camm" in said and "cam" in said and "adl" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("mobilenetv3_small_050", 16, id="a stride can be removed"),
        pytest.param("vgg11", 32, id="timm does not know how: its own"),
    ],
)
def test_the_last_map_has_the_stride_that_is_asked_for_where_the_model_can(name: str, expected: int) -> None:
    assert feature_pyramid(name, 1, None, 16).feature_info.reduction() == [expected]
