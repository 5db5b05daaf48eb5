"""The images of the page: for each run map, mask and box, painted, with the IoU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wsol.data.ground_truth import GroundTruth
from wsol.data.samples import Sample
from wsol.metrics.localization import CORRECT_IOU
from wsol.reports.gallery import Gallery, GalleryItem
from wsol.reports.html import data_uri
from wsol.reports.page import ALT_TEXTS
from wsol.reports.panels import columns_of, fitted
from wsol.runtime.progress import Progress


@dataclass(frozen=True)
class Panel:
    """One painted panel."""

    title: str
    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    """The outputs of one run for one image."""

    panels: tuple[Panel, ...]
    """Map, mask and box; only the box for a method without maps."""
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
    return {item.image_id: _cell(item) for item in gallery(samples, ground_truth, progress)}


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


def _cell(item: GalleryItem) -> Cell:
    # What boxes are cut from is compared, not the earlier stages that only some methods have.
    shown = fitted(replace(item, cam=None, foreground=None, known=None))
    panels = []
    for column in columns_of(shown):
        if column.panel == "photo":  # the box is drawn on it
            continue
        pixels = column.draw(shown)
        height, width = pixels.shape[:2]
        alt = ALT_TEXTS[column.panel](shown)
        panels.append(Panel(column.title, data_uri(pixels), alt, width, height))
    return Cell(tuple(panels), item.iou, item.predicted_name)
