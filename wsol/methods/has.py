"""Singh & Lee 2017, "Hide-and-Seek": patches of a training image are hidden, so that the network learns more than the
most discriminative part.

The image is divided into squares of S x S pixels. At each step each square is hidden with probability p_hide: it gets
the mean pixel of the data, so that the mean of the activations does not change (sec. 3.1 and 3.2). In a normalised
image the mean pixel is 0. Everything else, also prediction on whole images, is as in `cam`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods import cam
from wsol.methods.base import Plan, load_model, of_labels, train_network
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier of images with hidden patches."""
    settings = config.has

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return cam.loss(network, hidden(images, settings.patch_px, settings.p_hide), labels)

    train_network(Plan(cam.build, of_labels(data, loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, cam.build, cam.forward)


def hidden(images: Tensor, patch_px: int, p_hide: float) -> Tensor:
    """Set random patches of each image to 0; those at the right and lower edge may be smaller."""
    batch, _, height, width = images.shape
    rows, columns = -(-height // patch_px), -(-width // patch_px)
    is_shown = torch.rand(batch, 1, rows, columns) >= p_hide
    pixels = is_shown.repeat_interleave(patch_px, 2).repeat_interleave(patch_px, 3)[:, :, :height, :width]
    return images * pixels.to(images)
