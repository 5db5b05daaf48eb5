"""Yun et al. 2019, "CutMix": a patch of a training image comes from another, and so does a share of its label.

x = M x_A + (1 - M) x_B, y = lambda y_A + (1 - lambda) y_B with lambda from Beta(alpha, alpha) (Eq. 1). The mask M is 0
in a box whose middle is drawn uniformly and whose sides are W and H times sqrt(1 - lambda) (Eq. 2); what lies outside
of the image is cut off, and lambda is then the share of pixels that M keeps. The rest, and prediction, is `cam`.
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
    """Cross entropy with both labels, by their shares. The other images are those of the batch in another order."""
    if torch.rand(()) >= settings.probability:
        return cam.loss(network, images, labels)
    share = float(torch.distributions.Beta(settings.alpha, settings.alpha).sample())
    height, width = images.shape[2:]
    middle = (int(torch.randint(width, ())), int(torch.randint(height, ())))
    box = box_of(share, middle, (height, width))
    others = torch.randperm(len(images)).to(images.device)
    mixed, kept = pasted(images, images[others], box)
    logits = network(mixed).fused.mean((2, 3)).float()
    return kept * cross_entropy(logits, labels) + (1 - kept) * cross_entropy(logits, labels[others])


def box_of(share: float, middle: tuple[int, int], image_hw: tuple[int, int]) -> Edges:
    """Eq. 2: the box that is cut out where a share of the image is to stay."""
    (x, y), (height, width) = middle, image_hw
    half_width, half_height = (int(side * (1 - share) ** 0.5) // 2 for side in (width, height))
    return max(x - half_width, 0), max(y - half_height, 0), min(x + half_width, width), min(y + half_height, height)


def pasted(images: Tensor, others: Tensor, box: Edges) -> tuple[Tensor, float]:
    """The images with the box from others, and the share of their own pixels."""
    x0, y0, x1, y1 = box
    mixed = images.clone()
    mixed[:, :, y0:y1, x0:x1] = others[:, :, y0:y1, x0:x1]
    return mixed, 1 - (x1 - x0) * (y1 - y0) / (images.shape[2] * images.shape[3])
