"""The command line: words to configuration to stage. Imports no torch at the top, so that `wsol --help` is quick."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn, TextIO

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnusedCliTokensError
from pydantic import ValidationError

from wsol.config.base import EngineName, Objects, Precision
from wsol.config.groups import groups_of, needs_labels, options_read, stage_folders
from wsol.config.messages import told
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.runtime.interrupts import INTERRUPTED, EndedBySignals
from wsol.runtime.processes import part
from wsol.runtime.terminal import answer, prepare, tell, visible
from wsol.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsol.metrics.evaluation import Evaluation
    from wsol.metrics.protocols import Protocol

app = App(
    name="wsol",
    help="Photographs with nothing but class labels in, boxes and masks out.",
    version=__version__,
    suppress_keyboard_interrupt=False,  # `main` says what was saved
    help_epilogue="Start with `wsol demo`, or with your own folder of class folders: `wsol fit DATA --run runs/mine`.",
)

Run = Annotated[Path, Parameter(help="Folder of the run; made if absent.")]
Choices = Annotated[RunConfig | None, Parameter(name="*")]
Epochs = Annotated[int | None, Parameter(help="Epochs of every training stage; `--cam.epochs` and its like set one.")]
Freeze = Annotated[
    int | None,
    Parameter(
        help="Backbone stages, from the image on, that every training leaves as they were pretrained; `--seg.freeze` and its like set one."
    ),
]
PerClass = Annotated[bool, Parameter(negative="")]
Images = Annotated[Path | None, Parameter(help="Where the pictures are, if not in the data set's usual place.")]
DryRun = Annotated[bool, Parameter(negative="", help="Print the resolved configuration and the data set, and stop.")]


@app.command
def fit(
    data: Path,
    *,
    run: Run,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Learn from labelled images: all stages of the recipe, or another `--method`. The same command continues an interrupted run.

    Parameters
    ----------
    data
        A folder of class folders (with train/ and test/ if you have a split), a CSV table (path,label), COCO JSON, PASCAL VOC,
        or CUB-200-2011, ImageNet-1K and wsolevaluation's lists as published.
    """
    _stage("fit", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


@app.command
def train_cam(
    data: Path,
    *,
    run: Run,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 1: learn the classes, and with them the class activation maps. A new run then goes on with their masks (`--pseudo.masks thresholds`)."""
    _stage("train_cam", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


@app.command
def make_pseudo(
    data: Path, *, run: Run, dry_run: DryRun = False, images: Images = None, config: Choices = None
) -> None:
    """Stage 2: pseudo masks, from cues that need no training or from stage 1's maps."""
    _stage("make_pseudo", data, images, run, _ForTrainings(), dry_run, config)


@app.command
def train_seg(
    data: Path,
    *,
    run: Run,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 3: learn one class-agnostic mask from the pseudo masks."""
    _stage("train_seg", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


@app.command
def train_classifier(
    data: Path,
    *,
    run: Run,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 4: fine-tune the classifier that names the boxes."""
    _stage("train_classifier", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


@app.command
def predict(
    run: Path, images: Path, *, out: Path, threshold: float | None = None, objects: Objects | None = None, device: str = "auto", precision: Precision = "auto",
    engine: EngineName = "torch",
) -> None:  # fmt: skip
    """Find the objects in pictures: boxes, masks, scores and classes.

    Parameters
    ----------
    run
        A finished run.
    images
        A picture, or a folder of pictures at any depth.
    out
        New folder for predictions.jsonl. The same command continues an interrupted prediction.
    threshold
        Foreground probability above which a pixel belongs to the mask; the run's own by default. Where each image has its own
        threshold (a run of the recipe wsol), its map is shifted so that it stands at the run's, and this one cuts the shifted map.
    objects
        The largest object of each picture, or all; the run's own choice by default.
    engine
        What computes the networks: PyTorch, or onnxruntime from RUN/model.onnx, which is made on first use
        (`pip install 'wsol[export]'`).
    """
    from wsol.commands import predict as stage
    from wsol.runtime.progress import Progress

    _check_share("threshold", threshold)
    try:
        folder = stage.run(
            run, images, out, threshold=threshold, objects=objects, device=device, precision=precision,
            engine_name=engine, progress=Progress(quiet=not part().is_first),
        )  # fmt: skip
    except KeyboardInterrupt:
        if stage.is_begun(out):
            raise
        raise KeyboardInterrupt("interrupted before anything was saved; the same command starts again") from None
    if part().is_first:
        answer(folder)


@app.command
def export(
    predictions: Path, *, out: Path,
    format: Literal["coco", "yolo", "yolo-polygons", "voc", "labelstudio", "cvat", "fiftyone", "csv", "crops", "masks"],
    reviewed: Annotated[bool, Parameter(negative="")] = False, with_undecided: Annotated[bool, Parameter(negative="")] = False,
    classes: Literal["predicted", "folder"] = "predicted", images: Path | None = None,
) -> None:  # fmt: skip
    """Write predictions in the format of another tool.

    Parameters
    ----------
    predictions
        What `wsol predict` wrote.
    format
        coco (instances and results), yolo (boxes, with the pictures), yolo-polygons (outlines of masks), voc (PASCAL VOC XML),
        labelstudio (tasks and labels), cvat (CVAT for images 1.1), fiftyone (a folder with the pictures), csv (one line an
        object), crops (a folder for each class), masks (one PNG a picture).
    out
        New folder for the export; its README.txt says how to load it.
    reviewed
        Only the pictures that were accepted or corrected in `wsol review`, as they were left there. Rejected ones are left out,
        and those nobody has looked at. Boxes drawn or moved have no mask: yolo-polygons and masks leave their pictures out.
    with_undecided
        With --reviewed: the pictures nobody has looked at too, as predicted.
    classes
        predicted, or folder: of a picture below a folder named exactly like a class of the run, that class; the folder that
        `wsol predict` was given counts, too. Other pictures keep the predicted one. With --reviewed a class that was chosen
        on the page wins, be it the predicted one; who only accepts a picture chooses none.
    images
        The folder of the images, if they moved since. Also needed where images are copied and it is not sure that you mean these:
        the predictions are another user's, or an image is a link that leads out of the folder.
    """
    from wsol.commands import export as stage
    from wsol.runtime.progress import Progress

    if with_undecided and not reviewed:
        raise WsolError(
            "--with-undecided goes with --reviewed: without that everything is exported. Add it, or leave both out."
        )
    folder = stage.run(
        predictions, format, out, is_reviewed=reviewed, with_undecided=with_undecided, classes=classes,
        images=images, progress=Progress(),
    )  # fmt: skip
    answer(folder)


@app.command
def review(
    predictions: Path, *, sample: int | None = None, port: int | None = None,
    open_browser: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> None:  # fmt: skip
    """Go through predictions in a browser: accept, reject, correct boxes and classes. Needs `pip install 'wsol[review]'`.

    The page is for this machine alone (127.0.0.1). Each decision is in PREDICTIONS/review.jsonl before the page says so;
    Ctrl-C ends it, the same command continues. Then `wsol export PREDICTIONS --reviewed --format FORMAT --out OUT`.

    Parameters
    ----------
    predictions
        What `wsol predict` wrote.
    sample
        Show only so many images, drawn at random, in place of all from the least confident on. 20 are enough to know roughly how good
        the run is: `wsol calibrate RUN --reviewed PREDICTIONS` says it, and learns the box threshold from them.
    port
        Of the page's address; a free one by default. To see the page of another machine: `ssh -L PORT:127.0.0.1:PORT`.
    open_browser
        Open the page in your browser.
    """
    from wsol.runtime.progress import Progress

    if port is not None and not 1 <= port <= 65535:
        raise WsolError(f"--port must be from 1 to 65535, got {port}. Leave it out for a free one.")
    if sample is not None and sample < 1:
        raise WsolError(f"--sample must be at least 1, got {sample}. 20 tell roughly how good a run is.")
    try:
        from wsol.review import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise WsolError(
            f"the review page needs {error.name}: expected what the extra `review` brings. Run `pip install 'wsol[review]'`."
        ) from None
    serve.run(predictions, port=port, open_browser=open_browser, progress=Progress(), sample=sample)


@app.command
def export_model(
    run: Path,
    *,
    format: Literal["onnx"],
    out: Path | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a run's networks as one file that needs neither PyTorch nor the run.

    Parameters
    ----------
    run
        A finished run.
    format
        onnx: uint8 pixels in, heatmap and class probabilities out; the file's metadata says the rest.
    out
        The file; model.onnx in the run by default, where `wsol predict --engine onnx` looks for it.
    check
        Compare the file with PyTorch on three shapes, and write it only if they agree.
    """
    from wsol.commands import export_model as stage
    from wsol.runtime.progress import Progress

    _check_outputs({"--out": out})
    file, differences = stage.run(run, out, check=check, progress=Progress())
    if check:
        answer(stage.as_table(differences))
    answer(file)


@app.command
def evaluate(
    run: Path | None = None, data: Path | None = None, *, truth: Path | None = None, heatmaps: Path | None = None, boxes: Path | None = None,
    classes: Path | None = None, images: Images = None, protocol: str | None = None, which: Literal["seg", "cam", "cues"] = "seg",
    threshold: float | None = None, threshold_step: float = 0.001, empty: Literal["wrong", "left-out"] = "wrong", per_class: PerClass = False,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None, csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
    curve: Path | None = None, problems: Path | None = None, save_heatmaps: Path | None = None, workers: int = 1, device: str = "auto", precision: Precision = "auto",
) -> None:  # fmt: skip
    """Judge a run, or any system's results, on test pictures that have true boxes or masks, under the field's protocols.

    `wsol evaluate RUN DATA` judges a run; `wsol evaluate --heatmaps DIR --truth TRUTH` (or `--boxes FILE`) another system.

    Parameters
    ----------
    run
        A finished run.
    data
        The data set with its boxes; its test split where it has one.
    truth
        The same for other systems' results; where it tells the pictures' sizes, the pictures need not be there.
    heatmaps
        A folder with one .npy per picture, named like its image id, with or without the picture's own suffix.
    boxes
        COCO results, a CSV table (path,x0,y0,x1,y1), what `wsol predict` wrote, or the folder of an export as coco or csv.
    classes
        For Top-1 and Top-5: a CSV table (path,first,second,...), or what `wsol predict` wrote.
    protocol
        original, spol, wsol-v1, wsol-v2, or several separated by commas. By default original; wsol-v1,wsol-v2 for maps.
    which
        Stage 3's masks (`seg`), or what its pseudo masks were made from, by itself: `cues`, or stage 1's maps (`cam`) where there is one.
    threshold
        Where the mask begins under original; the run's own by default.
    threshold_step
        How far apart the thresholds of wsol-v1 and wsol-v2 are.
    empty
        Under spol, a picture without a contour is wrong, or left out as in the published code.
    per_class
        A table per class too, and rows per class in the CSV file.
    json_file
        Also write the numbers here: a list with one object per protocol.
    csv_file
        Also write them here: one line per protocol, class and metric.
    curve
        Also draw the accuracy over the threshold here (.png, .svg, .pdf), with its numbers in a .csv beside it.
    problems
        Also list here what was not judged, what is wrong with the truth, and what else one should know.
    save_heatmaps
        Also write the run's maps below this folder, as --heatmaps reads them.
    workers
        Threads that evaluate other systems' maps.
    """
    from wsol.metrics.protocols import default_protocols, protocols_named
    from wsol.reports.curve import check_curve_file

    _check_numbers(threshold, threshold_step, workers)
    if curve is not None:
        check_curve_file(curve)
    numbers = None if curve is None else curve.with_suffix(".csv")
    _check_outputs(
        {"--json": json_file, "--csv": csv_file, "--problems": problems, "--curve": curve, "--curve's table": numbers}
    )
    _check_what_is_judged(run, data, truth, heatmaps, boxes)
    _check_what_goes_with_it(run, boxes, classes, curve, save_heatmaps)
    protocols = protocols_named(
        protocol or default_protocols(has_maps=heatmaps is not None), empty="wrong" if empty == "wrong" else "left out"
    )
    _check_rules(protocols, threshold, classes)
    from wsol.data.open import open_truth
    from wsol.runtime.progress import Progress

    if run is not None and data is not None:
        from wsol.commands import evaluate as stage

        result = stage.run(
            run, open_truth(data, images), which=which, protocols=protocols, threshold=threshold, step=threshold_step, device=device,
            precision=precision, heatmaps=save_heatmaps, progress=Progress(quiet=not part().is_first),
        )  # fmt: skip
    else:
        from wsol.commands import evaluate_results

        assert truth is not None
        result = evaluate_results.run(
            evaluate_results.Results(heatmaps, boxes, classes), open_truth(truth, images), protocols=protocols, threshold=threshold,
            step=threshold_step, workers=workers, progress=Progress(),
        )  # fmt: skip
    if part().is_first:
        _show(result, per_class=per_class, json_file=json_file, csv_file=csv_file, curve=curve, problems=problems)


@app.command
def calibrate(
    run: Path, *, reviewed: Path | None = None, boxes: Path | None = None, images: Images = None,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False, reset: Annotated[bool, Parameter(negative="")] = False,
    device: str = "auto", precision: Precision = "auto",
) -> None:  # fmt: skip
    """Learn the box threshold, and what a score is worth, from 5 to 50 drawn boxes. `predict` and `evaluate` then use both.

    With --reviewed it also says how many of all boxes are right, with an interval.

    Parameters
    ----------
    run
        A finished run.
    reviewed
        What `wsol predict` wrote, after `wsol review PREDICTIONS --sample 20`: these images and no others. Predict on others than
        those you evaluate on.
    boxes
        In place of --reviewed, images with drawn boxes: a CSV table (path,x0,y0,x1,y1), or whatever `wsol evaluate` takes as truth. Take others
        than those you judge on.
    json_file
        Also write the report here.
    dry_run
        Report, and leave the run as it is.
    reset
        Remove the calibration of the run instead.
    """
    from wsol.runs.calibration import FILE

    if (boxes is not None) + (reviewed is not None) + reset != 1:
        raise WsolError(
            "expected one of --reviewed PREDICTIONS or --boxes FEW to learn from, or --reset. See `wsol calibrate --help`."
        )
    if reset:
        _reset(run, json_file, is_dry=dry_run)
        return
    _check_outputs({"--json": json_file})
    from wsol.commands import calibrate as stage
    from wsol.reports.calibration_table import calibration_table
    from wsol.reports.table import print_table
    from wsol.runtime.progress import Progress
    from wsol.storage.folders import write_json

    result = stage.run(
        run,
        stage.few_of(boxes, reviewed, images),
        is_dry=dry_run,
        device=device,
        precision=precision,
        progress=Progress(),
    )
    _tell("not used", result.left_out, "`wsol check` says more")
    _tell("wrong in the boxes", result.mistakes, "`wsol check` says more")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, result.as_json())
    print_table(calibration_table(result))
    answer(
        f"Nothing is written, {run} stays as it is (--dry-run)."
        if dry_run
        else f"Written: {run / FILE}. Boxes and scores that were predicted before stay as they are: run `wsol predict` again, into a new folder."
    )


def _reset(run: Path, json_file: Path | None, *, is_dry: bool) -> None:
    from wsol.runs.calibration import FILE, reset_calibration
    from wsol.runs.run import Run
    from wsol.storage.locks import held

    if json_file is not None:
        raise WsolError("--json has nothing to say of a --reset: it is the report on drawn boxes. Leave it out.")
    Run.open(run)  # so that a misspelt run is told
    if not (run / FILE).exists():
        answer(f"{run} is not calibrated: nothing to remove")
    elif is_dry:
        answer(f"{run / FILE} would be removed; it stays (--dry-run).")
    else:
        with held(run, "wsol calibrate", "name another run"):
            reset_calibration(run)
        answer("calibration removed")


def _check_numbers(threshold: float | None, threshold_step: float, workers: int) -> None:
    _check_share("threshold", threshold)
    if not 0.0001 <= threshold_step <= 1:
        raise WsolError(f"--threshold-step must be from 0.0001 to 1, got {threshold_step}. The field's is 0.001.")
    if workers < 1:
        raise WsolError(f"--workers must be at least 1, got {workers}. It is a number of threads.")


def _check_what_is_judged(
    run: Path | None, data: Path | None, truth: Path | None, heatmaps: Path | None, boxes: Path | None
) -> None:
    of_run, of_results = (run is not None, data is not None), (heatmaps is not None, boxes is not None)
    if all(of_run) and not any((truth, *of_results)):
        return
    if not any(of_run) and truth is not None and sum(of_results) == 1:
        return
    raise WsolError(
        "expected what is judged and what it is compared with: either RUN DATA, or --heatmaps DIR --truth TRUTH, or --boxes FILE --truth TRUTH. See `wsol evaluate --help`."
    )


def _check_what_goes_with_it(
    run: Path | None, boxes: Path | None, classes: Path | None, curve: Path | None, save_heatmaps: Path | None
) -> None:
    if boxes is not None and curve is not None:
        raise WsolError("--curve needs maps: boxes have no threshold. Leave it out, or judge --heatmaps.")
    if run is not None and classes is not None:
        raise WsolError("--classes is for other systems' results: a run names its own classes. Leave it out.")
    if run is None and save_heatmaps is not None:
        raise WsolError("--save-heatmaps writes the maps of a run: expected RUN DATA. Leave it out, or name a run.")


def _check_rules(protocols: Sequence[Protocol], threshold: float | None, classes: Path | None) -> None:
    """Refuse what no protocol asked for would look at."""
    if threshold is not None and not any(one.threshold == "own" for one in protocols):
        names = ", ".join(one.name for one in protocols)
        raise WsolError(
            f"--threshold is for protocol original: {names} has its own rule. Leave it out, or add original to --protocol."
        )
    if classes is not None and all(one.threshold == "best" for one in protocols):
        raise WsolError(
            "--classes is for Top-1 and Top-5 Loc, which wsol-v1 and wsol-v2 do not have. Leave it out, or add original or spol to --protocol."
        )


def _show(
    result: Evaluation, *, per_class: bool, json_file: Path | None, csv_file: Path | None, curve: Path | None, problems: Path | None,
) -> None:  # fmt: skip
    from wsol.reports.curve import write_curve
    from wsol.reports.table import evaluation_table, per_class_table, print_table
    from wsol.storage.folders import write_json, write_text

    # Ahead of the tables, which end the command where nobody reads on (`| head`).
    for file in (json_file, csv_file, problems):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
    if json_file is not None:
        write_json(json_file, result.as_json())
    if csv_file is not None:
        write_text(csv_file, result.as_csv(per_class=per_class))
    if problems is not None:
        write_text(
            problems, "".join(f"{visible(str(line))}\n" for line in (*result.notes, *result.left_out, *result.mistakes))
        )
    try:
        if curve is not None:
            write_curve(curve, result)
    finally:  # a curve that cannot be drawn costs no table
        _tell_problems(result, problems)
        for name in result.judged:
            print_table(evaluation_table(result, name))
            if per_class:
                print_table(per_class_table(result, name))


SHOWN_PROBLEMS = 10


def _tell_problems(result: Evaluation, problems: Path | None) -> None:
    """Say on the error stream what was not judged and what is wrong with the truth; the first of many."""
    from wsol.data.truth import counted

    more = "see the file" if problems is not None else "`--problems FILE` lists all"
    _tell("note", result.notes, more)
    _tell("not judged", result.left_out, more)
    _tell("wrong in the truth", result.mistakes, more)
    if result.mistakes:
        kinds = ", ".join(f"{n} x {kind}" for kind, n in counted(result.mistakes).items())
        tell(f"mistakes in the truth: {kinds}")


def _tell(title: str, lines: Sequence[object], more: str) -> None:
    for line in lines[:SHOWN_PROBLEMS]:
        tell(f"{title}: {line}")
    if len(lines) > SHOWN_PROBLEMS:
        tell(f"{title}: {len(lines)} in all; {more}")


@app.command
def check(
    data: Path, *, images: Images = None, json_file: Annotated[Path | None, Parameter(name="--json")] = None, page: Path | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
) -> None:  # fmt: skip
    """Look at a data set before training on it: broken, odd, duplicate and unlabelled pictures, small classes, mistakes in the truth.

    Parameters
    ----------
    data
        Whatever `wsol fit` or `wsol evaluate` takes as data or truth.
    json_file
        Also write everything here.
    page
        Also write an HTML page here that shows the pictures found; it needs no network.
    strict
        Exit 1 if anything is worse than an info.
    """
    from wsol.checks import run as stage
    from wsol.checks.table import print_findings
    from wsol.data.open import open_truth
    from wsol.runtime.progress import Progress

    _check_outputs({"--json": json_file, "--page": page})
    findings = stage.run(open_truth(data, images), Progress())
    if json_file is not None:
        from wsol.storage.folders import write_json

        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, findings.as_json())
    if page is not None:
        from wsol.checks.page import write_check_page

        page.parent.mkdir(parents=True, exist_ok=True)
        write_check_page(page, findings)
    print_findings(findings)
    if strict and findings.is_wrong:
        sys.exit(1)
    if findings.is_wrong:
        tell("exit code 0: with --strict it is 1 where something should be mended")


def _check_outputs(files: dict[str, Path | None]) -> None:
    seen: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        if file.is_dir():
            raise WsolError(f"{option} {file} is a folder: expected the name of a file. Name one in it.")
        above = next(parent for parent in file.absolute().parents if parent.exists())
        if not above.is_dir():
            raise WsolError(f"{option} {file}: {above} is a file: expected a folder there. Name another place.")
        if (other := seen.setdefault(file.resolve(), option)) != option:
            raise WsolError(f"{other} and {option} are both {file}: expected two files. Rename one of them.")


@app.command
def report(
    run: Path, data: Path, *, out: Path | None = None, images: Images = None, protocol: str = "original,spol,wsol-v1,wsol-v2", pictures: int = 1000,
    device: str = "auto", precision: Precision = "auto",
) -> None:  # fmt: skip
    """Write one HTML page to look at and to pass on: numbers, curves, and what the run makes of every picture, worst first.

    Parameters
    ----------
    run
        A finished run.
    data
        Labelled pictures, whatever `wsol fit` takes; those of the test split where there is one. Where they have true boxes, the run
        is judged too.
    out
        Folder for index.html, which needs no network; RUN/report by default. An older report in it is replaced.
    protocol
        Those that the run is judged under, separated by commas.
    pictures
        At most so many are shown, spread evenly over all.
    """
    from wsol.metrics.protocols import protocols_named

    if pictures < 1:
        raise WsolError(f"--pictures must be at least 1, got {pictures}. A thousand make a page of about 18 MB.")
    protocols = protocols_named(protocol)
    from wsol.data.open import open_truth
    from wsol.reports import write_report
    from wsol.runtime.progress import Progress
    from wsol.storage.links import refuse_link
    from wsol.storage.locks import held

    folder = out or run / "report"
    if out is None:
        refuse_link(folder)
    with held(folder, "wsol report", "name another --out"):
        page = write_report.run(
            run, open_truth(data, images), folder, protocols=protocols, pictures=pictures, device=device, precision=precision,
            progress=Progress(),
        )  # fmt: skip
    answer(page)


@app.command
def doctor(
    *, run: Path = Path(), backbone: str = RunConfig().backbone, weights: Path | None = None, offline: Annotated[bool, Parameter(negative="")] = False,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:  # fmt: skip
    """Try this machine: a tiny job with every part that a run needs, each ok, warn or fail, and what mends it. Exit 1 if any fails.

    Parameters
    ----------
    run
        Where a run would be kept; its disk is looked at.
    backbone
        The timm model that you want to use.
    weights
        Its ImageNet weights, if they are in a file.
    offline
        Do not ask timm's hub.
    json_file
        Also write the lines here.
    """
    from wsol.doctor.checks import all_checks, examine
    from wsol.doctor.table import print_doctor
    from wsol.doctor.worker import Worker
    from wsol.runtime.progress import Progress

    _check_outputs({"--json": json_file})
    with Worker() as worker:
        checks = all_checks(worker, run, backbone, weights, is_offline=offline)
        lines = list(examine(checks, Progress()))
    if json_file is not None:
        from dataclasses import asdict

        from wsol.storage.folders import write_json

        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, [asdict(line) for line in lines])
    print_doctor(lines)
    if any(line.state == "fail" for line in lines):
        sys.exit(1)


@app.command
def demo(out: Path = Path("wsol-demo"), *, seed: int = 0) -> None:
    """Generate a small synthetic data set, run everything on it, and show what came out. Needs nothing; takes minutes.

    Parameters
    ----------
    out
        Folder for data, run and report. The same command continues an interrupted demo.
    seed
        Another seed, other pictures.
    """
    from wsol.demo import run as stage
    from wsol.reports.table import print_table
    from wsol.runtime.progress import Progress
    from wsol.storage.locks import held

    doing, otherwise = "wsol demo", "name another --out"
    with held(out, doing, otherwise), held(out / "run", doing, otherwise), held(out / "plain-cam", doing, otherwise):
        result = stage.run(out, seed, Progress())
    print_table(result.table)
    answer(f"pictures: {result.strip}\npage:     {result.page}")


def _stage(
    name: str, data: Path, images: Path | None, run: Path, for_trainings: _ForTrainings, dry_run: bool, given: RunConfig | None
) -> None:  # fmt: skip
    from wsol.data.open import open_data
    from wsol.data.unread import in_words, unread_of
    from wsol.runs.outside import check_outside
    from wsol.runs.saved_config import is_begun, preview, to_yaml, with_stage_one

    if name == "train_cam":
        given = with_stage_one(run, given)
    given = for_trainings.added_to(run, given or RunConfig())
    config = preview(run, given)
    if dry_run:
        found = open_data(data, images, needs_labels=needs_labels(config))
        check_outside(run, found)
        _check_names(config)
        _tell("note", found.notes(), "`wsol check` says more")
        unread = in_words(unread_of(found))
        answer(f"# {found.describe()}{unread and f'; {unread}'}\n{to_yaml(config)}".removesuffix("\n"))
        return
    from wsol.config.groups import networks_of
    from wsol.models.weights import check_weights

    # Ahead of torch, whose import alone takes seconds: who is offline is told at once.
    own = {
        "fit": networks_of(config),
        "train_cam": ("cam",),
        "train_seg": ("seg",),
        "train_classifier": ("classifier",),
    }
    check_weights(run, config, own.get(name, ()))
    import wsol

    try:
        folder = getattr(wsol, name)(data, run, given, images=images)
    except KeyboardInterrupt as stop:
        if str(stop) or any(map(is_begun, (run / stage for stage in stage_folders(config)))):
            raise
        raise KeyboardInterrupt("interrupted before anything was saved; the same command starts again") from None
    if part().is_first:
        answer(folder or "the configuration goes without a classifier of its own: nothing to do")


def _check_names(config: RunConfig) -> None:
    from wsol.models.weights import BUNDLED

    # The list of names comes with timm, whose import takes seconds; the default is known without.
    if config.backbone != BUNDLED or config.classifier not in ("same", "localizer", "none", BUNDLED):
        from wsol.models.backbone import check_names

        check_names(config)


class _ForTrainings(NamedTuple):
    """What is said for every training stage at once."""

    epochs: int | None = None
    freeze: int | None = None

    def added_to(self, run: Path, given: RunConfig) -> RunConfig:
        """The same for each training stage that the run has and whose own was not set."""
        given = _for_all(run, given, "epochs", self.epochs, 1, {"steps": None})
        return _for_all(run, given, "freeze", self.freeze, 0, {})


def _for_all(
    run: Path, given: RunConfig, name: str, value: int | None, least: int, beside: dict[str, object]
) -> RunConfig:
    from wsol.runs.saved_config import preview

    if value is None:
        return given
    if value < least:
        raise WsolError(f"--{name} must be at least {least}, got {value}. Leave it out for what the recipe has.")
    asked = given.model_dump(exclude_unset=True)
    config = preview(run, given)
    trained = [group for group in groups_of(config) if name in options_read(config, group)]
    if not trained:
        raise WsolError(
            f"method {config.method} trains nothing: expected no --{name}, got --{name} {value}. Choose another `--method`, or leave it out."
        )
    for group in trained:
        asked[group] = {name: value} | beside | asked.get(group, {})
    return RunConfig.model_validate(asked)


def _check_share(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise WsolError(f"--{name} must be between 0 and 1, got {value}. It is compared with a probability.")


def main(arguments: list[str] | None = None) -> None:
    """Run one command: exit 0 when done, 2 for what the user can fix, 130 after Ctrl-C or SIGTERM, 141 where nobody reads on; a bug shows its traceback.

    With `arguments` from Python, signals are the caller's.
    """
    prepare()  # ahead of the signals, which open files of their own
    if arguments is not None:
        return _main(arguments, None)
    with EndedBySignals() as signals:
        _main(None, signals)


def _main(arguments: list[str] | None, signals: EndedBySignals | None) -> None:
    # Pillow warns of pictures above 89 megapixels, which are decoded all the same.
    warnings.filterwarnings("ignore", "Image size", module="PIL")
    try:
        try:
            _run(arguments, signals)
        except SystemExit:  # with a status of its own, and perhaps words that wait to be written
            _flush()
            raise
        _flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout) and not _is_unread(sys.stderr):
            raise
        _end_unread()
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # rich makes an exit of its own of it
            raise
        _end_unread()


def _run(arguments: list[str] | None, signals: EndedBySignals | None) -> None:
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _refuse(_plain(error))
    except ValidationError as error:
        _refuse(told(error))
    except WsolError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno not in _USERS_DISK:
            raise
        _refuse(
            f"{_USERS_DISK[error.errno]}: {error}. What was finished is kept; mend that, and the same command continues."
        )
    except KeyboardInterrupt as stop:
        if signals is not None:
            signals.is_ending = True
        tell(str(stop) or "interrupted; the same command continues")
        sys.exit(INTERRUPTED)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
        _refuse(
            f"cannot write to standard output ({error.strerror}): expected a place for it. The work is done and kept; the same command says the result again."
        )


def _is_unread(stream: TextIO) -> bool:
    """Whether it is a pipe at whose other end nobody reads any more."""
    if not hasattr(select, "poll"):  # Windows, where what could not be written fails once more
        try:
            stream.flush()
        except OSError:
            return True
        return False
    pipe = select.poll()
    pipe.register(stream, 0)  # what has gone wrong is told without being asked for
    return bool(pipe.poll(0))


def _end_unread() -> NoReturn:
    """As `| head` ends every program: without a word, with the status of SIGPIPE."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if _is_unread(stream):
            os.dup2(nowhere, stream.fileno())  # or Python would complain at its end
    sys.exit(128 + getattr(signal, "SIGPIPE", 13))


_USERS_DISK = {
    errno.ENOSPC: "no space left on the disk",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENAMETOOLONG: "a path is longer than the disk allows",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "a file or folder may not be written or read",
}


def _plain(error: CycloptsError) -> str:
    if isinstance(error.__cause__, ValidationError):
        return told(error.__cause__)
    command = " ".join(("wsol", *(error.command_chain or ())))
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        words = " ".join(error.unused_tokens)
        return f"{words!r} is more than `{command}` takes: expected no further word. A path with spaces needs quotes ('my photos'); see `{command} --help` for the rest."
    if type(error) is MissingArgumentError and error.argument is not None:
        meant = str(error).partition("requires an argument.")[2]  # Did you mean ...?
        name = error.argument.name
        if error.keyword or error.argument.tokens:
            return f"{name} has no value: expected one behind it. See `{command} --help`."
        shown = name if error.argument.field_info.is_keyword_only else name.removeprefix("--").upper()
        return f"{shown} is missing: `{command}` needs it.{meant} See `{command} --help`."
    return str(error)


def _refuse(message: str) -> None:
    tell(f"error: {message}")
    sys.exit(2)
