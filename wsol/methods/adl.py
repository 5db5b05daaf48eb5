"""Choe & Shim 2019, "Attention-based Dropout Layer" (ADL): in training, features are weighted by attention, or dropped
where attention is highest.

The attention of a position is the mean of its channels, M_att (sec. 3). At each step an ADL multiplies the features
either by the drop mask, which is 0 where M_att is above gamma times its maximum (with probability drop_rate), or by the
importance map, the sigmoid of M_att. An ADL follows each of the last stages. It is off at prediction, which is that of
`cam`. As in the paper, features are not negative: if a stage does not end in a ReLU, the ADL follows the next
activation, the last one the feature map that the class layer reads.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from wsol.config.methods import Adl
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.methods import cam
from wsol.methods.base import Plan, last_stage, level_modules, load_model, of_labels, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.features import FeatureLevels, rectified_modules
from wsol.models.mffnet import OriginalCam, ScoreMaps
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train as a classifier with ADLs in the backbone."""
    train_network(Plan(build, of_labels(data, cam.loss)), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The trained network."""
    return load_model(run.network_folder, build, cam.forward)


class AttentionDropout(nn.Module):
    """An ADL on the output of another module."""

    def __init__(self, options: Adl) -> None:
        super().__init__()
        self.drop_rate = options.drop_rate
        self.gamma = options.gamma

    def forward(self, features: Tensor) -> Tensor:
        """The features multiplied by one of the two masks; unchanged at prediction."""
        if not self.training:
            return features
        attention = features.relu().mean(1, keepdim=True)  # some activations have small negative values
        is_dropping = bool(torch.rand(()) < self.drop_rate)
        return features * (drop_mask(attention, self.gamma) if is_dropping else attention.sigmoid())

    def hook(self, module: nn.Module, inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        """Forward hook that replaces the output of another module."""
        if features.dim() != 4:
            raise WsolError(
                "adl needs stages that output feature maps",
                expected="a convolutional network",
                got=f"{type(module).__name__} with {features.dim()} dimensions",
                remedy="Choose another `--backbone`, or another method.",
            )
        result: Tensor = self(features)
        return result


def drop_mask(attention: Tensor, gamma: float) -> Tensor:
    """0 at the positions of highest attention, 1 elsewhere."""
    return (attention <= gamma * attention.amax((2, 3), keepdim=True)).to(attention)


class AdlNetwork(nn.Module):
    """The network of `cam` with ADLs."""

    def __init__(self, network: OriginalCam, modules: list[nn.Module], options: Adl) -> None:
        super().__init__()
        self.backbone, self.class_layer = network.backbone, network.class_layer
        self.layers = nn.ModuleList(AttentionDropout(options) for _ in modules)
        for module, layer in zip(modules, self.layers, strict=True):
            assert isinstance(layer, AttentionDropout)
            module.register_forward_hook(layer.hook, prepend=True)  # before the hook that keeps the feature map

    def forward(self, images: Tensor) -> ScoreMaps:
        """The maps."""
        return ScoreMaps(self.class_layer(self.backbone(images)[-1]), None)


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network."""
    options = Adl.model_validate(model_config.options)
    backbone, channels = last_stage(model_config, state, options.stages)
    network = OriginalCam(backbone, [channels], len(model_config.class_names))
    modules = level_modules(model_config, backbone)
    if isinstance(backbone, FeatureLevels):
        modules = rectified_modules(backbone, modules)
    # The feature map that is read may be that of an earlier stage.
    return AdlNetwork(network, [*dict.fromkeys(modules)], options)
