"""`--classify.epochs 0`: SPOL's released code uses an ImageNet classifier without training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from fake_data.images import write_image
from quick import Cli
from safetensors.torch import save_file

from wsol.errors import WsolError
from wsol.models.backbone import pretrained_classifier, pretrained_state, whole_model
from wsol.models.checkpoint import load_classifier
from wsol.models.weights import BUNDLED

WNIDS = {"n01443537": 1, "n02123045": 281, "n01558993": 15}
"""Goldfish, tabby, robin: their labels in ImageNet-1K."""
SMALL = ["--classify.resize-px", "64", "--classify.crop-px", "56", "--precision", "fp32", "--workers", "0"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for wnid in WNIDS:
        for number in range(2):
            write_image(tmp_path / "data" / wnid / f"{number}.jpg")
    return tmp_path / "data"


def test_the_released_recipe_classifies_as_the_pretrained_network_does(cli: Cli, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    quick = [
        word
        for stage in ("cam", "seg")
        for word in (
            f"--{stage}.steps",
            "1",
            f"--{stage}.batch-size",
            "2",
            f"--{stage}.resize-px",
            "64",
            f"--{stage}.crop-px",
            "56",
        )
    ]
    words = ["fit", data, "--run", run, "--recipe", "released-imagenet", "--backbone", BUNDLED, *quick, *SMALL]
    assert cli(*words) == 0
    network, card = load_classifier(run / "classifier")
    assert card.class_names == tuple(sorted(WNIDS))
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        found = network.eval()(images).softmax(1)
        whole = whole_model(BUNDLED, 1000, pretrained_state(BUNDLED, None)).eval()(images)
    expected = whole[:, [WNIDS[wnid] for wnid in card.class_names]].softmax(1)
    torch.testing.assert_close(found, expected)
    before = (run / "classifier" / "model.safetensors").stat().st_mtime_ns
    assert cli(*words) == 0 and (run / "classifier" / "model.safetensors").stat().st_mtime_ns == before
    assert cli("predict", run, data, "--out", tmp_path / "out") == 0
    line = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])
    assert {name for name, _ in line["top5"]} == set(WNIDS)
    assert cli("report", run, data) == 0


def test_other_classes_than_imagenets_are_refused_before_anything_is_written(
    cli: Cli, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "n01443537").rename(data / "goldfish")
    assert cli("train-classifier", data, "--run", tmp_path / "run", "--classify.epochs", "0", *SMALL) == 2
    message = capsys.readouterr().err
    assert "'goldfish'" in message and "ImageNet-1K" in message and "--classify.epochs 6" in message
    assert not (tmp_path / "run" / "classifier").exists()


def test_weights_without_a_last_layer_are_refused(
    cli: Cli, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {name: value for name, value in timm.create_model("test_resnet").state_dict().items() if "fc" not in name}
    save_file(state, tmp_path / "a.safetensors")
    words = ["train-classifier", data, "--run", tmp_path / "run", "--classify.epochs", "0", *SMALL]
    assert cli(*words, "--classifier", "test_resnet", "--classifier-weights", tmp_path / "a.safetensors") == 2
    assert "has no last layer that fits test_resnet" in capsys.readouterr().err


def test_a_network_of_other_classes_is_refused_since_its_head_would_be_random() -> None:
    state = timm.create_model("test_resnet", num_classes=1000).state_dict()
    assert pretrained_classifier("test_resnet", list(WNIDS), state).get_classifier().out_features == 3
    config = replace(timm.get_pretrained_cfg("test_resnet"), num_classes=21841)
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(WsolError, match="test_resnet cannot be used without training"),
    ):
        patch.setattr(timm, "get_pretrained_cfg", lambda name: config)
        pretrained_classifier("test_resnet", list(WNIDS), state)
