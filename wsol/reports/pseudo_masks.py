"""How the pseudo mask of an image is made: the map, the Gaussian prior, and the rule that cuts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.geometry.objects import resized
from wsol.methods.spol import cues
from wsol.methods.spol.gaussian_prior import fit_gaussians, render, targets
from wsol.methods.spol.mask_store import upsampled
from wsol.models.checkpoint import MffConfig, load_mffnet
from wsol.models.forward import Squares, class_maps, score_maps
from wsol.models.levels import level_scores, recorded_levels
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.models.outputs import Heatmaps, LocalizationModel, fraction_of_peak
from wsol.runtime.engine import Engine

PSEUDO_SIZE_PX = 64
"""Height and width of the pseudo masks that are cut from SPOL's stage 1; those from cues have their own size."""

Plane = Float32[np.ndarray, "_ _"]


class SourceMap(NamedTuple):
    """The map that an image's pseudo mask is made from, as a fraction of its peak."""

    heatmap: Plane
    levels: tuple[Plane, ...] = ()
    """The maps of the fused levels, each alone and as a fraction of its own peak; empty if nothing is fused."""


class PseudoMask(NamedTuple):
    """The pseudo mask of an image."""

    foreground: Plane
    """1 foreground, 0 background, valid where `known` is 1."""
    known: Plane
    """1 where the pixel is decided, 0 where it is ignored in training."""
    gaussian: Plane | None = None
    """The Gaussian prior, with maximum 1; None without one."""


@runtime_checkable  # the tests check argument types at run time
class PseudoMaskSource(Protocol):
    """Source of a run's pseudo masks: the maps, and the rule that cuts them."""

    def maps(self, pixels: Squares, labels: Tensor) -> list[SourceMap]:
        """The map of each image's label."""

    def mask(self, heatmap: Plane) -> PseudoMask:
        """The pseudo mask of a map."""


@dataclass(frozen=True)
class CueSource:
    """Pseudo masks from cues: salient regions, one of which is chosen by the class."""

    model: LocalizationModel
    engine: Engine

    def maps(self, pixels: Squares, labels: Tensor) -> list[SourceMap]:
        """The map of each image's label."""
        planes = cues.image_cues(self.model, pixels, labels, self.engine)
        return [SourceMap(cues.keep_best_part(*one)) for one in planes]

    def mask(self, heatmap: Plane) -> PseudoMask:
        """The pseudo mask of a map; every pixel is decided, and there is no Gaussian."""
        inside = (upsampled(heatmap) > cues.THRESHOLD).astype(np.float32)
        return PseudoMask(inside, np.ones_like(inside))


@dataclass(frozen=True)
class StageOneSource:
    """Pseudo masks from the maps of SPOL's stage 1, a Gaussian prior and two thresholds."""

    network: MffNet | OriginalCam
    model_config: MffConfig
    pseudo: Pseudo
    engine: Engine

    def maps(self, pixels: Squares, labels: Tensor) -> list[SourceMap]:
        """The map of each image's label, fused and of each level alone."""
        with recorded_levels(self.network) as levels:
            scores = score_maps(self.network, self.model_config, pixels, self.engine)
        fused = _fractions(class_maps(scores, labels))
        if not isinstance(self.network, MffNet):
            return [SourceMap(one) for one in fused]
        alone = [_fractions(one) for one in level_scores(self.network, levels, labels)]
        return [SourceMap(one, of_levels) for one, of_levels in zip(fused, zip(*alone, strict=True), strict=True)]

    def mask(self, heatmap: Plane) -> PseudoMask:
        """The pseudo mask of a map, with foreground, background and undecided pixels."""
        mask_hw = PSEUDO_SIZE_PX, PSEUDO_SIZE_PX
        gaussian = render(fit_gaussians(torch.from_numpy(heatmap)[None], self.pseudo), mask_hw)
        value, weight = targets(torch.from_numpy(resized(heatmap, mask_hw))[None], gaussian, self.pseudo)
        shown = None if self.pseudo.gaussian == "none" else gaussian[0].numpy()
        return PseudoMask(value[0].numpy(), weight[0].numpy(), shown)


def pseudo_mask_source(run: Path, config: RunConfig, engine: Engine) -> PseudoMaskSource:
    """Load what made the pseudo masks of a run.

    Args:
        run: folder of a finished run of `spol`.
        config: its configuration.
        engine: device and precision.

    Returns:
        The source.

    Raises:
        WsolError: its network is absent or damaged.
    """
    if config.pseudo.masks == "cues":
        return CueSource(cues.load(run, engine), engine)
    network, model_config = load_mffnet(run / "cam")
    return StageOneSource(engine.place(network), model_config, config.pseudo, engine)


def _fractions(heatmaps: Heatmaps) -> list[Plane]:
    return list(fraction_of_peak(heatmaps).cpu().numpy())
