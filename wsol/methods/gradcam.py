"""Gradient CAMs of the library `grad-cam` (Gildenblat et al. 2021) on the network of `cam`: `--method gradcam:NAME`.

All names share one trained classifier, so a finished run can use another name without training. The library computes
the map of a class from the last stage's features and their gradients, or, for Score-CAM, from the scores of images
masked by the features.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsol.config.base import GradCam
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods import cam
from wsol.methods.base import Plan, level_modules, load_model, of_labels, train_network
from wsol.models.checkpoint import MethodConfig
from wsol.models.mffnet import OriginalCam
from wsol.models.outputs import LocalizationModel, ModelOutputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

CLASSES: dict[GradCam, str] = {
    "gradcam:gradcam": "GradCAM",
    "gradcam:gradcam++": "GradCAMPlusPlus",
    "gradcam:xgradcam": "XGradCAM",
    "gradcam:hirescam": "HiResCAM",
    "gradcam:layercam": "LayerCAM",
    "gradcam:scorecam": "ScoreCAM",
}
"""Class names in the library."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier.

    Raises:
        WsolError: the library is not installed.
    """
    _check_installed()
    train_network(Plan(cam.build, of_labels(data, cam.loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network, with the library's maps.

    Raises:
        WsolError: the library is not installed.
    """
    _check_installed()
    model, name = load_model(run.network_folder, cam.build, cam.forward), run.config.method
    network = model.network
    assert isinstance(network, OriginalCam)
    assert isinstance(model.model_config, MethodConfig)
    layer = level_modules(model.model_config, network.backbone)[-1]

    def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
        return library_outputs(CLASSES[name], network, layer, images, labels)  # type: ignore[index]

    return model._replace(forward=forward)


class Scores(nn.Module):
    """Wrapper that returns the class scores alone, as the library expects."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The mean of the maps."""
        scores: Tensor = self.network(images).fused.mean((2, 3))
        return scores


def library_outputs(
    name: str, network: nn.Module, layer: nn.Module, images: Tensor, labels: Tensor | None
) -> ModelOutputs:
    """The library's maps of the labels' classes, at the image size and min-max normalised."""
    import pytorch_grad_cam as library
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # The caller disables gradients and may use bf16; the library needs gradients and does not support bf16.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        inputs, scores = images.clone().float(), Scores(network)
        with torch.no_grad():
            logits = scores(inputs)
        wanted = logits.argmax(1) if labels is None else labels
        targets: list[Any] = [ClassifierOutputTarget(label) for label in wanted.tolist()]
        try:
            with getattr(library, name)(scores, [layer]) as maker:
                heatmaps = maker(inputs, targets)
        finally:
            network.zero_grad(set_to_none=True)
    return ModelOutputs(torch.from_numpy(heatmaps).to(images.device), None, logits.softmax(1))


def _check_installed() -> None:
    if find_spec("pytorch_grad_cam") is None:
        raise WsolError(
            "gradient CAMs need the library grad-cam",
            expected="the extra `gradcam`",
            remedy="Run `pip install 'wsol[gradcam]'`.",
        )
