"""Networks on disk: they are loaded as they were saved, or the error says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file

from wsol.config.base import Fusion
from wsol.errors import WsolError
from wsol.models.backbone import whole_model
from wsol.models.checkpoint import (
    ClassifierConfig,
    MethodConfig,
    MffConfig,
    build,
    load_classifier,
    load_mffnet,
    read_model_config,
    save,
)

COMMON: dict[str, Any] = {
    "backbone": "test_resnet",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.2, 0.2),
    "resize_px": 64,
    "class_names": ("owl", "Käuzchen 梟", "raw \udcff"),
}
CLASSIFIER = ClassifierConfig(**COMMON)


def mff_config(**changes: Any) -> MffConfig:
    values = {"outputs": 3, "fusion": "multiply", "levels": 3, "attention": True, "auxiliary": True}
    return MffConfig(**(COMMON | values | changes))


def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved MFF-Net."""
    folder = tmp_path / "run" / "cam"
    folder.mkdir(parents=True)
    model_config = mff_config()
    save(folder, build(model_config), model_config)
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        *({"fusion": fusion} for fusion in get_args(Fusion)),
        {"levels": 1},
        {"levels": 4, "attention": False},
        {"outputs": 1, "auxiliary": False},
    ],
    ids=str,
)
@torch.inference_mode()
def test_a_loaded_mffnet_has_the_same_outputs(tmp_path: Path, changes: dict[str, Any]) -> None:
    model_config = mff_config(**changes)
    network = build(model_config)
    network.train()
    network(images())  # updates its batch norms
    save(tmp_path, network, model_config)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    torch.manual_seed(99)
    loaded, read = load_mffnet(tmp_path)
    assert read == model_config
    assert not loaded.training
    network.eval()
    for before, after in zip(network(images()), loaded(images()), strict=True):
        assert (before is None and after is None) or torch.equal(before, after)


@torch.inference_mode()
def test_a_loaded_classifier_has_the_same_outputs(tmp_path: Path) -> None:
    network = whole_model("test_resnet", 3, None).to(memory_format=torch.channels_last)
    save(tmp_path, network, CLASSIFIER)
    loaded, read = load_classifier(tmp_path)
    assert read == CLASSIFIER
    torch.testing.assert_close(loaded(images()), network.eval()(images()))


def test_pretrained_weights_of_the_backbone_are_used(tmp_path: Path) -> None:
    state = whole_model("test_resnet", 1000, None).state_dict()
    network = build(mff_config(), state)
    assert all(
        torch.equal(value, state[name.removeprefix("backbone.")])
        for name, value in network.state_dict().items()
        if name.startswith("backbone.")
    )


@pytest.mark.parametrize("absent", ["model.json", "model.safetensors"])
def test_the_error_about_an_absent_checkpoint_says_how_to_make_it(folder: Path, absent: str) -> None:
    (folder / absent).unlink()
    with pytest.raises(
        WsolError, match=rf"no checkpoint in {folder}: expected .*`wsol fit DATA --run {folder.parent}`"
    ):
        load_mffnet(folder)


def rewritten(**changes: Any) -> Callable[[Path], object]:
    """Change the configuration on disk."""

    def rewrite(folder: Path) -> None:
        values = json.loads((folder / "model.json").read_text(errors="surrogateescape"))
        (folder / "model.json").write_text(json.dumps(values | changes))

    return rewrite


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


DAMAGE: list[Any] = [
    pytest.param(rewritten(version=2), "made by a newer wsol: expected schema 1", id="of a later version"),
    pytest.param(rewritten(version=None), "has no schema that wsol", id="without version"),
    pytest.param(rewritten(kind="classifier"), "is not a MffConfig", id="a configuration of another kind"),
    pytest.param(rewritten(surprise=1), "is not a MffConfig", id="an unknown key"),
    pytest.param(rewritten(fusion="blend"), "is not a MffConfig", id="an unknown fusion"),
    pytest.param(rewritten(backbone="resnet5O"), "Did you mean resnet50", id="an unknown backbone"),
    pytest.param(rewritten(outputs=10**9), "is not a MffConfig", id="outputs beyond any memory"),
    pytest.param(rewritten(levels=9), "is not a MffConfig", id="too many levels"),
    pytest.param(rewritten(std=(0, 0, 0)), "is not a MffConfig", id="a deviation of zero"),
    pytest.param(rewritten(mean=(0.5,)), "is not a MffConfig", id="a mean of one channel"),
    pytest.param(rewritten(outputs=1), "of another network", id="weights of other outputs"),
    pytest.param(rewritten(outputs=4), "is not a MffConfig", id="more outputs than classes"),
    pytest.param(rewritten(levels=2), "of another network", id="weights of more levels"),
    pytest.param(lambda folder: (folder / "model.json").write_text("{"), "is not JSON", id="half a configuration"),
    pytest.param(lambda folder: (folder / "model.json").write_text("[]"), "model.json", id="a list"),
    pytest.param(cut, "is damaged", id="half the weights"),
    pytest.param(lambda folder: (folder / "model.safetensors").write_bytes(b""), "is damaged", id="no weights"),
    pytest.param(
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x02pickle" * 99), "is damaged", id="a pickle"
    ),
    pytest.param(
        lambda folder: save_file({"a": torch.zeros(1)}, folder / "model.safetensors"),
        "of another network",
        id="weights of another program",
    ),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_the_error_about_a_damaged_checkpoint_says_what_to_do(
    folder: Path, damage: Callable[[Path], object], words: str
) -> None:
    damage(folder)
    with pytest.raises(WsolError) as raised:
        load_mffnet(folder)
    assert words in str(raised.value)
    assert any(advice in str(raised.value) for advice in ("again", "Remove", "Did you mean", "Upgrade"))


def test_each_loader_refuses_the_checkpoint_of_the_other(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(WsolError, match="is not a ClassifierConfig"):
        load_classifier(folder)
    save(tmp_path, whole_model("test_resnet", 3, None), CLASSIFIER)
    with pytest.raises(WsolError, match="is not a MffConfig"):
        load_mffnet(tmp_path)


def test_a_network_that_changed_since_an_older_version_is_refused(tmp_path: Path) -> None:
    older = {"version": 1, "kind": "method", "options": {}, "output_stride": 16, "backbone": "resnet18"}
    older |= {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_px": 64, "class_names": ["beetle", "crane"]}
    (tmp_path / "model.safetensors").touch()

    def read(**more: str) -> MethodConfig:
        (tmp_path / "model.json").write_text(json.dumps(older | more))
        return read_model_config(tmp_path, MethodConfig)

    assert read(method="cam").feature == "stage"
    assert read(method="tap", feature="activation").feature == "activation"
    with pytest.raises(WsolError, match="older version"):
        read(method="tap")
