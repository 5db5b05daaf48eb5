"""One image at a time: what a system says of it against the ground truth, under every protocol that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from wsol.config.base import ProtocolName
from wsol.config.options import Box
from wsol.data.ground_truth import GroundTruthMask, ImageTruth
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.contrast import Colours
from wsol.geometry.objects import Found, find_objects
from wsol.geometry.threshold_sweep import Layers, best_fits, layers_at
from wsol.metrics.frames import SQUARE_PX, Map, boxes_in, fraction_map, map_in, map_of_crop
from wsol.metrics.pixels import Counts, score_counts
from wsol.metrics.protocols import IouRule, Protocol

HUNDREDTHS = np.arange(1, 100) / 100
"""Where the best threshold is looked for under a protocol that has a threshold of its own."""
STEP = 0.001
"""How far apart the thresholds of `wsol-v1` and `wsol-v2` are, as in clovaai/wsolevaluation."""

Corners = Float[np.ndarray, "n 4"]
Fit = Callable[[Corners], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class ImageResult:
    """What a system says of an image: a map of the whole of it, or boxes; and the place that it gives the true
    class.
    """

    image_id: str
    label: int
    image_hw: tuple[int, int] | None
    heatmap: Map | None
    boxes: Boxes | None = None
    """Best first; looked at where there is no map."""
    scores: Float[np.ndarray, " n"] | None = None
    """Of the boxes; None where the system gives none."""
    crop_heatmap: Map | None = None
    """A network's map of `spol`'s crop; without it, the crop of `heatmap` is judged."""
    rank: int | None = None
    """Place of the true class among the predicted ones, 0 is first; None where nobody named it."""
    colours: Colours | None = None
    """Of the whole image, where it is at hand: they make scores surer."""


@dataclass(frozen=True)
class Row:
    """One image under one protocol."""

    image_id: str
    label: int
    iou: float
    """Of the box at the protocol's threshold; NaN where the protocol looks for the best."""
    has_box: bool
    """Whether anything is above that threshold."""
    has_ground_truth: bool
    """Whether the image has an annotated box; one with a mask alone is judged by mask."""
    sweep: Float32[np.ndarray, " columns"]
    """IoU at each threshold of `own_grid`, on each layer of an 8-bit map, or once for boxes. Single precision tells 0.7
    from the nearest other ratio of whole pixels of the square, and 50,000 images need half the memory."""
    peak: int
    """The highest level of the 8-bit map, to which the thresholds of `wsol-v1` and `wsol-v2` are relative; 0
    elsewhere."""
    rank: int | None
    mask_iou: float | None
    pixels: Counts | None
    score: float | None = None
    """What the system says of the box that is judged, the higher the surer; None where it says nothing, or the protocol
    looks for the best threshold."""


class Evaluator:
    """Holds the protocols and their thresholds; several threads can use it at a time."""

    def __init__(
        self, protocols: Sequence[Protocol], thresholds: Mapping[ProtocolName, float | None], step: float = STEP
    ) -> None:
        self.protocols = tuple(protocols)
        self.thresholds = dict(thresholds)
        self.step = step

    def __call__(self, result: ImageResult, ground_truth: ImageTruth) -> dict[ProtocolName, Row]:
        """The image's row under every protocol.

        Raises:
            BrokenImage: its ground-truth mask cannot be read.
        """
        if result.heatmap is None:
            return {one.name: _boxes_row(one, result, ground_truth) for one in self.protocols}
        square: Square | None = None
        if any(one.geometry == "square" for one in self.protocols):  # one component tree, one mask for both of them
            square = Square(result.heatmap, ground_truth, self.step)
        return {
            one.name: (
                _square_row(one, result, ground_truth, square)
                if square is not None and one.geometry == "square"
                else _map_row(one, result, ground_truth, self.thresholds[one.name])
            )
            for one in self.protocols
        }

    def grid(self, protocol: Protocol) -> Float[np.ndarray, " thresholds"]:
        """Where the sweep of a protocol is read."""
        return np.arange(0, 1, self.step) if protocol.geometry == "square" else own_grid(self.thresholds[protocol.name])


def own_grid(threshold: float | None) -> Float[np.ndarray, " thresholds"]:
    """The hundredths, and the system's own threshold among them, so that the best one is never worse."""
    return HUNDREDTHS if threshold is None else np.union1d(HUNDREDTHS, [threshold])


class Square:
    """A map squashed to 224, its layers as 8-bit numbers, and its pixels by score where there is a ground-truth mask."""

    def __init__(self, heatmap: Map, ground_truth: ImageTruth, step: float) -> None:
        self.heatmap = map_in("square", heatmap, None)
        self.layers = Layers((self.heatmap * 255).astype(np.uint8))
        self.pixels: Counts | None = None
        if ground_truth.read_mask is not None:
            self.pixels = score_counts(
                self.heatmap, ground_truth.read_mask((SQUARE_PX, SQUARE_PX)), np.arange(0, 1, step)
            )


def fit_to(protocol: Protocol, ground_truth: ImageTruth) -> Fit:
    """The protocol's IoU of half-open boxes in its geometry with the annotated box that each fits best; 0 without a true
    box.
    """
    annotated_boxes = (
        Boxes.of([])
        if ground_truth.image_hw is None
        else boxes_in(protocol.geometry, ground_truth.boxes, ground_truth.image_hw)
    )
    return lambda corners: np.asarray(_IOUS[protocol.iou](corners, annotated_boxes).max(axis=1, initial=0.0))


def _plain(corners: Corners, ground_truth: Boxes) -> Float[np.ndarray, "n m"]:
    return iou(Boxes(corners), ground_truth)


def _plus_one(corners: Corners, ground_truth: Boxes) -> Float[np.ndarray, "n m"]:
    # wsolevaluation ends a box on the last pixel of the square at the latest, and counts both ends as inside.
    ends_inside = np.array([0, 0, 1, 1])
    return iou(Boxes(corners.clip(max=SQUARE_PX - 1) + ends_inside), Boxes(ground_truth.xyxy + ends_inside))


_IOUS: dict[IouRule, Callable[[Corners, Boxes], Float[np.ndarray, "n m"]]] = {"plain": _plain, "plus one": _plus_one}


def _map_row(protocol: Protocol, result: ImageResult, ground_truth: ImageTruth, threshold: float | None) -> Row:
    assert threshold is not None
    heatmap, as_given = _maps(protocol, result)
    grid = own_grid(threshold)
    layers = layers_at(heatmap, grid)
    fits = np.zeros(len(grid))
    fits[: layers.count] = best_fits(layers, protocol.boxes, fit_to(protocol, ground_truth))
    own = int(np.searchsorted(grid, threshold))
    colours = None if protocol.geometry == "crop" else result.colours  # which are those of more than the crop
    found = find_objects(as_given, heatmap.shape, Box(threshold=threshold), colours)
    return Row(
        result.image_id,
        result.label,
        iou=float(fits[own]),
        has_box=own < layers.count,
        has_ground_truth=len(ground_truth.boxes) > 0,
        sweep=fits.astype(np.float32),
        peak=0,
        rank=result.rank,
        mask_iou=_mask_iou(found, result, ground_truth) if protocol.geometry == "image" else None,
        pixels=None,
        score=found[0].score if found else 0.0,
    )


def _maps(protocol: Protocol, result: ImageResult) -> tuple[Map, Map]:
    """The map in the protocol's geometry; and as the system gave it, from which scores are taken, unless it has to be
    cropped.
    """
    assert result.heatmap is not None
    if protocol.geometry == "crop" and result.crop_heatmap is not None:
        return map_of_crop(result.crop_heatmap), fraction_map(result.crop_heatmap)
    heatmap = map_in(protocol.geometry, result.heatmap, result.image_hw)
    return heatmap, heatmap if protocol.geometry == "crop" else fraction_map(result.heatmap)


def _square_row(protocol: Protocol, result: ImageResult, ground_truth: ImageTruth, square: Square) -> Row:
    fit, layers = fit_to(protocol, ground_truth), square.layers
    sweep = np.zeros(255, dtype=np.float32)
    if layers.count:
        sweep[: layers.count] = best_fits(layers, protocol.boxes, fit)
    else:
        sweep[0] = fit(np.zeros((1, 4)))[0]  # no contour: the box [0, 0, 0, 0], a pixel wide
    return Row(
        result.image_id,
        result.label,
        iou=np.nan,
        has_box=layers.count > 0,
        has_ground_truth=len(ground_truth.boxes) > 0,
        sweep=sweep,
        peak=layers.count,
        rank=result.rank,
        mask_iou=None,
        pixels=square.pixels,
    )


def _boxes_row(protocol: Protocol, result: ImageResult, ground_truth: ImageTruth) -> Row:
    assert result.boxes is not None and result.image_hw is not None
    found = result.boxes if protocol.boxes == "any contour" else Boxes(result.boxes.xyxy[:1])
    found = boxes_in(protocol.geometry, found, result.image_hw)
    fits = fit_to(protocol, ground_truth)(found.xyxy)
    best = float(fits.max(initial=0.0))
    return Row(
        result.image_id,
        result.label,
        iou=np.nan if protocol.threshold == "best" else best,
        has_box=len(found) > 0,
        has_ground_truth=len(ground_truth.boxes) > 0,
        sweep=np.array([best], dtype=np.float32),
        peak=0,
        rank=result.rank,
        mask_iou=None,
        pixels=None,
        score=None if protocol.threshold == "best" else _best_score(result),
    )


def _best_score(result: ImageResult) -> float | None:
    """The first box's; below all others where there is no box, since another system's scores may be negative."""
    if result.scores is None:
        return None
    return float(result.scores[0]) if len(result.scores) else -np.inf


def _mask_iou(found: Sequence[Found], result: ImageResult, ground_truth: ImageTruth) -> float | None:
    if ground_truth.read_mask is None or result.image_hw is None:
        return None
    mask = found[0].mask if found else np.zeros(result.image_hw, dtype=bool)
    return mask_overlap(mask, ground_truth.read_mask(result.image_hw))


def mask_overlap(mask: np.ndarray, ground_truth_mask: GroundTruthMask) -> float:
    """IoU of a mask with the true one, ignored pixels left out; 1 where both are empty."""
    counts = ~ground_truth_mask.is_ignored
    union = int(((mask | ground_truth_mask.is_object) & counts).sum())
    return float((mask & ground_truth_mask.is_object & counts).sum() / union) if union else 1.0
