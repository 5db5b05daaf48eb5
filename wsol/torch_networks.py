"""A run's networks in PyTorch: stage 3 finds, the classifier or stage 1 names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from wsol.engine import Engine
from wsol.inference import cam_probabilities, classifier_probabilities, foreground, score_maps
from wsol.models.checkpoint import ClassifierCard, MffCard, load_classifier, load_mffnet
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.opinions import Opinions
from wsol.run_config import load_config


@dataclass(frozen=True)
class Namer:
    """The stand-alone classifier, or stage 1 in its place."""

    network: nn.Module
    card: MffCard | ClassifierCard

    def probabilities(
        self, pixels: UInt8[Tensor, "batch 3 side side"], engine: Engine
    ) -> Float[Tensor, "batch classes"]:
        """How probable each class is for each picture."""
        if isinstance(self.card, ClassifierCard):
            return classifier_probabilities(self.network, self.card, pixels, engine)
        assert isinstance(self.network, MffNet | OriginalCam)
        return cam_probabilities(self.network, score_maps(self.network, self.card, pixels, engine))


@dataclass(frozen=True)
class TorchNetworks:
    """Holds the networks of a run, placed on a device."""

    network: MffNet | OriginalCam
    card: MffCard
    namer: Namer | None
    engine: Engine

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.card.class_names

    @property
    def side_px(self) -> int:
        """The larger of what the two networks take."""
        return max(self.card.resize_px, self.namer.card.resize_px if self.namer else 0)

    def opinions(self, pixels: UInt8[Tensor, "batch 3 side side"]) -> Opinions:
        """What the networks say before any threshold."""
        return Opinions(
            self.heatmaps(pixels), self.namer.probabilities(pixels, self.engine).cpu() if self.namer else None
        )

    def heatmaps(
        self, pixels: UInt8[Tensor, "batch 3 side side"], margin_share: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """The probability of being foreground per place; with a margin, of the middle of the pictures alone."""
        scores = score_maps(self.network, self.card, pixels, self.engine, margin_share=margin_share)
        return foreground(scores).cpu().numpy()


def load_networks(run: Path, engine: Engine) -> TorchNetworks:
    """The networks of a finished run.

    Raises:
        WsolError: not a run, or an unfinished one.
    """
    classifier = load_config(run).classifier
    network, card = load_mffnet(run / "seg")
    return TorchNetworks(engine.place(network), card, _load_namer(run, classifier, engine), engine)


def _load_namer(run: Path, classifier: str, engine: Engine) -> Namer | None:
    """What names the boxes of a run; None where it goes without."""
    if classifier == "none":
        return None
    network, card = load_mffnet(run / "cam") if classifier == "cam" else load_classifier(run / "classifier")
    return Namer(engine.place(network), card)
