"""What each stage makes of a picture, side by side: photo, map, pseudo mask, mask, box against true box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import Tensor

from wsol.boxes import Boxes, Xyxy, iou
from wsol.config import Pseudo
from wsol.data.samples import DataSet, Sample
from wsol.data.truth import GroundTruth
from wsol.edges import cam_mask
from wsol.images import read_image, square
from wsol.inference import normalised_class_maps, score_maps
from wsol.localizer import Localizer
from wsol.maps import resized
from wsol.models.checkpoint import MffCard, load_mffnet
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.pseudo import fit_gaussians, render, targets
from wsol.run_config import load_config

SIDE_PX = 320
"""Pictures are shown with their longer side at most this long."""


@dataclass(frozen=True)
class Shown:
    """One picture with what the stages made of it; all planes and boxes are in pixels of the shown size."""

    image_id: str
    photo: UInt8[np.ndarray, "height width 3"]
    cam: Float32[np.ndarray, "height width"]
    """Stage 1's map of the true class, as a share of its peak."""
    foreground: Float32[np.ndarray, "height width"]
    """What the pseudo mask would make of it: 1 foreground, 0 not (see `known`)."""
    known: Float32[np.ndarray, "height width"]
    """1 where the pseudo mask has an opinion, 0 where it is undecided."""
    mask: Bool[np.ndarray, "height width"]
    box: Xyxy | None
    true_boxes: Boxes
    iou: float
    score: float
    class_name: str
    predicted_name: str | None


def gallery(run: Path, data: DataSet, samples: Sequence[Sample], truth: GroundTruth) -> list[Shown]:
    """Pass some labelled pictures through the stages of a finished run, in the order given."""
    localizer = Localizer.load(run)
    network, card = load_mffnet(run / "cam")
    localizer.engine.place(network)
    return [_shown(sample, data, truth[sample.image_id].boxes, localizer, network, card, run) for sample in samples]


def _shown(
    sample: Sample,
    data: DataSet,
    true_boxes: Boxes,
    localizer: Localizer,
    network: MffNet | OriginalCam,
    card: MffCard,
    run: Path,
) -> Shown:
    pixels = read_image(sample.path)
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE_PX / max(height, width))
    shown_hw = max(round(height * scale), 1), max(round(width * scale), 1)
    found = localizer(pixels)
    squashed = torch.from_numpy(square(Image.fromarray(pixels), card.resize_px).copy()).permute(2, 0, 1)[None]
    cam = normalised_class_maps(
        score_maps(network, card, squashed, localizer.engine), torch.tensor([sample.label])
    ).cpu()
    fine = resized(cam[0].numpy(), shown_hw)
    foreground, known = _pseudo_mask(cam, fine, pixels, load_config(run).pseudo)
    scaled_truth = Boxes(true_boxes.xyxy * scale)
    box = None if found.box is None else _scaled(found.box, scale)
    return Shown(
        image_id=sample.image_id,
        photo=np.asarray(Image.fromarray(pixels).resize(shown_hw[::-1], Image.Resampling.LANCZOS)),
        cam=fine,
        foreground=foreground,
        known=known,
        mask=np.asarray(Image.fromarray(found.mask).resize(shown_hw[::-1], Image.Resampling.NEAREST)),
        box=box,
        true_boxes=scaled_truth,
        iou=0.0 if box is None else float(iou(Boxes.of([box]), scaled_truth).max(initial=0.0)),
        score=found.score,
        class_name=data.class_names[sample.label],
        predicted_name=found.class_name,
    )


Plane = Float32[np.ndarray, "height width"]


def _pseudo_mask(
    cam: Float[Tensor, "1 _ _"], fine: Plane, photo: UInt8[np.ndarray, "_ _ 3"], settings: Pseudo
) -> tuple[Plane, Plane]:
    """What stage 2 would make of a map: where it is foreground, and where it has an opinion."""
    shown_hw = fine.shape
    if settings.masks == "thresholds":
        gaussian = render(fit_gaussians(cam, settings), shown_hw)
        value, weight = targets(torch.from_numpy(fine)[None], gaussian, settings)
        return value[0].numpy(), weight[0].numpy()
    mask = cam_mask(cam[0].numpy(), photo, along_edges=settings.masks == "grabcut")
    inside, known = ((resized(plane.astype(np.float32), shown_hw) > 0.5).astype(np.float32) for plane in mask)
    return inside * known, known


def _scaled(box: Xyxy, scale: float) -> Xyxy:
    x0, y0, x1, y1 = (edge * scale for edge in box)
    return x0, y0, x1, y1
