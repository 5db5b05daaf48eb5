"""A run's networks in PyTorch: the localization network, and the classifier if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn

from wsol.config.methods import MethodSpec
from wsol.data.images import middle
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import ImageThreshold, brought
from wsol.inference.multi_label import divided, labels_present
from wsol.inference.no_object import labels_of, predicted_empty, without_objects
from wsol.inference.outputs import Heatmap, Outputs
from wsol.methods.table import METHODS
from wsol.models.checkpoint import ClassifierConfig, MffConfig, load_classifier, load_mffnet
from wsol.models.folding import fold
from wsol.models.forward import (
    Evidence,
    cam_probabilities,
    classifier_evidence,
    classifier_probabilities,
    run_model,
    score_maps,
)
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.engine import Engine

Squares = UInt8[np.ndarray, "batch 3 size size"]
Labels = Int64[np.ndarray, " batch"]


@dataclass(frozen=True)
class ClassifierModel:
    """A network for class probabilities: a separate classifier, or stage 1."""

    network: nn.Module
    model_config: MffConfig | ClassifierConfig

    def probabilities(self, pixels: Tensor, engine: Engine) -> Float[Tensor, "batch classes"]:
        """The class probabilities of each image."""
        if isinstance(self.model_config, ClassifierConfig):
            return classifier_probabilities(self.network, self.model_config, pixels, engine)
        assert isinstance(self.network, MffNet | OriginalCam)
        scores = score_maps(self.network, self.model_config, pixels, engine)
        return cam_probabilities(self.network, self.model_config, scores)

    def evidence(self, pixels: Tensor, engine: Engine, *, margin_fraction: float = 0.0) -> Evidence:
        """The class probabilities of each image, and the class scores of each position.

        Raises:
            WsolError: a classifier without a feature map.
        """
        margin = margin_fraction
        if isinstance(self.model_config, ClassifierConfig):
            return classifier_evidence(self.network, self.model_config, pixels, engine, margin_fraction=margin)
        assert isinstance(self.network, MffNet | OriginalCam)
        scores = score_maps(self.network, self.model_config, pixels, engine, margin_fraction=margin)
        return Evidence(cam_probabilities(self.network, self.model_config, scores), scores.fused)


@dataclass(frozen=True)
class TorchNetworks:
    """The networks of a run on a device."""

    model: LocalizationModel
    classifier: ClassifierModel | None
    """The network for class probabilities, if it is not the localization network."""
    names_itself: bool
    """Whether class probabilities come from the localization network."""
    engine: Engine
    spec: MethodSpec
    image_threshold: ImageThreshold | None = None
    """Shifts each heatmap so that the image's own threshold becomes that of the run."""
    no_object: frozenset[int] = frozenset()
    """Labels of the classes whose images contain no object."""
    is_emptied_by_class: bool = False
    """Whether nothing is found in an image whose predicted class is one of those."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.model.model_config.class_names

    @property
    def size_px(self) -> int:
        """The larger input size of the networks in pixels."""
        return max(self.model.model_config.resize_px, self.classifier.model_config.resize_px if self.classifier else 0)

    @property
    def is_multi_label(self) -> bool:
        """Whether an image may have several classes, each with a map of its own."""
        if self.classifier is not None:
            return self.classifier.model_config.multi_label
        return self.names_itself and self.model.model_config.multi_label

    @property
    def has_maps(self) -> bool:
        """Whether the localization network computes heatmaps, not boxes."""
        return self.spec.has_maps

    def outputs(self, pixels: Squares, labels: Labels | None = None) -> Outputs:
        """Compute the networks' outputs, before any threshold.

        Args:
            pixels: RGB squares of `size_px`.
            labels: classes of the maps, for a method with class maps; by default the predicted classes.
        """
        if self.is_multi_label:
            return self._emptied(self._of_several_classes(pixels, labels), labels)
        batch = torch.from_numpy(pixels)
        probabilities = self.classifier.probabilities(batch, self.engine) if self.classifier else None
        wanted = probabilities.argmax(1) if labels is None and probabilities is not None else _tensor(labels)
        outputs = run_model(self.model, batch, self.engine, wanted)
        if self.names_itself:
            probabilities = outputs.probabilities
        classes = None if probabilities is None else probabilities.cpu().numpy()
        if outputs.heatmaps is None:
            boxes = None if outputs.boxes is None else outputs.boxes.cpu().numpy()
            return self._emptied(Outputs(None, classes, boxes), labels)
        colours = [*map(colours_of, pixels)]
        heatmaps = brought(self.image_threshold, outputs.heatmaps.cpu().numpy(), colours)
        return self._emptied(Outputs(heatmaps, classes, colours=colours), labels)

    def _of_several_classes(self, pixels: Squares, labels: Labels | None, margin_fraction: float = 0.0) -> Outputs:
        """The outputs with a map of each class in an image; `heatmaps` are those of `labels`, or of all classes."""
        batch, margin = torch.from_numpy(pixels), margin_fraction
        evidence = self.classifier.evidence(batch, self.engine, margin_fraction=margin) if self.classifier else None
        first = run_model(self.model, batch, self.engine, _tensor(labels), margin_fraction=margin)
        probabilities = first.probabilities if evidence is None else evidence.probabilities
        assert probabilities is not None
        classes = probabilities.cpu().numpy()
        present = labels_present(classes, self.no_object)
        if labels is not None:
            present = [list(dict.fromkeys((*own, int(label)))) for own, label in zip(present, labels, strict=True)]
        colours = [*map(colours_of, middle(pixels, margin))]
        if self.spec.output == "maps" and self.spec.needs_labels:
            of_classes = self._class_maps(batch, present, margin)
        else:
            assert evidence is not None and first.heatmaps is not None
            heatmaps = brought(self.image_threshold, first.heatmaps.cpu().numpy(), colours)
            of_classes = [*map(divided, heatmaps, evidence.maps.cpu().numpy(), present)]
        if labels is None:
            shown = np.stack([np.maximum.reduce([*own.values()]) for own in of_classes])
        else:
            shown = np.stack([own[int(label)] for own, label in zip(of_classes, labels, strict=True)])
        return Outputs(shown, classes, colours=colours, of_classes=of_classes)

    def _class_maps(self, batch: Tensor, present: list[list[int]], margin: float) -> list[Mapping[int, Heatmap]]:
        """The maps of a method with class maps: one run of the network for the first class of each image, and so on."""
        found: list[dict[int, Heatmap]] = [{} for _ in present]
        for number in range(max(map(len, present))):
            wanted = [own[min(number, len(own) - 1)] for own in present]
            maps = run_model(self.model, batch, self.engine, torch.tensor(wanted), margin_fraction=margin).heatmaps
            assert maps is not None
            for own, label, heatmap in zip(found, wanted, maps.cpu().numpy(), strict=True):
                own[label] = heatmap
        return [*found]

    def _emptied(self, outputs: Outputs, labels: Labels | None) -> Outputs:
        """Remove what was found in images whose predicted class has no object, unless their given class has one."""
        if not self.is_emptied_by_class or outputs.probabilities is None:
            return outputs
        is_empty = predicted_empty(outputs.probabilities, self.no_object)
        if labels is not None:
            is_empty &= np.isin(labels, [*self.no_object])
        return without_objects(outputs, is_empty)

    def heatmaps(
        self, pixels: Squares, margin_fraction: float = 0.0, labels: Labels | None = None
    ) -> Float32[np.ndarray, "batch height width"]:
        """Compute foreground probabilities.

        Args:
            pixels: RGB squares of `size_px`.
            margin_fraction: fraction of the image size to cut off at each edge.
            labels: classes of the maps, for a method with class maps; by default the most probable ones.
        """
        if self.is_multi_label:
            several = self._of_several_classes(pixels, labels, margin_fraction).heatmaps
            assert several is not None
            return several
        batch = torch.from_numpy(pixels)
        heatmaps = run_model(self.model, batch, self.engine, _tensor(labels), margin_fraction=margin_fraction).heatmaps
        assert heatmaps is not None, "has_maps is False"
        colours = map(colours_of, middle(pixels, margin_fraction))
        return brought(self.image_threshold, heatmaps.cpu().numpy(), colours)


def _tensor(labels: Labels | None) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels)


def load_networks(run: Run, engine: Engine, *, is_folded: bool = False) -> TorchNetworks:
    """Load the networks of a finished run.

    Args:
        run: the run.
        engine: device and precision.
        is_folded: whether batch norms are folded, which is faster; folded networks cannot be exported.

    Raises:
        WsolError: the run is unfinished.
    """
    model = METHODS[run.config.method].load(run)
    engine.place(model.network)
    classifier = _load_classifier(run, engine)
    if is_folded:
        if not run.spec.uses_gradients:  # folding skips modules whose gradients are needed
            fold(model.network, model.network.modules(), model.model_config.resize_px)
        if classifier is not None:
            fold(classifier.network, classifier.network.modules(), classifier.model_config.resize_px)
    return TorchNetworks(
        model,
        classifier,
        run.names_itself,
        engine,
        run.spec,
        run.image_threshold,
        labels_of(run.no_object(model.model_config.class_names), model.model_config.class_names),
        run.is_emptied_by_class,
    )


def _load_classifier(run: Run, engine: Engine) -> ClassifierModel | None:
    """The network for class probabilities; None if there are none, or they come from the localization network."""
    folder = run.classifier_folder
    if folder is None:
        return None
    network, model_config = load_mffnet(folder) if run.config.classifier == "localizer" else load_classifier(folder)
    return ClassifierModel(engine.place(network), model_config)
