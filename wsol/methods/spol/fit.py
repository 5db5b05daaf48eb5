"""Wei et al. 2021, "Shallow Feature Matters for Weakly Supervised Object Localization": class maps, pseudo masks,
segmentation.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from wsol.config.groups import first_networks
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods.spol import make_pseudo, train_cam, train_seg
from wsol.models.checkpoint import load_mffnet
from wsol.models.forward import foreground
from wsol.models.mffnet import ScoreMaps
from wsol.models.outputs import LocalizationModel, ModelOutputs
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Train stages 1 to 3; stage 1 only if pseudo masks or class names come from it."""
    if "cam" in first_networks(config):
        train_cam.train(data, run, config, progress)
    make_pseudo.make(data, run, config, progress)
    train_seg.train(data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The network of stage 3."""
    return LocalizationModel(*load_mffnet(run.network_folder), forward)


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The class-agnostic foreground probability of each position."""
    scores: ScoreMaps = network(images)
    return ModelOutputs(foreground(ScoreMaps(scores.fused.float(), None)), None, None)
