"""Yun et al. 2019, "CutMix": a patch of a training image is replaced by one of another image, and the labels are mixed.

x = M x_A + (1 - M) x_B, y = lambda y_A + (1 - lambda) y_B with lambda from Beta(alpha, alpha) (Eq. 1). The mask M is 0
in a box with uniformly sampled centre, whose width and height are W and H times sqrt(1 - lambda) (Eq. 2). The box is
clipped to the image, and lambda becomes the fraction of pixels that M keeps. Everything else is as in `cam`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wsol.config.methods import CutMix
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods import cam
from wsol.methods.base import Plan, load_model, of_labels, train_network
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.progress import Progress

Edges = tuple[int, int, int, int]
"""x0, y0, x1, y1, half-open."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier of mixed images."""
    settings = config.cutmix

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return mixed_loss(network, images, labels, settings)

    train_network(Plan(cam.build, of_labels(data, loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, cam.build, cam.forward)


def mixed_loss(network: nn.Module, images: Tensor, labels: Tensor, settings: CutMix) -> Tensor:
    """Cross entropy with both labels, weighted by their fractions. The batch is mixed with a permutation of itself."""
    if torch.rand(()) >= settings.probability:
        return cam.loss(network, images, labels)
    fraction = float(torch.distributions.Beta(settings.alpha, settings.alpha).sample())
    height, width = images.shape[2:]
    centre = (int(torch.randint(width, ())), int(torch.randint(height, ())))
    box = cut_box(fraction, centre, (height, width))
    others = torch.randperm(len(images)).to(images.device)
    mixed, kept = pasted(images, images[others], box)
    logits = network(mixed).fused.mean((2, 3)).float()
    return kept * cross_entropy(logits, labels) + (1 - kept) * cross_entropy(logits, labels[others])


def cut_box(fraction: float, centre: tuple[int, int], image_hw: tuple[int, int]) -> Edges:
    """Eq. 2: the box that is replaced if a fraction of the image is kept."""
    (x, y), (height, width) = centre, image_hw
    half_width, half_height = (int(size * (1 - fraction) ** 0.5) // 2 for size in (width, height))
    return max(x - half_width, 0), max(y - half_height, 0), min(x + half_width, width), min(y + half_height, height)


def pasted(images: Tensor, others: Tensor, box: Edges) -> tuple[Tensor, float]:
    """The images with the box replaced by that of `others`, and the fraction of their own pixels."""
    x0, y0, x1, y1 = box
    mixed = images.clone()
    mixed[:, :, y0:y1, x0:x1] = others[:, :, y0:y1, x0:x1]
    return mixed, 1 - (x1 - x0) * (y1 - y0) / (images.shape[2] * images.shape[3])
