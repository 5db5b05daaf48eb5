"""`wsol report`: the results of a finished run on labelled images as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsol.commands import evaluate
from wsol.config.base import Precision, ProtocolName
from wsol.data.ground_truth import GroundTruth, remedy_for
from wsol.data.multi_label import with_each_label, with_one_label
from wsol.data.open import columns_if_table, open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.boxes import COVERING, covers
from wsol.metrics.bootstrap import Rate
from wsol.metrics.evaluation import Evaluation, image_count
from wsol.metrics.evaluator import HUNDREDTHS
from wsol.metrics.localization import ProtocolResult
from wsol.metrics.protocols import PROTOCOLS, Protocol, protocols_named
from wsol.reports.charts import loss_chart, threshold_chart
from wsol.reports.gallery import Gallery
from wsol.reports.page import MAKER, Card, Page, Rates, Table, Tile, card_of, write_page
from wsol.reports.provenance import licences_of, provenance_of
from wsol.reports.table import NAMES, few_ranked, masked_of, metric_cell, with_interval
from wsol.runs.run import Run
from wsol.runs.saved_config import to_yaml
from wsol.runtime.progress import Progress
from wsol.storage.links import refuse_link
from wsol.storage.locks import held
from wsol.text import number_of
from wsol.training.curves import training_losses

PAGE_FILE = "index.html"
IMAGES = 1000
"""Largest number of images shown by default: a page of about 22 MB."""
OWN_PROTOCOL: ProtocolName = "original"
"""The protocol whose threshold and boxes the gallery shows."""


def report(
    run: str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    images: str | Path | None = None,
    protocol: str = ",".join(PROTOCOLS),
    max_images: int = IMAGES,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Path:
    """Write one HTML page with metrics, curves, and the outputs of the run for each image, worst first.

    Args:
        run: a finished run.
        data: labelled images, anything that `fit` takes; the test split if there is one. With annotated boxes the run
            is evaluated, too.
        out: folder for index.html, which needs no network; `run/report` by default. An older report in it is replaced.
        images: folder of the images, if it is not the usual one of the data set.
        protocol: protocols of the evaluation, separated by commas.
        max_images: largest number of images shown, spread evenly over all.
        device, precision, quiet: as for `predict`.

    Returns:
        Path of the page.

    Raises:
        WsolError: the run is not finished or has other classes, no image can be decoded, or index.html exists and is
            not a report.
    """
    if max_images < 1:
        raise WsolError(
            "--max-images", expected="at least 1", got=f"{max_images}", remedy="A thousand make a page of about 22 MB."
        )
    protocols = protocols_named(protocol)
    folder = Path(run) / "report" if out is None else Path(out)
    if out is None:
        refuse_link(folder)
    with held(folder, "wsol report", "name another --out"):
        columns = columns_if_table(Path(data), Run.open(run).config.columns)
        data_set = open_ground_truth(
            Path(data), None if images is None else Path(images), multi_label=True, columns=columns
        )
        return write_report(
            Path(run),
            data_set,
            folder,
            protocols=protocols,
            images=max_images,
            device=device,
            precision=precision,
            progress=Progress(quiet=quiet),
        )


def write_report(
    run: Path,
    data: DataSet,
    folder: Path,
    *,
    protocols: Sequence[Protocol] = tuple(PROTOCOLS.values()),
    images: int = IMAGES,
    title: str | None = None,
    notes: Sequence[str] = (),
    tables: Sequence[Table] = (),
    device: str = "auto",
    precision: Precision = "auto",
    progress: Progress,
) -> Path:
    """Evaluate the run if there is ground truth, run its networks on the test images, and write `folder`/index.html.

    The file appears only when it is complete, and replaces an older report.

    Args:
        run: folder of a finished run.
        data: labelled images.
        folder: folder for index.html.
        protocols: protocols of the evaluation.
        images: largest number of images shown, spread evenly; the metrics are over all images.
        title: title of the page; by default it names the run.
        notes: shown before the notes about the run.
        tables: shown before the tables of the run.
        device, precision: as for `wsol predict`.
        progress: shows how far the work is.

    Returns:
        Path of the page.

    Raises:
        WsolError: the run is not finished or has other classes, no image can be decoded, or index.html exists and is
            not a report.
    """
    path = folder / PAGE_FILE
    check_replaceable(path)
    gallery = Gallery(run, device, precision)
    data = data if gallery.run.is_multi_label else with_one_label(data)
    samples = evaluate.labelled_as_trained(list(with_each_label(data).test), data, gallery.localizer.class_names, run)
    ground_truth, why_not = _ground_truth(data)
    evaluation = None
    if ground_truth is not None:
        evaluation = evaluate.evaluate_run(
            gallery.run,
            data,
            which="seg",
            protocols=protocols,
            threshold=None,
            device=device,
            precision=precision,
            progress=progress,
        )
    else:
        progress.say(f"report: not evaluated. {why_not}")
    chosen = spread(samples, images)
    cards = [card_of(item) for item in gallery(chosen, ground_truth, progress)]
    if not cards:
        raise WsolError(f"none of {number_of(len(chosen), 'image')} can be decoded; the first: {gallery.broken[0]}")
    write_page(
        path,
        _page(
            run,
            data,
            gallery,
            cards,
            evaluation,
            len(samples),
            title,
            [
                *notes,
                *_notes(data, gallery.networks.has_maps, is_judged=evaluation is not None),
                *_method_notes(gallery.run),
            ],
            tables,
        ),
    )
    progress.say(f"report: {number_of(len(cards), 'image')}, {path.stat().st_size / 1e6:.1f} MB")
    return path


def check_replaceable(path: Path) -> None:
    """Refuse to overwrite a file that is not a report.

    Args:
        path: the page to be written.

    Raises:
        WsolError: a folder or another file has that name.
    """
    if path.is_dir() or (path.is_file() and f'<meta name="generator" content="{MAKER} ' not in _start_of(path)):
        raise WsolError(
            f"{path} exists and was not written by wsol report",
            expected="no file, or an older report",
            remedy="Name another folder with --out, or move the file.",
        )


def _start_of(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(4000)


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Select samples at even distances.

    Args:
        samples: all samples.
        count: the largest number to select.

    Returns:
        The selected samples, in order.
    """
    if len(samples) <= count:
        return list(samples)
    return [samples[i * len(samples) // count] for i in range(count)]


def _ground_truth(data: DataSet) -> tuple[GroundTruth | None, str]:
    """The ground truth, or the reason why there is none."""
    try:
        ground_truth = data.read_ground_truth()
    except WsolError as error:
        return None, str(error)
    if any(sample.image_id in ground_truth for sample in data.test):
        return ground_truth, ""
    return (
        None,
        (
            f"no usable annotated boxes for the {number_of(len(data.test), 'image')} of {data.root}."
            f" {remedy_for(ground_truth.mistakes)}"
        ),
    )


def _notes(data: DataSet, has_scores: bool, *, is_judged: bool) -> list[str]:
    notes = []
    if not is_judged:
        advice = " With about twenty boxes that you annotate, wsol calibrate measures how reliable the scores are."
        notes.append(
            "Without annotated boxes it is unknown how many of the predicted boxes are correct."
            f"{advice if has_scores else ''}"
        )
    if not data.has_split:
        notes.append(
            "There is no test split: the run was trained on these images, with their class labels and without boxes."
        )
    return notes


def _method_notes(run: Run) -> list[str]:
    """What differs from the report of a SPOL run."""
    method, spec = run.config.method, run.spec
    if spec.output == "masks":
        return []
    if not spec.has_maps:
        return [
            f"{method} predicts a box directly: there is no map, no mask, no threshold to move and no score to sort by."
        ]
    notes = [f"Mask and box are cut from the map of {method}; there is no pseudo mask."]
    if spec.needs_labels:
        notes.append(
            "Maps are of the labelled class, as in wsol evaluate. wsol predict does not know the label: if the run"
            " predicts another class, or none, its box may differ."
        )
    if not spec.is_trained:
        notes.append(f"{method} trains no network: it reads the training images once, so there is no loss curve.")
    return notes


def _page(
    run: Path,
    data: DataSet,
    gallery: Gallery,
    cards: list[Card],
    evaluation: Evaluation | None,
    count: int,
    title: str | None,
    notes: list[str],
    tables: Sequence[Table],
) -> Page:
    config, calibration = gallery.run.config, gallery.run.calibration()
    box = gallery.localizer.box
    if len(cards) + len(gallery.broken) < count:
        numbers = "the metrics are over all" if evaluation is not None else "and the numbers are over these"
        notes = [
            *notes,
            (
                f"{len(cards)} of {number_of(count, 'image')} {'is' if len(cards) == 1 else 'are'} shown, spread"
                f" evenly; {numbers}."
            ),
        ]
    own = _own(evaluation)
    mistakes = [] if evaluation is None else [*evaluation.left_out, *map(str, evaluation.mistakes)]
    return Page(
        title=title or f"Report of {run.resolve().name}",
        box=box,
        cards=cards,
        notes=notes,
        tiles=(
            _tiles_without_boxes(cards, calibration is not None and calibration.curve is not None)
            if evaluation is None
            else _tiles(evaluation)
        ),
        tables=[*tables, *([] if evaluation is None else [_protocols(evaluation)])],
        charts=[] if own is None else [threshold_chart(own, box.threshold)],
        losses=[loss_chart(name, values) for name, values in training_losses(run).items()],
        rates=None if own is None else _rates(own, box.threshold),
        per_class=_per_class(cards) if evaluation is None else _evaluated_per_class(evaluation),
        provenance={
            "data": data.describe(),
            "shown": f"{number_of(len(cards), 'image')} of {'the test split' if data.has_split else 'all'}",
            "boxes that cover the image": (
                f"{sum(map(_is_covered, cards))} of {len(cards)} (at least {COVERING:.0%} of its area)"
            ),
        }
        | provenance_of(gallery.run, calibration),
        licences=licences_of(config),
        config=to_yaml(config),
        left_out=list(dict.fromkeys([*gallery.broken, *mistakes])),
    )


def _is_covered(card: Card) -> bool:
    return any(covers([float(edge) for edge in box.split()], card.image_hw) for box in card.boxes)


def _tiles(evaluation: Evaluation) -> list[Tile]:
    """The most important metrics."""
    asked = {
        "gt_known": ("correct boxes", "GT-known Loc"),
        "top1_loc": ("box and class correct", "Top-1 Loc"),
        "max_box_acc_v2": ("correct boxes at the best thresholds, mean over IoU 0.3, 0.5 and 0.7", "MaxBoxAccV2"),
        "score_auc": ("probability that a correct box scores higher than a wrong one", "AUC"),
    }
    tiles = []
    for metric, (what, called) in asked.items():
        name = _protocol_of(metric, evaluation)
        if name is not None:
            rate = evaluation.results[name].rates[metric]
            if not evaluation.results[name].has_thresholds():
                what = what.replace(" at the best thresholds", "")
            few = few_ranked(evaluation.results[name]) if metric == "score_auc" else None
            interval = f"{rate.low:.1f} to {rate.high:.1f}; {called}, protocol {name}{f', {few}' if few else ''}"
            tiles.append(Tile(f"{rate.value:.1f} %", what, interval))
    return tiles


def _protocol_of(metric: str, evaluation: Evaluation) -> ProtocolName | None:
    """The first protocol with the metric. The AUC is of the same boxes as GT-known Loc, or absent: another protocol's
    AUC would mislead.
    """
    with_it = "gt_known" if metric == "score_auc" else metric
    name = next((name for name, one in evaluation.results.items() if with_it in one.rates), None)
    return name if name is not None and metric in evaluation.results[name].rates else None


def _protocols(evaluation: Evaluation) -> Table:
    """One column per protocol, one line per metric."""
    each = evaluation.results
    metrics = [metric for metric in NAMES if any(metric in one.rates for one in each.values())]
    thresholds = {name: evaluation.thresholds[name] for name in each}
    rows = [
        ("images", *(str(image_count(one)) for one in each.values())),
        ("images without an object", *(str(one.empty() or "") for one in each.values())),
        ("threshold", *("" if value is None else f"{value:.2f}" for value in thresholds.values())),
        ("best threshold", *(_best(one) for one in each.values())),
        *((NAMES[metric], *(_rate(one, metric) for one in each.values())) for metric in metrics),
    ]
    few = {name: few_ranked(one) for name, one in each.items()}
    ranked = "".join(f"The AUC under {name} compares {what}. " for name, what in few.items() if what is not None)
    masked = max(one.masked() for one in each.values())
    masks = f"{masked_of(masked, int(next(iter(each.values())).has_object.sum()))} " if masked else ""
    best = "Best thresholds are chosen with the annotated boxes: they are not available without annotations."
    caption = ranked + masks + best if any(one.has_thresholds() for one in each.values()) else (ranked + masks).strip()
    return Table(
        f"{evaluation.what} under each protocol, in percent, with 95 % intervals",
        [("protocol", *each), *(row for row in rows if any(row[1:]))],
        caption,
    )


def _best(result: ProtocolResult) -> str:
    if not result.has_thresholds():
        return ""
    return ", ".join(dict.fromkeys(f"{result.best_threshold(level):.2f}" for level in result.protocol.levels))


def _rate(result: ProtocolResult, metric: str) -> str:
    return metric_cell(metric, result.rates)


def _own(evaluation: Evaluation | None) -> ProtocolResult | None:
    """The result under the protocol whose boxes the gallery shows, if boxes of maps are evaluated."""
    own = None if evaluation is None else evaluation.results.get(OWN_PROTOCOL)
    return own if own is not None and own.has_thresholds() else None


def _rates(result: ProtocolResult, own: float) -> Rates:
    curve = 100 * result.curve()
    at = [round(float(curve[np.abs(result.thresholds - x).argmin()]), 2) for x in (*HUNDREDTHS, own)]
    return Rates(at[:-1], at[-1], int(result.is_evaluated().sum()))


def _evaluated_per_class(evaluation: Evaluation) -> Table:
    """Metrics by class, the lowest first."""
    name = OWN_PROTOCOL if OWN_PROTOCOL in evaluation.results else next(iter(evaluation.results))
    rows = evaluation.per_class(name)
    metrics = [
        metric
        for metric in (
            "gt_known",
            "top1_loc",
            "mean_box_iou",
            "mask_iou",
            "max_box_acc",
            "max_box_acc_v2",
            "empty_correct",
        )
        if metric in evaluation.results[name].rates
    ]

    def rank(row: tuple[str, tuple[int, dict[str, Rate]]]) -> tuple[bool, list[float]]:
        _, (_, rates) = row
        return "empty_correct" in rates, [rates[metric].value for metric in metrics if metric in rates]

    worst_first = sorted(rows.items(), key=rank)  # classes without objects last
    cells = [
        (class_name, str(n), *(with_interval(rates[metric]) if metric in rates else "" for metric in metrics))
        for class_name, (n, rates) in worst_first
    ]
    header = ("class", "n", *(f"{NAMES[metric]}, %" for metric in metrics))
    return Table(f"Protocol {name}, lowest accuracy first. Click a class to see its images.", [header, *cells])


def _per_class(cards: Sequence[Card]) -> Table:
    """Without annotated boxes: the mean score by class, and how often the class is predicted as labelled."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(card.class_name, []).append(card)
    counts = {name: _counts(group) for name, group in groups.items()}
    least_first = sorted(counts, key=lambda name: (float(counts[name].get(SCORE, 0)), name))
    rows = [("class", *counts[least_first[0]]), *((name, *counts[name].values()) for name in least_first)]
    order = "Lowest score first. " if SCORE in counts[least_first[0]] else ""
    return Table(f"{order}Click a class to see its images.", rows)


IMAGES_SHOWN, SCORE, EMPTY, NAMED = "images", "mean score", "nothing found", "correct class, %"


def _counts(cards: Sequence[Card]) -> dict[str, str]:
    """What can be counted without annotated boxes, by name, as far as the run predicts scores and classes."""
    is_correct = [card.predicted_name == card.class_name for card in cards if card.predicted_name is not None]
    scores = [card.score for card in cards if card.score is not None]
    counts = {IMAGES_SHOWN: str(len(cards))}
    if scores:
        counts[SCORE] = f"{np.mean(scores):.3f}"
    counts[EMPTY] = str(sum(not card.boxes for card in cards))
    if is_correct:
        counts[NAMED] = f"{100 * np.mean(is_correct):.1f}"
    return counts


def _tiles_without_boxes(cards: Sequence[Card], is_calibrated: bool) -> list[Tile]:
    """Numbers of a run without annotated boxes."""
    counts = _counts(cards)
    what = "estimated fraction of correct boxes" if is_calibrated else "it ranks boxes, and is not a probability"
    tiles = [
        Tile(counts[IMAGES_SHOWN], "images", "shown"),
        Tile(counts[EMPTY], "without a box", "nothing found"),
    ]
    if SCORE in counts:
        tiles.append(Tile(counts[SCORE], "mean score", what))
    if NAMED in counts:
        tiles.append(Tile(f"{counts[NAMED]} %", "predicted class equals the label", "correct class"))
    return tiles
