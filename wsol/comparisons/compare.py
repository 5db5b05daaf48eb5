"""`wsol compare`: evaluate several runs on the same test images, and show them beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from wsol.commands.evaluate import evaluate_run, labelled_as_trained
from wsol.comparisons.comparison import ComparedRun, Comparison
from wsol.comparisons.images import Row, cells_of, rows_of
from wsol.comparisons.names import distinct_names
from wsol.comparisons.page import MAKER, write_comparison
from wsol.config.base import Precision
from wsol.data.ground_truth import GroundTruth, remedy_for
from wsol.data.no_object import with_no_object
from wsol.data.open import columns_if_table, open_ground_truth
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.metrics.evaluation import image_count
from wsol.metrics.protocols import Protocol, protocols_named
from wsol.reports.gallery import Gallery
from wsol.reports.write_report import PAGE_FILE, spread
from wsol.runs.run import Run
from wsol.runtime.progress import Progress
from wsol.storage.locks import held
from wsol.text import number_of

IMAGES = 30
"""Largest number of images shown by default; an image takes about 25 kB for each run."""
PROTOCOL = "original,wsol-v2"


def compare(
    runs: Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    protocol: str = PROTOCOL,
    max_images: int = IMAGES,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Comparison:
    """Evaluate runs on the same test images and write one HTML page that shows them beside one another.

    Each run is compared with the first: the difference of every metric that is a mean over images has the 95 % interval
    of the paired bootstrap, which resamples the same images for both.

    Args:
        runs: at least two finished runs of the same classes; the first is the reference.
        data: a data set with annotated boxes; its test split, if it has one.
        out: folder for index.html, which needs no network. It may hold an older comparison, which is replaced.
        images: folder of the images, if it is not the usual one of the data set.
        protocol: protocols of the evaluation, separated by commas.
        max_images: largest number of images shown, spread evenly; the metrics are over all images.
        device, precision, quiet: as for `predict`.

    Returns:
        The evaluation of each run, the differences, and the path of the page.

    Raises:
        WsolError: fewer than two runs, the same run twice, an unfinished run, runs of different classes, fewer than two
            images with annotated boxes, or `out` holds something else.

    Example:
        `wsol.compare(["runs/cam", "runs/spol"], "CUB_200_2011", "compared").differences`
    """
    if max_images < 1:
        raise WsolError("--max-images", expected="at least 1", got=f"{max_images}", remedy="The default is 30.")
    protocols = protocols_named(protocol)
    folders = [Path(run) for run in runs]
    _check_runs(folders)
    with held(Path(out), "wsol compare", "name another --out"):
        _check_out(Path(out))
        columns = next(filter(None, (Run.open(folder).config.columns for folder in folders)), None)
        data_set = open_ground_truth(
            Path(data),
            None if images is None else Path(images),
            columns=columns_if_table(Path(data), columns),
        )
        ground_truth = data_set.read_ground_truth()
        boxed = sum(len(ground_truth[one.image_id].boxes) > 0 for one in data_set.test if one.image_id in ground_truth)
        _check_enough(boxed, data_set, ground_truth)
        progress = Progress(quiet=quiet)
        galleries = [Gallery(folder, device, precision) for folder in folders]
        for gallery in galleries:  # the images are the same for all runs
            data_set = with_no_object(data_set, gallery.run.config.no_object, must_exist=False)
        _check_classes(galleries, data_set)
        comparison = Comparison(
            tuple(
                _evaluated(name, gallery, data_set, protocols, device, precision, progress)
                for name, gallery in zip(distinct_names(folders), galleries, strict=True)
            ),
            Path(out) / PAGE_FILE,
        )
        _check_enough(_evaluated_images(comparison), data_set, ground_truth)
        rows = _rows(galleries, data_set, ground_truth, max_images, progress)
        write_comparison(comparison, rows, data_set)
        size = comparison.page.stat().st_size
        progress.say(f"compare: {number_of(len(folders), 'run')}, {number_of(len(rows), 'image')}, {size / 1e6:.1f} MB")
        return comparison


def _evaluated(
    name: str,
    gallery: Gallery,
    data: DataSet,
    protocols: Sequence[Protocol],
    device: str,
    precision: Precision,
    progress: Progress,
) -> ComparedRun:
    progress.say(f"compare: {name}")
    evaluation = evaluate_run(
        gallery.run, data, protocols=protocols, device=device, precision=precision, progress=progress
    )
    return ComparedRun(name, gallery.run, evaluation)


def _rows(
    galleries: Sequence[Gallery], data: DataSet, ground_truth: GroundTruth, count: int, progress: Progress
) -> list[Row]:
    boxed = [one for one in data.test if one.image_id in ground_truth and len(ground_truth[one.image_id].boxes)]
    samples = spread(boxed, count)
    cells = []
    for gallery in galleries:
        labelled = labelled_as_trained(samples, data, gallery.localizer.class_names, gallery.run.folder)
        cells.append(cells_of(gallery, labelled, ground_truth, progress))
    return list(rows_of(samples, data.class_names, cells))


def _check_runs(folders: Sequence[Path]) -> None:
    if len(folders) < 2:
        raise WsolError(
            "nothing to compare",
            expected="at least two runs and a data set",
            got=number_of(len(folders), "run"),
            remedy="Name the runs first, then the data set. `wsol report` shows a single run.",
        )
    seen: dict[Path, Path] = {}
    for folder in folders:
        if (other := seen.setdefault(folder.resolve(), folder)) is not folder:
            raise WsolError(
                f"{other} and {folder} are the same run", expected="different runs", remedy="Leave one of them out."
            )


def _check_out(folder: Path) -> None:
    """Refuse a folder that holds something and no older comparison."""
    if not folder.exists() or _is_comparison(folder / PAGE_FILE):
        return
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["a file"]
    if names:
        raise WsolError(
            f"{folder} holds something else",
            expected="a new or empty folder, or one with an older comparison",
            got=names[0],
            remedy="Name another folder with --out.",
        )


def _is_comparison(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as file:
        return f'<meta name="generator" content="{MAKER} ' in file.read(4000)


def _check_enough(count: int, data: DataSet, ground_truth: GroundTruth) -> None:
    if count < 2:
        raise WsolError(
            f"{number_of(count, 'test image')} of {data.root} can be evaluated",
            expected="at least two images with annotated boxes",
            remedy=remedy_for(ground_truth.mistakes),
        )


def _evaluated_images(comparison: Comparison) -> int:
    return min(image_count(one) for run in comparison.runs for one in run.evaluation.results.values())


def _check_classes(galleries: Sequence[Gallery], data: DataSet) -> None:
    """Refuse runs of different classes: their maps and Top-1 Loc are of different questions. Runs that neither need
    labels nor predict classes are compared with all.
    """
    for gallery in galleries:
        labelled_as_trained(data.test[:1], data, gallery.localizer.class_names, gallery.run.folder)
    with_classes = [one for one in galleries if _uses_classes(one.run)]
    for first, other in pairwise(with_classes):
        odd = set(first.localizer.class_names) ^ set(other.localizer.class_names)
        if odd:
            raise WsolError(
                f"{first.run.folder} and {other.run.folder} have different classes",
                expected="the same classes for both",
                got=f"{sorted(odd)[0]} in one of them",
                remedy="Compare runs that were trained on the same classes.",
            )


def _uses_classes(run: Run) -> bool:
    return run.spec.needs_labels or run.config.classifier != "none"
