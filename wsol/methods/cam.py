"""Zhou et al. 2016, "Learning Deep Features for Discriminative Localization": class activation maps.

A linear layer on the spatial mean of the last stage's features gives the class scores S_c = sum_k w_k^c F_k (sec. 2).
The same layer at each position gives the map M_c(x, y) = sum_k w_k^c f_k(x, y) (Eq. 2), whose mean is S_c.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.base import Plan, last_stage, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.class_scores import class_loss, class_probabilities
from wsol.models.mffnet import OriginalCam
from wsol.models.outputs import LocalizationModel, ModelOutputs, class_outputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier."""
    train_network(Plan(build, of_labels(data, loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    model = load_model(run.network_folder, build, forward)
    return model._replace(forward=forward_multi_label) if model.model_config.multi_label else model


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network; its outputs are the maps."""
    backbone, channels = last_stage(model_config, state)
    return OriginalCam(backbone, [channels], len(model_config.class_names))


def loss(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of S and the label, or the binary cross entropy of each class if images have several."""
    return class_loss(network(images).fused.mean((2, 3)).float(), targets)


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """M of the label's class."""
    maps = network(images).fused
    return class_outputs(maps, maps.mean((2, 3)), labels)


def forward_multi_label(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """M of the label's class, and the probability of each class to be one of the image's."""
    maps = network(images).fused
    logits = maps.mean((2, 3))
    outputs = class_outputs(maps, logits, labels)
    return outputs._replace(probabilities=class_probabilities(logits.float(), multi_label=True))
