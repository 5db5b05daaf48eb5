"""The images of the page: for each run map, mask and box, with the IoU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from wsol.data.ground_truth import GroundTruth
from wsol.data.samples import Sample
from wsol.geometry.boxes import Boxes
from wsol.metrics.localization import CORRECT_IOU
from wsol.reports.gallery import Gallery, GalleryItem
from wsol.reports.html import data_uri
from wsol.reports.page import ALT_TEXTS
from wsol.reports.panels import Column, columns_of, fitted
from wsol.runtime.progress import Progress

Rectangle = tuple[float, float, float, float]
"""x0, y0, width and height in pixels of the upright image."""


@dataclass(frozen=True)
class Panel:
    """One panel: its title, and the image below what is drawn on it."""

    title: str
    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    """The outputs of one run for one image."""

    painted: tuple[Panel, ...]
    """Map and mask; empty for a method without maps."""
    box: Panel
    """The photo; the page draws the boxes on it, so that lines are visible at any size."""
    image_hw: tuple[int, int]
    """Upright height and width of the image in pixels."""
    found: tuple[Rectangle, ...]
    """The boxes of the run, the evaluated one first."""
    annotated: tuple[Rectangle, ...]
    """The annotated boxes."""
    iou: float | None
    """None without an annotated box."""
    predicted_name: str | None
    """None for a run that predicts no class."""


@dataclass(frozen=True)
class Row:
    """One image with the outputs of every run."""

    image_id: str
    class_name: str
    cells: tuple[Cell, ...]
    """In the order of the runs."""

    @property
    def ious(self) -> tuple[float, ...]:
        """The IoU of each run; empty without an annotated box."""
        return tuple(cell.iou for cell in self.cells if cell.iou is not None)

    @property
    def correct(self) -> int:
        """The number of runs with a correct box."""
        return sum(iou >= CORRECT_IOU for iou in self.ious)

    @property
    def spread(self) -> float:
        """The difference of the highest and the lowest IoU."""
        return max(self.ious) - min(self.ious) if self.ious else 0.0


def cells_of(
    gallery: Gallery, samples: Sequence[Sample], ground_truth: GroundTruth, progress: Progress
) -> Mapping[str, Cell]:
    """Run the networks of one run on some images and paint the panels.

    Args:
        gallery: the networks of the run.
        samples: the images, with the labels of the run.
        ground_truth: the annotated boxes.
        progress: shows how far the work is.

    Returns:
        A cell for each image that can be decoded, by image id.
    """
    return {item.image_id: cell_of(item) for item in gallery(samples, ground_truth, progress)}


def rows_of(
    samples: Sequence[Sample], class_names: Sequence[str], cells: Sequence[Mapping[str, Cell]]
) -> Iterator[Row]:
    """One row for each image that has a cell of every run.

    Args:
        samples: the images, with the labels of the data set.
        class_names: the classes of the data set.
        cells: of each run, by image id.

    Yields:
        The rows, in the order of the samples.
    """
    for sample in samples:
        if all(sample.image_id in of_run for of_run in cells):
            class_name = class_names[sample.label]
            yield Row(sample.image_id, class_name, tuple(of_run[sample.image_id] for of_run in cells))


def cell_of(item: GalleryItem) -> Cell:
    """Paint the panels of one run for an image.

    Args:
        item: the image with the outputs of the run.

    Returns:
        Map and mask, if the method has them, and the photo with its boxes.
    """
    # What boxes are cut from is compared, not the earlier stages that only some methods have.
    shown = fitted(replace(item, cam=None, foreground=None, known=None))
    *others, box = columns_of(shown)
    return Cell(
        tuple(_panel(column, column.draw(shown), shown) for column in others if column.panel != "photo"),
        _panel(box, shown.photo, shown),
        item.image_hw,
        _rectangles(item.boxes),
        _rectangles(item.annotated_boxes),
        item.iou,
        item.predicted_name,
    )


def _panel(column: Column, pixels: UInt8[np.ndarray, "height width 3"], shown: GalleryItem) -> Panel:
    height, width = pixels.shape[:2]
    return Panel(column.title, data_uri(pixels), ALT_TEXTS[column.panel](shown), width, height)


def _rectangles(boxes: Boxes) -> tuple[Rectangle, ...]:
    corners = [[round(edge, 1) for edge in box] for box in boxes.xyxy.tolist()]
    return tuple((x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in corners)
