"""The outputs of a run for each image: photo, map, pseudo mask, mask, predicted and annotated boxes, as far as the
method has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image

from wsol.config.base import Precision
from wsol.config.image import Decoding
from wsol.data.ground_truth import GroundTruth
from wsol.data.images import read_square
from wsol.data.loader import ImageLoader, batch_size, in_order
from wsol.data.pixel_cache import cores
from wsol.data.samples import Sample
from wsol.errors import BrokenImage
from wsol.geometry.boxes import Boxes, iou
from wsol.inference.localizer import Localization, Localizer
from wsol.inference.outputs import Outputs
from wsol.inference.torch_networks import Labels, Squares, TorchNetworks
from wsol.models.levels import level_scores, recorded_levels
from wsol.models.mffnet import MffNet
from wsol.models.outputs import spread
from wsol.reports.pseudo_masks import Plane, SourceMap, pseudo_mask_source
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.runtime.threads import in_threads

SIZE_PX = 320
"""Longest edge of the photos that are shown."""


@dataclass(frozen=True)
class GalleryItem:
    """One image with the outputs of the run. Boxes are in pixels of the upright image; each plane covers the whole
    image, at a resolution of its own.

    What a method does not have is None: only SPOL has the first two stages; some methods predict boxes without maps.
    """

    image_id: str
    image_hw: tuple[int, int]
    photo: UInt8[np.ndarray, "_ _ 3"]
    cam: Plane | None
    """The map that the pseudo mask is made from: stage 1's map of the labelled class as a fraction of its peak, or the
    salient region."""
    foreground: Plane | None
    """The pseudo mask: 1 foreground, 0 background, valid where `known` is 1."""
    known: Plane | None
    """1 where the pseudo mask is decided, 0 where its pixels are ignored in training."""
    heatmap: Plane | None
    """The map that mask and boxes are cut from: stage 3's foreground probabilities, or the labelled class's map."""
    mask: Bool[np.ndarray, "_ _"]
    boxes: Boxes
    """As `wsol evaluate` evaluates them; the largest object's box comes first."""
    annotated_boxes: Boxes
    """Empty where they are unknown."""
    iou: float | None
    """IoU of the first box; None without an annotated box."""
    score: float | None
    """Confidence; None if the method has none."""
    class_name: str
    predicted_name: str | None
    gaussian: Plane | None = None
    """The Gaussian prior of the map, with maximum 1 (Wei et al. 2021, Fig. 2c); None if the pseudo mask has none."""
    cam_levels: tuple[Plane, ...] = ()
    """Stage 1's map of the labelled class from each fused level alone (Fig. 7), shallowest first, as a fraction of its
    peak; empty if stage 1 is absent or fuses nothing."""
    heatmap_levels: tuple[Plane, ...] = ()
    """The same for stage 3, min-max normalised: one level's scores have another scale than the fused ones, for which
    the class layer was trained."""


class Gallery:
    """Holds the networks of a finished run: localizer, classifier, and for SPOL the source of the pseudo masks."""

    def __init__(self, run: Path, device: str = "auto", precision: Precision = "auto") -> None:
        """Load the networks.

        Args:
            run: folder of a finished run.
            device: as for `wsol predict`.
            precision: as for `wsol predict`.

        Raises:
            WsolError: the folder is not a run, or the run is not finished.
        """
        self.run = Run.open(run)
        self.localizer = Localizer.load(run, device=device, precision=precision)
        networks = self.localizer.networks
        assert isinstance(networks, TorchNetworks)
        self.networks = networks
        self.pseudo_masks = (
            pseudo_mask_source(run, self.run.config, networks.engine) if self.run.config.method == "spol" else None
        )
        self.broken: list[str] = []
        """One reason for each image that could not be decoded."""

    def __call__(
        self, samples: Sequence[Sample], ground_truth: GroundTruth | None, progress: Progress
    ) -> Iterator[GalleryItem]:
        """Run all networks on images, in order; images that cannot be decoded are skipped and listed in `broken`.

        Args:
            samples: images, labelled with the run's classes; maps are of the labelled class, as in `wsol evaluate`.
            ground_truth: the annotated boxes, if there are any.
            progress: shows how many batches are done.

        Yields:
            One item per image.
        """
        images = ImageLoader([sample.path for sample in samples], self.localizer.size_px, self.localizer.image)
        batches = in_order(len(samples), batch_size(images.size_px))
        # Threads are enough: decoders, OpenCV and numpy release the GIL.
        with progress.task("gallery", len(batches)) as advance:
            for batch in images.batches(batches):
                chosen = [samples[i] for i in batch.indices.tolist()]
                sizes = [(int(h), int(w)) for h, w in batch.image_hw]
                labels = np.array([sample.label for sample in chosen], np.int64)
                outputs, levels = self._outputs(batch.pixels, labels)
                both = torch.from_numpy(batch.pixels), torch.from_numpy(labels)
                cams = self.pseudo_masks.maps(*both) if self.pseudo_masks else [None] * len(chosen)
                rows = zip(range(len(chosen)), chosen, sizes, cams, levels, strict=True)
                yield from in_threads(partial(self._item, outputs, ground_truth), rows, threads=cores())
                advance()
        self.broken += images.broken.values()

    def _outputs(self, pixels: Squares, labels: Labels) -> tuple[Outputs, list[tuple[Plane, ...]]]:
        """The outputs for a batch, and for each image stage 3's map of each fused level alone."""
        network = self.networks.model.network
        with recorded_levels(network) as levels:
            # Of several labels in an image, each has an item of its own.
            outputs = replace(self.networks.outputs(pixels, labels), of_classes=None)
        if not isinstance(network, MffNet):
            return outputs, [()] * len(pixels)
        scores = level_scores(network, levels, torch.zeros(len(pixels), dtype=torch.int64))
        return outputs, list(zip(*(spread(one).cpu().numpy() for one in scores), strict=True))

    def _item(
        self,
        outputs: Outputs,
        ground_truth: GroundTruth | None,
        of_image: tuple[int, Sample, tuple[int, int], SourceMap | None, tuple[Plane, ...]],
    ) -> GalleryItem:
        row, sample, image_hw, cam, heatmap_levels = of_image
        localization = self.localizer.localization(outputs, row, image_hw, sample.path)
        pseudo = self.pseudo_masks.mask(cam.heatmap) if self.pseudo_masks is not None and cam is not None else None
        photo = _photo(sample.path, localization.image_hw, self.localizer.image)
        boxes = Boxes.of([one.xyxy for one in localization.objects])
        class_name = self.localizer.class_names[sample.label]
        annotated_boxes = _annotated_boxes(ground_truth, sample, class_name, localization.image_hw)
        ious = iou(Boxes(boxes.xyxy[:1]), annotated_boxes)
        small_mask = Image.fromarray(localization.mask).resize(photo.shape[1::-1], Image.Resampling.NEAREST)
        return GalleryItem(
            image_id=sample.image_id,
            image_hw=localization.image_hw,
            photo=photo,
            cam=None if cam is None else cam.heatmap,
            foreground=None if pseudo is None else pseudo.foreground,
            known=None if pseudo is None else pseudo.known,
            heatmap=None if outputs.heatmaps is None else outputs.heatmaps[row],
            mask=np.asarray(small_mask),
            boxes=boxes,
            annotated_boxes=annotated_boxes,
            iou=float(ious.max(initial=0.0)) if len(annotated_boxes) else None,
            score=localization.score if self.networks.has_maps else None,
            class_name=class_name,
            predicted_name=self._predicted_name(outputs, row, sample, localization),
            gaussian=None if pseudo is None else pseudo.gaussian,
            cam_levels=() if cam is None else cam.levels,
            heatmap_levels=heatmap_levels,
        )

    def _predicted_name(self, outputs: Outputs, row: int, sample: Sample, localization: Localization) -> str | None:
        """The most probable class; an image's other labels are no wrong answers for this one."""
        if outputs.probabilities is None or not sample.others:
            return localization.class_name
        probabilities = outputs.probabilities[row].copy()
        probabilities[[*sample.others]] = -np.inf
        return self.localizer.class_names[int(probabilities.argmax())]


def _photo(path: Path, image_hw: tuple[int, int], decoding: Decoding) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image, resized for the page."""
    height, width = image_hw
    scale = min(1.0, SIZE_PX / max(height, width))
    shown_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    try:
        squashed, _ = read_square(path, SIZE_PX, decoding)
    except BrokenImage:  # the file changed after it was decoded for the networks
        squashed = np.zeros((1, 1, 3), np.uint8)
    return np.asarray(Image.fromarray(squashed).resize(shown_wh, Image.Resampling.LANCZOS))


def _annotated_boxes(
    ground_truth: GroundTruth | None, sample: Sample, class_name: str, image_hw: tuple[int, int]
) -> Boxes:
    if ground_truth is None:
        return Boxes.of([])
    image_id = sample.image_id
    one = ground_truth.of_class(image_id, class_name) if sample.others else ground_truth.by_id.get(image_id)
    return one.boxes if one is not None and one.image_hw in (None, image_hw) else Boxes.of([])
