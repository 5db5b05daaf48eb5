"""`wsol demo`: the complete pipeline on synthetic images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from wsol.commands.evaluate import Which, evaluate_run
from wsol.commands.fit import fit_method
from wsol.commands.predict import predict
from wsol.config.base import ProtocolName
from wsol.config.methods import Cam, Seg
from wsol.config.options import Classify, RunConfig
from wsol.data.images import image_hw
from wsol.data.open import open_data
from wsol.data.samples import DataSet
from wsol.demo.drawing import write_demo_set
from wsol.geometry.boxes import Boxes, centre_box, iou
from wsol.methods.spol import train_cam
from wsol.metrics.bootstrap import Rate, rate
from wsol.metrics.evaluation import Evaluation
from wsol.metrics.evaluator import mask_overlap
from wsol.metrics.localization import CORRECT_IOU, ProtocolResult
from wsol.reports import page
from wsol.reports.gallery import Gallery, GalleryItem
from wsol.reports.panels import draw_strip
from wsol.reports.table import NAMES
from wsol.reports.write_report import write_report
from wsol.runs.run import Run
from wsol.runs.saved_config import preview
from wsol.runtime.progress import Progress
from wsol.storage.folders import is_finished, new_folder, remove_left, start_over, whole_file, write_manifest
from wsol.storage.links import refuse_link
from wsol.storage.locks import held

NOTE = (
    "The images are synthetic, drawn by wsol: the numbers show that the pipeline works, not its accuracy on"
    " photographs."
)
PROTOCOL: ProtocolName = "original"
COLUMNS = ("gt_known", "top1_loc", "mean_box_iou", "mask_iou")
CLASSES, TRAIN_PER_CLASS, TEST_PER_CLASS = 8, 24, 12

CENTRE_SCALE = 0.5**0.5
"""Width and height of the centre box as a fraction of the image's; it covers half of the area."""


@dataclass(frozen=True)
class Demo:
    """The demo's table, and the paths of its results."""

    table: Table
    strip: Path
    page: Path


def demo(out: str | Path = "wsol-demo", *, seed: int = 0, quiet: bool = False) -> Demo:
    """Generate a small synthetic data set and run the pipeline on it; the same call continues an interrupted demo.

    Args:
        out: folder for data, run and report.
        seed: seed of the images and of the training.
        quiet: print nothing on standard error.

    Returns:
        The table, and the paths of the results.

    Raises:
        WsolError: `out` holds other files, or the bundled weights are not installed.
    """
    out, doing, otherwise = Path(out), "wsol demo", "name another --out"
    with held(out, doing, otherwise), held(out / "run", doing, otherwise), held(out / "plain-cam", doing, otherwise):
        return make_demo(out, seed, Progress(quiet=quiet))


def make_demo(out: Path, seed: int, progress: Progress) -> Demo:
    """Draw a data set, train a plain CAM and the default recipe on its labels, predict, evaluate, and write a strip and
    a page.

    Args:
        out: folder for data, runs and report.
        seed: seed of the images and of the training.
        progress: shows how far the work is.

    Returns:
        The table, and the paths of the results.

    Raises:
        WsolError: `out` holds other files, or the bundled weights are not installed.
    """
    started = time.perf_counter()
    for name in ("run", "plain-cam", "predictions"):
        refuse_link(out / name)
    data = _data(out / "data", seed, progress)
    # The images are 320 px wide: smaller network inputs leave time for more steps on two cores.
    quick = {"batch_size": 8, "resize_px": 160, "crop_px": 144}
    ours = RunConfig(
        seed=seed,
        precision="fp32",  # `auto` depends on the load of the machine, and the README shows the numbers
        seg=Seg(**quick),
        classify=Classify(epochs=4, **quick),
    )
    plain = RunConfig(
        seed=seed, precision="fp32", cam=Cam(epochs=10, levels=1, freeze=0, **quick), classifier="localizer"
    )
    progress.say("plain CAM (Zhou et al. 2016), to compare with")
    train_cam.train(data, out / "plain-cam", preview(out / "plain-cam", plain), progress)
    progress.say("SPOL (Wei et al. 2021) by our own recipe")
    fit_method(data, out / "run", preview(out / "run", ours), progress)
    predict(out / "run", out / "data" / "test", out / "predictions")
    rows = _rows(out, data, progress)
    shown = list(Gallery(out / "run")(data.test[:: max(len(data.test) // 24, 1)], data.read_ground_truth(), progress))
    remove_left(out / "strip.png")
    with whole_file(out / "strip.png") as partial:
        draw_strip(_varied(sorted(shown, key=lambda one: -(one.iou or 0)))).save(partial, "PNG")
    written = write_report(
        out / "run",
        data,
        out,
        title="wsol demo",
        notes=[NOTE],
        tables=[_compared(rows, len(data.test))],
        progress=progress,
    )
    progress.say(f"demo: {time.perf_counter() - started:.0f} s")
    return Demo(_table(rows, len(data.test)), out / "strip.png", written)


def _data(folder: Path, seed: int, progress: Progress) -> DataSet:
    settings = {"classes": CLASSES, "train_per_class": TRAIN_PER_CLASS, "test_per_class": TEST_PER_CLASS, "seed": seed}
    if not is_finished(folder, "demo-data", settings, {}, option="--out"):
        progress.say(f"drawing {CLASSES * (TRAIN_PER_CLASS + TEST_PER_CLASS)} images")
        with new_folder(folder) as scratch:
            start_over(scratch)
            write_demo_set(
                scratch, classes=CLASSES, train_per_class=TRAIN_PER_CLASS, test_per_class=TEST_PER_CLASS, seed=seed
            )
            write_manifest(scratch, "demo-data", settings, {}, {})
    return open_data(folder)


Row = tuple[str, list[Rate | None]]


def _rows(out: Path, data: DataSet, progress: Progress) -> list[Row]:
    """The table's rows: centre box, plain CAM, the cues that masks are made from, and the complete method."""

    def evaluator(run: Path, which: Which) -> Evaluation:
        return evaluate_run(Run.open(run), data, which=which, progress=progress)

    full = evaluator(out / "run", "seg")
    return [
        ("centre box", _centre(data, full.results[PROTOCOL])),
        ("plain CAM", _rates(evaluator(out / "plain-cam", "cam"))),
        ("cues, no training", _rates(evaluator(out / "run", "cues"))),
        ("wsol", _rates(full)),
    ]


def _rates(evaluation: Evaluation) -> list[Rate | None]:
    metrics = evaluation.results[PROTOCOL].rates
    return [metrics.get(name) for name in COLUMNS]


def _centre(data: DataSet, result: ProtocolResult) -> list[Rate | None]:
    """Rates of the centre box, with the classes that the run's classifier predicts."""
    ground_truth = data.read_ground_truth()
    boxes, masks = [], []
    for image_id in result.image_ids:
        height, width = size = image_hw(data.root / image_id)
        box = centre_box(size, CENTRE_SCALE)
        one = ground_truth[image_id]
        boxes.append(iou(Boxes.of([box]), one.boxes).max(initial=0.0))
        assert one.read_mask is not None, "the demo set has masks"
        x0, y0, x1, y1 = map(round, box)
        mask = np.zeros((height, width), dtype=bool)
        mask[y0:y1, x0:x1] = True
        masks.append(mask_overlap(mask, one.read_mask(size)))
    ious = np.array(boxes)
    is_correct = ious >= CORRECT_IOU
    top1 = None if result.rank is None else rate(is_correct & (result.rank < 1))
    return [rate(is_correct), top1, rate(ious), rate(np.array(masks))]


def _text(value: Rate | None) -> str:
    return "" if value is None else f"{value.value:.1f}"


def _title(n: int) -> str:
    return f"protocol {PROTOCOL}, synthetic images, n = {n}, each method at its own threshold, in percent"


def _compared(rows: list[Row], n: int) -> page.Table:
    """The table for the page."""
    return page.Table(
        _title(n), [("", *(NAMES[name] for name in COLUMNS)), *((name, *map(_text, rates)) for name, rates in rows)]
    )


def _table(rows: list[Row], n: int) -> Table:
    """The table for the terminal."""
    table = Table(title=_title(n))
    table.add_column("")
    for name in COLUMNS:
        table.add_column(NAMES[name], justify="right")
    for name, rates in rows:
        table.add_row(name, *map(_text, rates))
    table.caption = NOTE
    return table


def _varied(best_first: list[GalleryItem]) -> list[GalleryItem]:
    """Select four images of different classes from below the best quarter of the gallery."""
    seen: set[str] = set()
    chosen = []
    for one in best_first[len(best_first) // 4 :]:
        if one.class_name not in seen:
            seen.add(one.class_name)
            chosen.append(one)
    return chosen[:4]
