"""Compare the result of a system for one image with the ground truth, under every requested protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from wsol.config.base import ProtocolName
from wsol.config.options import Box, BoxChoice
from wsol.data.ground_truth import GroundTruthMask, ImageTruth
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.contrast import Colours
from wsol.geometry.objects import DetectedObject, find_objects
from wsol.geometry.otsu import otsu_threshold
from wsol.geometry.threshold_sweep import Layers, best_fits, layers_at
from wsol.metrics.frames import SQUARE_PX, Map, boxes_in, fraction_map, map_in, map_of_crop
from wsol.metrics.pixels import Counts, score_counts
from wsol.metrics.pointing import pointing_hit
from wsol.metrics.protocols import IouRule, Protocol
from wsol.metrics.several_objects import Detections, matched

HUNDREDTHS = np.arange(1, 100) / 100
"""The thresholds for the best threshold of a protocol that uses the system's own threshold."""
STEP = 0.001
"""The step between the thresholds of `wsol-v1` and `wsol-v2`, as in clovaai/wsolevaluation."""

Corners = Float[np.ndarray, "n 4"]
Fit = Callable[[Corners], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class ImageResult:
    """The result of a system for an image: a heatmap of the whole image, or boxes; and the rank of the true class."""

    image_id: str
    label: int
    image_hw: tuple[int, int] | None
    heatmap: Map | None
    boxes: Boxes | None = None
    """Best first; used only without a heatmap."""
    scores: Float[np.ndarray, " n"] | None = None
    """Scores of the boxes; None if the system has none."""
    crop_heatmap: Map | None = None
    """A network's heatmap of the crop of protocol `spol`; without it, the crop of `heatmap` is evaluated."""
    rank: int | None = None
    """Rank of the true class among the predicted ones, 0 is first; None without predicted classes."""
    colours: Colours | None = None
    """Colours of the whole image, if available: they improve scores."""
    unlabelled: ImageResult | None = None
    """The result of a network that does not know the label, for the score of the image; None if it is the same."""


@dataclass(frozen=True)
class Row:
    """The result of one image under one protocol."""

    image_id: str
    label: int
    iou: float
    """IoU of the box at the protocol's threshold; NaN if the protocol searches for the best threshold."""
    has_box: bool
    """Whether any pixel is above that threshold."""
    has_ground_truth: bool
    """Whether the image has an annotated box; with a mask only, the mask is evaluated."""
    sweep: Float32[np.ndarray, " columns"]
    """IoU at each threshold of `own_grid`, on each layer of an 8-bit map, or once for boxes. Single precision
    distinguishes 0.7 from the nearest other IoU of whole pixels of the square, and halves the memory."""
    peak: int
    """The highest level of the 8-bit map, to which the thresholds of `wsol-v1` and `wsol-v2` are relative; else 0."""
    rank: int | None
    mask_iou: float | None
    pixels: Counts | None
    score: float | None = None
    """Score of the evaluated box, higher is more certain; None without scores, or if the protocol searches for the best
    threshold."""
    otsu_iou: float | None = None
    """IoU of the box at Otsu's threshold of the map; None without a map, or if the protocol is not `original`."""
    has_object: bool = True
    """Whether the image contains an object, by its class; without one there is no ground truth."""
    box_count: int = 0
    """The number of boxes found in an image without an object; 0 for others, or if the protocol is not `original`."""
    pointing: float | None = None
    """Whether the highest value of the map is inside the object (`pointing_hit`); None without a map or ground truth,
    or if the protocol is not `original`."""
    image_score: float | None = None
    """How certain the system is that the image contains an object; None if the protocol is not `original`."""
    detections: Detections | None = None
    """All boxes found, if the system finds several objects; None if the protocol is not `original`."""


class Evaluator:
    """Evaluates single images under several protocols; may be used by several threads at a time.

    Args:
        protocols: the protocols.
        thresholds: the threshold of each protocol, None for a protocol that searches for the best.
        step: between the thresholds of `wsol-v1` and `wsol-v2`.
        choice: which components of a mask are its objects, where more than one box is evaluated; its threshold is not
            used. If it is all of them, boxes of results are several objects too.
    """

    def __init__(
        self,
        protocols: Sequence[Protocol],
        thresholds: Mapping[ProtocolName, float | None],
        step: float = STEP,
        choice: BoxChoice | None = None,
    ) -> None:
        self.protocols = tuple(protocols)
        self.thresholds = dict(thresholds)
        self.step = step
        self.choice = choice or BoxChoice()

    def __call__(self, result: ImageResult, ground_truth: ImageTruth) -> dict[ProtocolName, Row]:
        """Evaluate one image under every protocol.

        Raises:
            BrokenImage: the ground-truth mask cannot be read.
        """
        if result.heatmap is None:
            return {one.name: _boxes_row(one, result, ground_truth, self.choice) for one in self.protocols}
        square: Square | None = None
        if any(one.geometry == "square" for one in self.protocols):  # one component tree, one mask for both of them
            square = Square(result.heatmap, ground_truth, self.step)
        return {
            one.name: (
                _square_row(one, result, ground_truth, square)
                if square is not None and one.geometry == "square"
                else _map_row(one, result, ground_truth, self.thresholds[one.name], self.choice)
            )
            for one in self.protocols
        }

    def grid(self, protocol: Protocol) -> Float[np.ndarray, " thresholds"]:
        """The thresholds at which the sweep of a protocol is read."""
        return np.arange(0, 1, self.step) if protocol.geometry == "square" else own_grid(self.thresholds[protocol.name])


def own_grid(threshold: float | None) -> Float[np.ndarray, " thresholds"]:
    """Hundredths, together with the system's own threshold, so that the best threshold is never worse than its own."""
    return HUNDREDTHS if threshold is None else np.union1d(HUNDREDTHS, [threshold])


class Square:
    """A map resized to 224 x 224, its layers in 8 bits, and pixel counts by score if there is a ground-truth mask."""

    def __init__(self, heatmap: Map, ground_truth: ImageTruth, step: float) -> None:
        self.heatmap = map_in("square", heatmap, None)
        self.layers = Layers((self.heatmap * 255).astype(np.uint8))
        self.pixels: Counts | None = None
        if ground_truth.read_mask is not None:
            self.pixels = score_counts(
                self.heatmap, ground_truth.read_mask((SQUARE_PX, SQUARE_PX)), np.arange(0, 1, step)
            )


def fit_to(protocol: Protocol, ground_truth: ImageTruth) -> Fit:
    """A function from half-open boxes in the protocol's geometry to their IoU with the best matching annotated box; 0
    without an annotated box.
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
    # wsolevaluation clips boxes to the last pixel of the square, and counts both ends as inside.
    ends_inside = np.array([0, 0, 1, 1])
    return iou(Boxes(corners.clip(max=SQUARE_PX - 1) + ends_inside), Boxes(ground_truth.xyxy + ends_inside))


_IOUS: dict[IouRule, Callable[[Corners, Boxes], Float[np.ndarray, "n m"]]] = {"plain": _plain, "plus one": _plus_one}


def _map_row(
    protocol: Protocol, result: ImageResult, ground_truth: ImageTruth, threshold: float | None, choice: BoxChoice
) -> Row:
    assert threshold is not None
    heatmap, original = _maps(protocol, result)
    grid = own_grid(threshold)
    layers = layers_at(heatmap, grid)
    fits = np.zeros(len(grid))
    fit = fit_to(protocol, ground_truth)
    fits[: layers.count] = best_fits(layers, protocol.boxes, fit)
    own = int(np.searchsorted(grid, threshold))
    colours = None if protocol.geometry == "crop" else result.colours  # the colours are of the whole image
    found = find_objects(original, heatmap.shape, Box(threshold=threshold), colours)
    is_own = protocol.geometry == "image"
    mask = None
    if is_own and ground_truth.read_mask is not None and result.image_hw is not None:
        mask = ground_truth.read_mask(result.image_hw)
    box_count, detections = 0, None
    if is_own and (choice.objects == "all" or not ground_truth.has_object):
        box = Box(threshold=threshold, objects=choice.objects, min_area=choice.min_area)
        every = find_objects(original, heatmap.shape, box, colours)
        box_count = 0 if ground_truth.has_object else len(every)
        if choice.objects == "all":
            scores = np.array([one.score for one in every])
            detections = matched(Boxes.of([one.xyxy for one in every]), scores, ground_truth.boxes)
    return Row(
        result.image_id,
        result.label,
        iou=float(fits[own]),
        has_box=own < layers.count,
        has_ground_truth=len(ground_truth.boxes) > 0,
        sweep=fits.astype(np.float32),
        peak=0,
        rank=result.rank,
        mask_iou=None if mask is None else mask_overlap(_largest(found, heatmap.shape), mask),
        pixels=None,
        score=found[0].score if found else 0.0,
        otsu_iou=_otsu_iou(heatmap, protocol, fit) if is_own else None,
        has_object=ground_truth.has_object,
        box_count=box_count,
        pointing=pointing_hit(heatmap, ground_truth.boxes, mask) if is_own else None,
        image_score=_image_score(result.unlabelled or result) if is_own else None,
        detections=detections,
    )


def _image_score(result: ImageResult) -> float:
    """The highest finite value of the map as it is, or the score of the first box, which is 1 without scores; minus
    infinity if there is none.
    """
    if result.heatmap is not None:
        return float(result.heatmap[np.isfinite(result.heatmap)].max(initial=-np.inf))
    best = _best_score(result)
    if best is not None:
        return best
    return 1.0 if result.boxes is not None and len(result.boxes) else -np.inf


def _otsu_iou(heatmap: Map, protocol: Protocol, fit: Fit) -> float:
    layers = layers_at(heatmap, np.array([otsu_threshold(heatmap)]))
    return float(best_fits(layers, protocol.boxes, fit)[0]) if layers.count else 0.0


def _maps(protocol: Protocol, result: ImageResult) -> tuple[Map, Map]:
    """The map in the protocol's geometry, and the map for the scores: the original one, unless it must be cropped."""
    assert result.heatmap is not None
    if protocol.geometry == "crop" and result.crop_heatmap is not None:
        return map_of_crop(result.crop_heatmap), fraction_map(result.crop_heatmap)
    # Only an image without an object may lack its size, which nothing but the number of boxes depends on.
    image_hw = result.image_hw or (result.heatmap.shape[0], result.heatmap.shape[1])
    heatmap = map_in(protocol.geometry, result.heatmap, image_hw)
    return heatmap, heatmap if protocol.geometry == "crop" else fraction_map(result.heatmap)


def _square_row(protocol: Protocol, result: ImageResult, ground_truth: ImageTruth, square: Square) -> Row:
    fit, layers = fit_to(protocol, ground_truth), square.layers
    sweep = np.zeros(255, dtype=np.float32)
    if layers.count:
        sweep[: layers.count] = best_fits(layers, protocol.boxes, fit)
    else:
        sweep[0] = fit(np.zeros((1, 4)))[0]  # no contour: the box [0, 0, 0, 0], one pixel wide
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
        has_object=ground_truth.has_object,
    )


def _boxes_row(protocol: Protocol, result: ImageResult, ground_truth: ImageTruth, choice: BoxChoice) -> Row:
    assert result.boxes is not None and (result.image_hw is not None or not ground_truth.has_object)
    found = result.boxes if protocol.boxes == "any contour" else Boxes(result.boxes.xyxy[:1])
    if result.image_hw is not None:
        found = boxes_in(protocol.geometry, found, result.image_hw)
    is_own = protocol.geometry == "image"
    fits = fit_to(protocol, ground_truth)(found.xyxy)
    best = float(fits.max(initial=0.0))
    scores = np.ones(len(result.boxes)) if result.scores is None else result.scores
    is_several = is_own and choice.objects == "all"
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
        has_object=ground_truth.has_object,
        box_count=len(result.boxes) if is_own and not ground_truth.has_object else 0,
        image_score=_image_score(result.unlabelled or result) if is_own else None,
        detections=matched(result.boxes, scores, ground_truth.boxes) if is_several else None,
    )


def _best_score(result: ImageResult) -> float | None:
    """The score of the first box; minus infinity without a box, since scores of other systems may be negative."""
    if result.scores is None:
        return None
    return float(result.scores[0]) if len(result.scores) else -np.inf


def _largest(found: Sequence[DetectedObject], image_hw: tuple[int, ...]) -> np.ndarray:
    return found[0].mask if found else np.zeros(image_hw, dtype=bool)


def mask_overlap(mask: np.ndarray, ground_truth_mask: GroundTruthMask) -> float:
    """IoU of a mask with the ground-truth mask, without ignored pixels; 1 if both are empty."""
    counts = ~ground_truth_mask.is_ignored
    union = int(((mask | ground_truth_mask.is_object) & counts).sum())
    return float((mask & ground_truth_mask.is_object & counts).sum() / union) if union else 1.0
