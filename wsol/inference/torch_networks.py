"""A run's networks in PyTorch: the method's finds; the classifier, or a network of class maps, names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn

from wsol.config.methods import MethodSpec
from wsol.data.images import middle
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import ImageThreshold, brought
from wsol.inference.outputs import Outputs
from wsol.methods.table import METHODS
from wsol.models.checkpoint import ClassifierConfig, MffConfig, load_classifier, load_mffnet
from wsol.models.folding import fold
from wsol.models.forward import cam_probabilities, classifier_probabilities, run_model, score_maps
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.engine import Engine

Squares = UInt8[np.ndarray, "batch 3 side side"]
Labels = Int64[np.ndarray, " batch"]


@dataclass(frozen=True)
class ClassifierModel:
    """The stand-alone classifier, or stage 1 in its place."""

    network: nn.Module
    model_config: MffConfig | ClassifierConfig

    def probabilities(self, pixels: Tensor, engine: Engine) -> Float[Tensor, "batch classes"]:
        """How probable each class is for each image."""
        if isinstance(self.model_config, ClassifierConfig):
            return classifier_probabilities(self.network, self.model_config, pixels, engine)
        assert isinstance(self.network, MffNet | OriginalCam)
        return cam_probabilities(self.network, score_maps(self.network, self.model_config, pixels, engine))


@dataclass(frozen=True)
class TorchNetworks:
    """Holds the networks of a run, placed on a device."""

    model: LocalizationModel
    classifier: ClassifierModel | None
    """What names beside the finder."""
    names_itself: bool
    """Whether the finder itself does."""
    engine: Engine
    spec: MethodSpec
    image_threshold: ImageThreshold | None = None
    """What brings the threshold of each image to that of the run."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.model.model_config.class_names

    @property
    def size_px(self) -> int:
        """The larger of what the two networks take."""
        return max(self.model.model_config.resize_px, self.classifier.model_config.resize_px if self.classifier else 0)

    @property
    def has_maps(self) -> bool:
        """Whether the finder makes heatmaps, not boxes."""
        return self.spec.has_maps

    def outputs(self, pixels: Squares, labels: Labels | None = None) -> Outputs:
        """What the networks say before any threshold. Of a method whose maps are of classes, those of the `labels`.

        Without labels they are of the classes that the images are named, or of those that the finder thinks most
        probable.
        """
        batch = torch.from_numpy(pixels)
        named = self.classifier.probabilities(batch, self.engine) if self.classifier else None
        wanted = named.argmax(1) if labels is None and named is not None else _tensor(labels)
        found = run_model(self.model, batch, self.engine, wanted)
        if self.names_itself:
            named = found.probabilities
        probabilities = None if named is None else named.cpu().numpy()
        if found.heatmaps is None:
            return Outputs(None, probabilities, None if found.boxes is None else found.boxes.cpu().numpy())
        colours = [*map(colours_of, pixels)]
        heatmaps = brought(self.image_threshold, found.heatmaps.cpu().numpy(), colours)
        return Outputs(heatmaps, probabilities, colours=colours)

    def heatmaps(
        self, pixels: Squares, margin_fraction: float = 0.0, labels: Labels | None = None
    ) -> Float32[np.ndarray, "batch height width"]:
        """The probability of being foreground per place; with a margin, of the middle of the images alone."""
        batch = torch.from_numpy(pixels)
        heatmaps = run_model(self.model, batch, self.engine, _tensor(labels), margin_fraction=margin_fraction).heatmaps
        assert heatmaps is not None, "has_maps is False"
        colours = map(colours_of, middle(pixels, margin_fraction))
        return brought(self.image_threshold, heatmaps.cpu().numpy(), colours)


def _tensor(labels: Labels | None) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels)


def load_networks(run: Run, engine: Engine, *, is_folded: bool = False) -> TorchNetworks:
    """The networks of a finished run; folded ones are faster, and no longer what an exporter can take apart.

    Raises:
        WsolError: an unfinished run.
    """
    model = METHODS[run.config.method].load(run)
    engine.place(model.network)
    classifier = _load_classifier(run, engine)
    if is_folded:
        if not run.spec.uses_gradients:  # of what folding jumps over
            fold(model.network, model.network.modules(), model.model_config.resize_px)
        if classifier is not None:
            fold(classifier.network, classifier.network.modules(), classifier.model_config.resize_px)
    return TorchNetworks(model, classifier, run.names_itself, engine, run.spec, run.image_threshold)


def _load_classifier(run: Run, engine: Engine) -> ClassifierModel | None:
    """What names the boxes beside the network that localizes; None where that one does, or none does."""
    folder = run.classifier_folder
    if folder is None:
        return None
    network, model_config = load_mffnet(folder) if run.config.classifier == "localizer" else load_classifier(folder)
    return ClassifierModel(engine.place(network), model_config)
