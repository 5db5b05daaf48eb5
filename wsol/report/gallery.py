"""What a run makes of a picture, side by side: photo, map, pseudo mask, mask, boxes against true boxes; of these, what its method has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import Tensor

from wsol.boxes import Boxes, iou
from wsol.config import Precision, Pseudo
from wsol.data.pictures import Pictures, in_order
from wsol.data.pixel_cache import cores
from wsol.data.samples import Sample
from wsol.data.truth import GroundTruth
from wsol.edges import cam_mask
from wsol.engine import Engine
from wsol.errors import BrokenPicture
from wsol.images import read_square
from wsol.inference import Heatmaps, Squares, class_maps, score_maps, with_mirror_image
from wsol.localizer import Localizer
from wsol.maps import resized
from wsol.models.checkpoint import MffCard, load_mffnet
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.opinions import BATCH_SIZE, Opinions
from wsol.progress import Progress
from wsol.pseudo import fit_gaussians, render, share_of_peak, targets
from wsol.run_config import load_config
from wsol.threads import in_threads
from wsol.torch_networks import TorchNetworks

SIDE_PX = 320
"""Photos are shown with their longer side at most this long."""
PSEUDO_SIDE_PX = 64
"""Pseudo masks of SPOL's thresholds are drawn on a square of this side; others have their own."""

Plane = Float32[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Shown:
    """One picture with what the run made of it. Boxes are in pixels of the upright picture; every plane covers all of it, at a size of its own.

    What a method does not have is None: the first two stages are SPOL's, and some methods give boxes without maps.
    """

    image_id: str
    image_hw: tuple[int, int]
    photo: UInt8[np.ndarray, "_ _ 3"]
    cam: Plane | None
    """Stage 1's map of the true class, as a share of its peak."""
    foreground: Plane | None
    """What the pseudo mask would make of it: 1 foreground, 0 not (see `known`)."""
    known: Plane | None
    """1 where the pseudo mask has an opinion, 0 where it is undecided."""
    heatmap: Plane | None
    """From which mask and boxes are cut: stage 3's foreground probabilities, or a method's map of the true class."""
    mask: Bool[np.ndarray, "_ _"]
    boxes: Boxes
    """As `wsol evaluate` judges them, the largest object's first."""
    true_boxes: Boxes
    """Empty where they are unknown."""
    iou: float | None
    """Of the first box; None without a true one."""
    score: float | None
    """None where nothing tells how sure a box is."""
    class_name: str
    predicted_name: str | None


@dataclass(frozen=True)
class FirstStages:
    """Holds SPOL's stage 1, and what makes pseudo masks of its maps."""

    network: MffNet | OriginalCam
    card: MffCard
    pseudo: Pseudo
    engine: Engine

    def cams(self, pixels: Squares, labels: Tensor) -> Heatmaps:
        """The map of each picture's label, as a share of its peak."""

        def maps(pixels: Squares) -> Heatmaps:
            return class_maps(score_maps(self.network, self.card, pixels, self.engine), labels)

        return share_of_peak(with_mirror_image(maps, pixels) if self.pseudo.flip else maps(pixels)).cpu()


class Gallery:
    """Holds the networks of a finished run: those that find and name, and of SPOL's stage 1 too."""

    def __init__(self, run: Path, device: str = "auto", precision: Precision = "auto") -> None:
        """Load them.

        Raises:
            WsolError: not a run, or an unfinished one.
        """
        config = load_config(run)
        self.localizer = Localizer.load(run, device=device, precision=precision)
        networks = self.localizer.networks
        assert isinstance(networks, TorchNetworks)
        self.networks = networks
        self.stages = _first_stages(run, config.pseudo, networks.engine) if config.method == "spol" else None
        self.broken: list[str] = []
        """Why pictures were left out."""

    def __call__(self, samples: Sequence[Sample], truth: GroundTruth | None, progress: Progress) -> Iterator[Shown]:
        """Show pictures, labelled with the run's classes, to all networks, in the order given; broken ones are left out.

        Maps are of the true class, as `wsol evaluate` asks for them.
        """
        pictures = Pictures([sample.path for sample in samples], self.localizer.side_px)
        batches = in_order(len(samples), BATCH_SIZE)
        # Threads are enough: decoders, OpenCV and numpy release the GIL.
        with progress.task("gallery", len(batches)) as advance:
            for batch in pictures.batches(batches):
                chosen = [samples[i] for i in batch.indices.tolist()]
                sizes = [(int(h), int(w)) for h, w in batch.image_hw]
                labels = torch.tensor([sample.label for sample in chosen])
                opinions = self.networks.opinions(batch.pixels, labels)
                cams = self.stages.cams(batch.pixels, labels) if self.stages else [None] * len(chosen)
                rows = zip(range(len(chosen)), chosen, sizes, cams, batch.pixels, strict=True)
                yield from in_threads(partial(self._shown, opinions, truth), rows, threads=cores())
                advance()
        self.broken += pictures.broken.values()

    def _shown(
        self, opinions: Opinions, truth: GroundTruth | None, shown: tuple[int, Sample, tuple[int, int], Tensor | None, Tensor]
    ) -> Shown:  # fmt: skip
        row, sample, image_hw, cam, pixels = shown
        found = self.localizer.localization(opinions, row, image_hw, sample.path)
        foreground = known = None
        if self.stages is not None and cam is not None:
            foreground, known = _pseudo_mask(cam, pixels.permute(1, 2, 0).contiguous().numpy(), self.stages.pseudo)
        photo = _photo(sample.path, found.image_hw)
        boxes = Boxes.of([one.xyxy for one in found.objects])
        true_boxes = _true_boxes(truth, sample, found.image_hw)
        fits = iou(Boxes(boxes.xyxy[:1]), true_boxes)
        small_mask = Image.fromarray(found.mask).resize(photo.shape[1::-1], Image.Resampling.NEAREST)
        return Shown(
            image_id=sample.image_id,
            image_hw=found.image_hw,
            photo=photo,
            cam=None if cam is None else cam.numpy(),
            foreground=foreground,
            known=known,
            heatmap=None if opinions.heatmaps is None else opinions.heatmaps[row],
            mask=np.asarray(small_mask),
            boxes=boxes,
            true_boxes=true_boxes,
            iou=float(fits.max(initial=0.0)) if len(true_boxes) else None,
            score=found.score if self.networks.has_maps else None,
            class_name=self.localizer.class_names[sample.label],
            predicted_name=found.class_name,
        )


def _first_stages(run: Path, pseudo: Pseudo, engine: Engine) -> FirstStages:
    network, card = load_mffnet(run / "cam")
    return FirstStages(engine.place(network), card, pseudo, engine)


def _photo(path: Path, image_hw: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """The picture at the size at which it is shown."""
    height, width = image_hw
    scale = min(1.0, SIDE_PX / max(height, width))
    shown_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    try:
        squashed, _ = read_square(path, SIDE_PX)
    except BrokenPicture:  # it was whole a moment ago
        squashed = np.zeros((1, 1, 3), np.uint8)
    return np.asarray(Image.fromarray(squashed).resize(shown_wh, Image.Resampling.LANCZOS))


def _true_boxes(truth: GroundTruth | None, sample: Sample, image_hw: tuple[int, int]) -> Boxes:
    if truth is None or sample.image_id not in truth:
        return Boxes.of([])
    one = truth[sample.image_id]
    return one.boxes if one.image_hw in (None, image_hw) else Boxes.of([])


def _pseudo_mask(
    cam: Float[Tensor, "_ _"], picture: UInt8[np.ndarray, "_ _ 3"], settings: Pseudo
) -> tuple[Plane, Plane]:
    """What stage 2 would make of a map: where it is foreground, and where it has an opinion."""
    if settings.masks == "thresholds":
        side = PSEUDO_SIDE_PX, PSEUDO_SIDE_PX
        fine = torch.from_numpy(resized(cam.numpy(), side))[None]
        value, weight = targets(fine, render(fit_gaussians(cam[None], settings), side), settings)
        return value[0].numpy(), weight[0].numpy()
    mask = cam_mask(cam.numpy(), picture, along_edges=settings.masks == "grabcut")
    inside, known = (plane.astype(np.float32) for plane in mask)
    return inside * known, known
