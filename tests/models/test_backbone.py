"""Pretrained timm models: every weight is loaded, or the error says why not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wsol import open_data
from wsol.data.loader import ImageLoader, in_order
from wsol.errors import WsolError
from wsol.models.backbone import check_name, check_sizes, feature_pyramid, normalisation, pretrained_state, whole_model
from wsol.models.weights import BUNDLED, WHEELS, wheel_file

TINY = "test_resnet"
"""timm's own model for tests, a third of a megabyte."""


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """Weights as another program would save them."""
    torch.manual_seed(1)
    state: dict[str, Tensor] = timm.create_model(TINY).state_dict()
    return state


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


SAVED: list[Any] = [
    pytest.param("a.safetensors", save_file, id="safetensors"),
    pytest.param("a.pth", torch.save, id="a plain state dict"),
    pytest.param("a.bin", torch.save, id="whatever the suffix"),
    pytest.param(
        "a.pth",
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        id="as old torch saved it",
    ),
    pytest.param(
        "a.pth", lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path), id="in a state_dict"
    ),
    pytest.param("a.pth", lambda state, path: torch.save({"model": state}, path), id="in a model"),
    pytest.param(
        "a.pth",
        lambda state, path: torch.save({f"module.{name}": value for name, value in state.items()}, path),
        id="from DataParallel",
    ),
    pytest.param(
        "a.safetensors",
        lambda state, path: save_file({f"module.{name}": value for name, value in state.items()}, path),
        id="from DataParallel, safetensors",
    ),
    pytest.param(
        "a.pth",
        lambda state, path: torch.save(
            {name: nn.Parameter(value) if value.is_floating_point() else value for name, value in state.items()}, path
        ),
        id="as parameters",
    ),
]


@pytest.mark.parametrize(("name", "save"), SAVED)
def test_weights_are_read_from_files_in_all_common_forms(
    tmp_path: Path, published: dict[str, Tensor], name: str, save: Callable[[dict[str, Tensor], Path], None]
) -> None:
    save(published, tmp_path / name)
    assert equal(dict(pretrained_state(TINY, tmp_path / name)), published)


def test_a_head_of_other_classes_is_replaced_and_everything_else_kept(
    tmp_path: Path, published: dict[str, Tensor]
) -> None:
    torch.save(
        timm.create_model(TINY, num_classes=7).state_dict()
        | {name: value for name, value in published.items() if not name.startswith("fc.")},
        tmp_path / "a.pth",
    )
    state = pretrained_state(TINY, tmp_path / "a.pth")
    assert state["fc.weight"].shape == published["fc.weight"].shape
    assert all(torch.equal(state[name], value) for name, value in published.items() if not name.startswith("fc."))


def test_a_pyramid_and_a_classifier_use_all_weights_of_the_state(published: dict[str, Tensor]) -> None:
    pyramid, model = feature_pyramid(TINY, 3, published), whole_model(TINY, 5, published)
    assert len(pyramid.state_dict()) > 80
    assert all(torch.equal(value, published[name]) for name, value in pyramid.state_dict().items())
    assert all(
        torch.equal(value, published[name]) for name, value in model.state_dict().items() if not name.startswith("fc.")
    )
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_without_a_state_weights_are_random() -> None:
    torch.manual_seed(0)
    one, other = feature_pyramid(TINY, 1, None), feature_pyramid(TINY, 1, None)
    assert not equal(one.state_dict(), other.state_dict())


def test_weights_of_another_network_are_refused(tmp_path: Path, published: dict[str, Tensor]) -> None:
    for name, state in {
        "other": timm.create_model("test_convnext").state_dict(),
        "part": dict(list(published.items())[:40]),
        "empty": {},
    }.items():
        torch.save(state, tmp_path / f"{name}.pth")
        with pytest.raises(WsolError, match=rf"{name}\.pth does not fit test_resnet.*first: .*--backbone"):
            pretrained_state(TINY, tmp_path / f"{name}.pth")


class Attack:
    """Runs code when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_runs_code_is_refused_unread(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"weight": Attack(canary)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Attack(canary)))
    torch.save(nn.Linear(1, 1), tmp_path / "c.pth")
    for name in "abc":
        with pytest.raises(WsolError, match="Nothing else is unpickled"):
            pretrained_state(TINY, tmp_path / f"{name}.pth")
    assert not canary.exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>404</html>", id="an error page"),
        pytest.param(b"hello world\n", id="text"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", id="a git-lfs pointer"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="a broken archive"),
    ],
)
def test_files_without_weights_are_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(WsolError, match=rf"cannot read weights from .*a\.{suffix}"):
        pretrained_state(TINY, tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 1, "net": {"a": torch.zeros(1)}}, {"state_dict": 3}])
def test_other_objects_than_a_state_dict_are_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(WsolError, match=r"not a state dict.*Save `model\.state_dict\(\)`"):
        pretrained_state(TINY, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "words"),
    [("resnet5O", "Did you mean resnet50"), ("xyzzy-1-2-3", "Check the name"), ("", "Check the name")],
)
def test_the_error_about_an_unknown_name_has_the_most_similar_one(name: str, words: str) -> None:
    for call in (
        check_name,
        lambda name: feature_pyramid(name, 3, None),
        lambda name: whole_model(name, 2, None),
        lambda name: pretrained_state(name, None),
    ):
        with pytest.raises(WsolError, match=words) as raised:
            call(name)
        assert repr(name) in str(raised.value)


def test_a_name_may_have_a_weights_tag() -> None:
    check_name("resnet50.a1_in1k")
    with pytest.raises(WsolError, match="no_such_tag"):
        feature_pyramid("resnet50.no_such_tag", 3, None)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_efficientnet",
        "test_convnext",
        "test_nfnet",
        pytest.param("test_mambaout"),
    ],
)
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_a_pyramid_returns_the_last_levels_shallowest_first_with_the_stated_shapes(name: str, levels: int) -> None:
    pyramid: Any = feature_pyramid(name, levels, None).eval()
    with torch.inference_mode():
        features = pyramid(torch.zeros(1, 3, 64, 64))
    strides = pyramid.feature_info.reduction()
    assert strides == [4, 8, 16, 32][-levels:]
    assert [tuple(level.shape) for level in features] == [
        (1, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(pyramid.feature_info.channels(), strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "patch_px", "size_px"),
    [
        pytest.param("test_vit", 16, 224, id="a ViT with another size than its 160 pixels"),
        pytest.param("vit_tiny_patch16_224", 16, 256, id="a ViT on the larger images of prediction"),
        pytest.param("vit_small_patch14_dinov2", 14, 252, id="DINOv2, of 518 pixels"),
    ],
)
def test_levels_of_a_transformer_have_one_resolution(name: str, patch_px: int, size_px: int) -> None:
    pyramid: Any = feature_pyramid(name, 3, None).eval()
    with torch.inference_mode():
        features = pyramid(torch.zeros(1, 3, size_px, size_px))
    assert pyramid.feature_info.reduction() == [patch_px] * 3
    assert {level.shape[2:] for level in features} == {(size_px // patch_px, size_px // patch_px)}


def test_a_swin_accepts_other_sizes_than_its_own() -> None:
    pyramid: Any = feature_pyramid("swin_tiny_patch4_window7_224", 2, None).eval()
    with torch.inference_mode():
        features = pyramid(torch.zeros(1, 3, 256, 256))
    assert [tuple(level.shape) for level in features] == [(1, 384, 16, 16), (1, 768, 8, 8)]


@pytest.mark.parametrize(
    "build", [lambda name: feature_pyramid(name, 3, None), lambda name: whole_model(name, 2, None)]
)
def test_the_error_about_an_image_size_suggests_one_that_is_accepted(build: Callable[[str], nn.Module]) -> None:
    network = build("test_vit").train()
    check_sizes("test_vit", network, (160, 224))
    assert network.training
    with pytest.raises(WsolError, match=r"test_vit does not accept .*250 x 250 .*divisible.*240 .*resize-px"):
        check_sizes("test_vit", network, (224, 250))


def test_convolutions_accept_any_size() -> None:
    check_sizes(TINY, feature_pyramid(TINY, 3, None), (33, 64, 97))


def test_too_many_levels_are_refused() -> None:
    with pytest.raises(WsolError, match="9 feature levels.*fewer levels"):
        feature_pyramid(TINY, 9, None)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        (BUNDLED, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("resnet50", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("resnet50.a1_in1k", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_pixels_are_normalised_as_the_backbone_was_pretrained(
    name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    assert normalisation(name) == (mean, std)


@pytest.mark.skipif(None in map(find_spec, WHEELS.values()), reason="wsol[backbones] is not installed")
@pytest.mark.parametrize("name", WHEELS)
def test_the_weights_of_a_wheel_fill_every_tensor_of_their_backbone(name: str) -> None:
    state = pretrained_state(name, None)
    own = timm.create_model(name).state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: value.shape for name, value in own.items()}
    wheel = torch.load(wheel_file(name), map_location="cpu", weights_only=True)
    sums = sorted(
        float(value.double().sum()) for name, value in wheel.items() if not name.endswith("num_batches_tracked")
    )
    assert (
        sorted(float(value.double().sum()) for name, value in state.items() if not name.endswith("num_batches_tracked"))
        == sums
    )
    pyramid = feature_pyramid(name, 3, state)
    assert all(torch.equal(value, state[name]) for name, value in pyramid.state_dict().items())


@pytest.mark.skipif(None in map(find_spec, WHEELS.values()), reason="wsol[backbones] is not installed")
@pytest.mark.parametrize("name", WHEELS)
def test_with_the_weights_of_a_wheel_a_backbone_classifies_correctly(name: str, cub30: Path) -> None:
    # Tensors of equal shape in a wrong order would pass every other test.
    named = {"014.Indigo_Bunting": 14, "001.Black_footed_Albatross": 146}  # the labels of ImageNet
    model = timm.create_model(name)
    model.load_state_dict(dict(pretrained_state(name, None)))
    data = open_data(cub30)
    samples = [one for one in data.test if data.class_names[one.label] in named][::6]
    batch = next(iter(ImageLoader([one.path for one in samples], 224).batches(in_order(len(samples), len(samples)))))
    with torch.inference_mode():
        found = model.eval()(torch.from_numpy(batch.pixels) / 127.5 - 1).argmax(1).tolist()
    right = sum(one == named[data.class_names[sample.label]] for one, sample in zip(found, samples, strict=True))
    assert len(samples) >= 8 and right >= 0.8 * len(samples)


def test_the_error_about_a_failed_download_says_what_else_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / f"models--timm--{TINY}.r160_in1k").mkdir()
    with pytest.raises(WsolError, match=f"weights for {TINY} .*hub.*--weights FILE"):
        pretrained_state(TINY, None)
