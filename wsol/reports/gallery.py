"""What a run makes of an image, side by side: photo, map, pseudo mask, mask, boxes against true boxes; of these, what
its method has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from torch import Tensor

from wsol.config.base import Precision
from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.data.ground_truth import GroundTruth
from wsol.data.images import read_square
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.data.pixel_cache import cores
from wsol.data.samples import Sample
from wsol.errors import BrokenImage
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.objects import resized
from wsol.inference.localizer import Localizer
from wsol.inference.outputs import Outputs
from wsol.inference.torch_networks import TorchNetworks
from wsol.methods.spol import cues
from wsol.methods.spol.gaussian_prior import fit_gaussians, render, targets
from wsol.methods.spol.mask_store import upsampled
from wsol.models.checkpoint import MffConfig, load_mffnet
from wsol.models.forward import Squares, class_maps, score_maps
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.models.outputs import LocalizationModel, fraction_of_peak
from wsol.runs.run import Run
from wsol.runtime.engine import Engine
from wsol.runtime.progress import Progress
from wsol.runtime.threads import in_threads

SIZE_PX = 320
"""Photos are shown with their longer side at most this long."""
PSEUDO_SIDE_PX = 64
"""Pseudo masks of SPOL's thresholds are drawn on a square of this side; those of cues have their own."""

Plane = Float32[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Shown:
    """One image with what the run made of it. Boxes are in pixels of the upright image; every plane covers all of it,
    at a size of its own.

    What a method does not have is None: the first two stages are SPOL's, and some methods give boxes without maps.
    """

    image_id: str
    image_hw: tuple[int, int]
    photo: UInt8[np.ndarray, "_ _ 3"]
    cam: Plane | None
    """What the pseudo mask is made from: stage 1's map of the true class as a share of its peak, or what is salient."""
    foreground: Plane | None
    """What the pseudo mask would make of it: 1 foreground, 0 not (see `known`)."""
    known: Plane | None
    """1 where the pseudo mask has an opinion, 0 where it is undecided."""
    heatmap: Plane | None
    """From which mask and boxes are cut: stage 3's foreground probabilities, or a method's map of the true class."""
    mask: Bool[np.ndarray, "_ _"]
    boxes: Boxes
    """As `wsol evaluate` judges them, the largest object's first."""
    annotated_boxes: Boxes
    """Empty where they are unknown."""
    iou: float | None
    """Of the first box; None without a true one."""
    score: float | None
    """None where nothing tells how sure a box is."""
    class_name: str
    predicted_name: str | None


@runtime_checkable  # the tests check arguments as they run
class FirstStages(Protocol):
    """What the pseudo masks of a run are made from, and how."""

    def maps(self, pixels: Squares, labels: Tensor) -> list[Plane]:
        """The map of each image's label."""

    def mask(self, heatmap: Plane) -> tuple[Plane, Plane]:
        """What stage 2 makes of a map: where it is foreground, and where it has an opinion."""


@dataclass(frozen=True)
class OfCues:
    """Salient parts, of which the class has chosen one."""

    model: LocalizationModel
    engine: Engine

    def maps(self, pixels: Squares, labels: Tensor) -> list[Plane]:
        """The map of each image's label."""
        return [cues.keep_best_part(*one) for one in cues.image_cues(self.model, pixels, labels, self.engine)]

    def mask(self, heatmap: Plane) -> tuple[Plane, Plane]:
        """What stage 2 makes of a map; it is known everywhere."""
        inside = (upsampled(heatmap) > cues.THRESHOLD).astype(np.float32)
        return inside, np.ones_like(inside)


@dataclass(frozen=True)
class OfStageOne:
    """SPOL's stage 1, and the thresholds that cut its maps."""

    network: MffNet | OriginalCam
    model_config: MffConfig
    pseudo: Pseudo
    engine: Engine

    def maps(self, pixels: Squares, labels: Tensor) -> list[Plane]:
        """The map of each image's label, as a share of its peak."""
        scores = score_maps(self.network, self.model_config, pixels, self.engine)
        return list(fraction_of_peak(class_maps(scores, labels)).cpu().numpy())

    def mask(self, heatmap: Plane) -> tuple[Plane, Plane]:
        """What stage 2 makes of a map: foreground, background and undecided."""
        side = PSEUDO_SIDE_PX, PSEUDO_SIDE_PX
        gaussian = render(fit_gaussians(torch.from_numpy(heatmap)[None], self.pseudo), side)
        value, weight = targets(torch.from_numpy(resized(heatmap, side))[None], gaussian, self.pseudo)
        return value[0].numpy(), weight[0].numpy()


class Gallery:
    """Holds the networks of a finished run: those that find and name, and what SPOL's pseudo masks are made from."""

    def __init__(self, run: Path, device: str = "auto", precision: Precision = "auto") -> None:
        """Load them.

        Raises:
            WsolError: not a run, or an unfinished one.
        """
        self.run = Run.open(run)
        self.localizer = Localizer.load(run, device=device, precision=precision)
        networks = self.localizer.networks
        assert isinstance(networks, TorchNetworks)
        self.networks = networks
        self.stages = _first_stages(run, self.run.config, networks.engine) if self.run.config.method == "spol" else None
        self.broken: list[str] = []
        """Why images were left out."""

    def __call__(
        self, samples: Sequence[Sample], ground_truth: GroundTruth | None, progress: Progress
    ) -> Iterator[Shown]:
        """Show images, labelled with the run's classes, to all networks, in the order given; broken ones are left out.

        Maps are of the true class, as `wsol evaluate` asks for them.
        """
        images = ImageLoader([sample.path for sample in samples], self.localizer.size_px)
        batches = in_order(len(samples), BATCH_SIZE)
        # Threads are enough: decoders, OpenCV and numpy release the GIL.
        with progress.task("gallery", len(batches)) as advance:
            for batch in images.batches(batches):
                chosen = [samples[i] for i in batch.indices.tolist()]
                sizes = [(int(h), int(w)) for h, w in batch.image_hw]
                labels = np.array([sample.label for sample in chosen], np.int64)
                outputs = self.networks.outputs(batch.pixels, labels)
                both = torch.from_numpy(batch.pixels), torch.from_numpy(labels)
                cams = self.stages.maps(*both) if self.stages else [None] * len(chosen)
                rows = zip(range(len(chosen)), chosen, sizes, cams, strict=True)
                yield from in_threads(partial(self._shown, outputs, ground_truth), rows, threads=cores())
                advance()
        self.broken += images.broken.values()

    def _shown(
        self,
        outputs: Outputs,
        ground_truth: GroundTruth | None,
        shown: tuple[int, Sample, tuple[int, int], Plane | None],
    ) -> Shown:
        row, sample, image_hw, cam = shown
        found = self.localizer.localization(outputs, row, image_hw, sample.path)
        foreground = known = None
        if self.stages is not None and cam is not None:
            foreground, known = self.stages.mask(cam)
        photo = _photo(sample.path, found.image_hw)
        boxes = Boxes.of([one.xyxy for one in found.objects])
        annotated_boxes = _annotated_boxes(ground_truth, sample, found.image_hw)
        fits = iou(Boxes(boxes.xyxy[:1]), annotated_boxes)
        small_mask = Image.fromarray(found.mask).resize(photo.shape[1::-1], Image.Resampling.NEAREST)
        return Shown(
            image_id=sample.image_id,
            image_hw=found.image_hw,
            photo=photo,
            cam=cam,
            foreground=foreground,
            known=known,
            heatmap=None if outputs.heatmaps is None else outputs.heatmaps[row],
            mask=np.asarray(small_mask),
            boxes=boxes,
            annotated_boxes=annotated_boxes,
            iou=float(fits.max(initial=0.0)) if len(annotated_boxes) else None,
            score=found.score if self.networks.has_maps else None,
            class_name=self.localizer.class_names[sample.label],
            predicted_name=found.class_name,
        )


def _first_stages(run: Path, config: RunConfig, engine: Engine) -> FirstStages:
    if config.pseudo.masks == "cues":
        return OfCues(cues.load(run, engine), engine)
    network, model_config = load_mffnet(run / "cam")
    return OfStageOne(engine.place(network), model_config, config.pseudo, engine)


def _photo(path: Path, image_hw: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image at the size at which it is shown."""
    height, width = image_hw
    scale = min(1.0, SIZE_PX / max(height, width))
    shown_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    try:
        squashed, _ = read_square(path, SIZE_PX)
    except BrokenImage:  # it was whole a moment ago
        squashed = np.zeros((1, 1, 3), np.uint8)
    return np.asarray(Image.fromarray(squashed).resize(shown_wh, Image.Resampling.LANCZOS))


def _annotated_boxes(ground_truth: GroundTruth | None, sample: Sample, image_hw: tuple[int, int]) -> Boxes:
    if ground_truth is None or sample.image_id not in ground_truth:
        return Boxes.of([])
    one = ground_truth[sample.image_id]
    return one.boxes if one.image_hw in (None, image_hw) else Boxes.of([])
