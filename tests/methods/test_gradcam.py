"""The library's maps against equations; and the error if the library is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from methods_quick import small_config

from wsol.config.base import GradCam
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.methods import cam, gradcam
from wsol.models.backbone import stage_modules
from wsol.models.mffnet import OriginalCam
from wsol.runs.run import Run


@pytest.fixture(scope="module")
def network() -> OriginalCam:
    torch.manual_seed(0)
    built = cam.build(small_config("cam"), None).eval()
    assert isinstance(built, OriginalCam)
    built.class_layer.weight.data *= 1e8  # untrained features are so small that the library's 1e-7 shows
    return built


def normalised(heatmap: np.ndarray) -> np.ndarray:
    """The positive part at the image size, min-max normalised."""
    fine = cv2.resize(np.maximum(heatmap, 0), (64, 64))
    return (fine - fine.min()) / (fine - fine.min()).max()


def test_grad_cam_of_a_linear_layer_over_means_is_the_cam_without_its_bias(network: OriginalCam) -> None:
    """Selvaraju et al. 2017, sec. 3: Grad-CAM generalises CAM, its weights are the layer's."""
    layer = stage_modules(small_config("cam").backbone, network.backbone)[-1]
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([2, 0])
    with torch.inference_mode():
        outputs = gradcam.library_outputs("GradCAM", network, layer, images, labels)
        maps = network(images).fused - network.class_layer.bias[None, :, None, None]
    assert outputs.heatmaps is not None and outputs.probabilities is not None
    for i, label in enumerate(labels.tolist()):
        np.testing.assert_allclose(outputs.heatmaps[i].numpy(), normalised(maps[i, label].numpy()), atol=1e-4)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not layer._forward_hooks


@pytest.mark.parametrize("method", get_args(GradCam))
def test_every_name_is_one_of_the_librarys_and_gives_a_map(network: OriginalCam, method: GradCam) -> None:
    layer = stage_modules(small_config("cam").backbone, network.backbone)[-1]
    with torch.inference_mode():
        outputs = gradcam.library_outputs(gradcam.CLASSES[method], network, layer, torch.rand(2, 3, 64, 64), None)
    assert outputs.heatmaps is not None and outputs.heatmaps.shape == (2, 64, 64)
    assert outputs.heatmaps.min() >= 0 and outputs.heatmaps.max() <= 1 and outputs.heatmaps.std() > 0


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gradcam, "find_spec", lambda name: None)
    with pytest.raises(WsolError, match=r"need the library grad-cam: expected .* Run `pip install 'wsol\[gradcam\]'`"):
        gradcam.load(Run(tmp_path, RunConfig(method="gradcam:gradcam")))
