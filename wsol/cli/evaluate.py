"""`wsol evaluate` and `wsol calibrate`: everything that needs annotated boxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from wsol.cli.common import Flag, Images, JsonFile, check_outputs, report_lines
from wsol.config.base import Precision
from wsol.errors import WsolError
from wsol.runtime.processes import part
from wsol.runtime.terminal import print_line, print_result, visible

if TYPE_CHECKING:
    from wsol.metrics.evaluation import Evaluation


@dataclass(frozen=True)
class OtherResults:
    """Another system's results, in place of a run."""

    truth: Annotated[
        Path | None,
        Parameter(
            help=(
                "The data set with its boxes, for other systems' results; where it has the images' sizes, the images"
                " need not be there."
            )
        ),
    ] = None
    heatmaps: Annotated[
        Path | None,
        Parameter(
            help="A folder with one .npy an image, named like its image id, with or without the image's own suffix."
        ),
    ] = None
    boxes: Annotated[
        Path | None,
        Parameter(
            help=(
                "COCO results, a CSV table (path,x0,y0,x1,y1), what `wsol predict` wrote, or the folder of an export as"
                " coco or csv."
            )
        ),
    ] = None
    classes: Annotated[
        Path | None,
        Parameter(help="For Top-1 and Top-5: a CSV table (path,first,second,...), or what `wsol predict` wrote."),
    ] = None
    workers: Annotated[int, Parameter(help="Threads that evaluate other systems' maps.")] = 1


@dataclass(frozen=True)
class OfRun:
    """What is evaluated of a run, and where."""

    which: Annotated[
        Literal["seg", "cam", "cues"],
        Parameter(
            help=(
                "Stage 3's masks (`seg`), or what its pseudo masks were made from, by itself: `cues`, or stage 1's maps"
                " (`cam`) where there is one."
            )
        ),
    ] = "seg"
    save_heatmaps: Annotated[
        Path | None, Parameter(help="Also write the run's maps below this folder, as --heatmaps reads them.")
    ] = None
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class Rules:
    """The protocols and their thresholds."""

    protocol: Annotated[
        str | None,
        Parameter(
            help=(
                "original, spol, wsol-v1, wsol-v2, or several separated by commas. By default original; wsol-v1,wsol-v2"
                " for maps."
            )
        ),
    ] = None
    threshold: Annotated[
        float | None, Parameter(help="Where the mask begins under original; the run's own by default.")
    ] = None
    threshold_step: Annotated[float, Parameter(help="How far apart the thresholds of wsol-v1 and wsol-v2 are.")] = 0.001
    empty: Annotated[
        Literal["wrong", "left-out"],
        Parameter(help="Under spol, an image without a contour is wrong, or left out as in the published code."),
    ] = "wrong"
    images: Images = None


@dataclass(frozen=True)
class Written:
    """What is written beside the tables."""

    per_class: Annotated[
        bool, Parameter(negative="", help="A table per class too, and rows per class in the CSV file.")
    ] = False
    json_file: Annotated[
        Path | None, Parameter(name="--json", help="Also write the numbers here: a list with one object per protocol.")
    ] = None
    csv_file: Annotated[
        Path | None, Parameter(name="--csv", help="Also write them here: one line per protocol, class and metric.")
    ] = None
    curve: Annotated[
        Path | None,
        Parameter(
            help=(
                "Also draw the accuracy over the threshold here (.png, .svg, .pdf), with its numbers in a .csv"
                " beside it."
            )
        ),
    ] = None
    problems: Annotated[
        Path | None,
        Parameter(
            help=(
                "Also list here what was not evaluated, what is wrong with the ground truth, and what else one should"
                " know."
            )
        ),
    ] = None

    def check(self) -> None:
        """Refuse files that cannot be written, before any work."""
        from wsol.reports.curve import check_curve_file

        if self.curve is not None:
            check_curve_file(self.curve)
        numbers = None if self.curve is None else self.curve.with_suffix(".csv")
        check_outputs(
            {
                "--json": self.json_file,
                "--csv": self.csv_file,
                "--problems": self.problems,
                "--curve": self.curve,
                "--curve's table": numbers,
            }
        )


def evaluate(
    run: Path | None = None,
    data: Path | None = None,
    *,
    of_run: Annotated[OfRun | None, Parameter(name="*")] = None,
    others: Annotated[OtherResults | None, Parameter(name="*")] = None,
    rules: Annotated[Rules | None, Parameter(name="*")] = None,
    written: Annotated[Written | None, Parameter(name="*")] = None,
) -> None:
    """Evaluate a run, or any system's results, on test images that have annotated boxes or masks, under the field's
    protocols.

    `wsol evaluate RUN DATA` evaluates a run; `wsol evaluate --heatmaps DIR --truth TRUTH` (or `--boxes FILE`) another
    system.

    Parameters
    ----------
    run
        A finished run.
    data
        The data set with its boxes; its test split where it has one.
    """
    of_run, others, rules, written = of_run or OfRun(), others or OtherResults(), rules or Rules(), written or Written()
    written.check()
    _check_subject(run, data, others)
    _check_beside(run, of_run, others, written)
    how = asdict(rules) | {"empty": rules.empty.replace("-", " ")}
    if run is not None and data is not None:
        from wsol.commands.evaluate import evaluate as of_a_run

        result = of_a_run(run, data, **how | {"protocol": rules.protocol or "original"} | asdict(of_run))
    else:
        from wsol.commands.evaluate_results import evaluate_results

        assert others.truth is not None
        result = evaluate_results(**asdict(others) | how)
    if part().is_first:
        _show(result, written)


def _check_subject(run: Path | None, data: Path | None, others: OtherResults) -> None:
    of_run, of_results = (run is not None, data is not None), (others.heatmaps is not None, others.boxes is not None)
    if all(of_run) and not any((others.truth, *of_results)):
        return
    if not any(of_run) and others.truth is not None and sum(of_results) == 1:
        return
    raise WsolError(
        "nothing to evaluate, or nothing to compare it with",
        expected="either RUN DATA, or --heatmaps DIR --truth TRUTH, or --boxes FILE --truth TRUTH",
        remedy="See `wsol evaluate --help`.",
    )


def _check_beside(run: Path | None, of_run: OfRun, others: OtherResults, written: Written) -> None:
    if others.boxes is not None and written.curve is not None:
        raise WsolError("--curve needs maps: boxes have no threshold", remedy="Leave it out, or evaluate --heatmaps.")
    if run is not None and others.classes is not None:
        raise WsolError("--classes is for other systems' results: a run names its own classes", remedy="Leave it out.")
    if run is None and of_run.save_heatmaps is not None:
        raise WsolError(
            "--save-heatmaps writes the maps of a run", expected="RUN DATA", remedy="Leave it out, or name a run."
        )


def _show(result: Evaluation, written: Written) -> None:
    from wsol.reports.curve import write_curve
    from wsol.reports.table import evaluation_table, per_class_table, print_table
    from wsol.storage.folders import write_json, write_text

    # Ahead of the tables, which end the command where nobody reads on (`| head`).
    for file in (written.json_file, written.csv_file, written.problems):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
    if written.json_file is not None:
        write_json(written.json_file, result.as_json())
    if written.csv_file is not None:
        write_text(written.csv_file, result.as_csv(per_class=written.per_class))
    if written.problems is not None:
        write_text(
            written.problems,
            "".join(f"{visible(str(line))}\n" for line in (*result.notes, *result.left_out, *result.mistakes)),
        )
    try:
        if written.curve is not None:
            write_curve(written.curve, result)
    finally:  # a written.curve that cannot be drawn costs no table
        _tell_problems(result, written.problems)
        for name in result.results:
            print_table(evaluation_table(result, name))
            if written.per_class:
                print_table(per_class_table(result, name))


def _tell_problems(result: Evaluation, problems: Path | None) -> None:
    """Say on the error stream what was not evaluated and what is wrong with the ground truth; the first of many."""
    from wsol.data.ground_truth import counted

    more = "see the file" if problems is not None else "`--problems FILE` lists all"
    report_lines("note", result.notes, more)
    report_lines("not evaluated", result.left_out, more)
    report_lines("wrong in the ground truth", result.mistakes, more)
    if result.mistakes:
        kinds = ", ".join(f"{n} x {kind}" for kind, n in counted(result.mistakes).items())
        print_line(f"mistakes in the ground truth: {kinds}")


def calibrate(
    run: Path,
    *,
    reviewed: Path | None = None,
    boxes: Path | None = None,
    images: Images = None,
    json_file: JsonFile = None,
    dry_run: Flag = False,
    reset: Flag = False,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Learn the box threshold, and what a score is worth, from 5 to 50 drawn boxes. `predict` and `evaluate` then use
    both.

    With --reviewed it also says how many of all boxes are right, with an interval.

    Parameters
    ----------
    run
        A finished run.
    reviewed
        What `wsol predict` wrote, after `wsol review PREDICTIONS --sample 20`: these images and no others. Predict on
        others than those you evaluate on.
    boxes
        In place of --reviewed, images with drawn boxes: a CSV table (path,x0,y0,x1,y1), or whatever `wsol evaluate`
        takes as truth. Take others than those you judge on.
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
            "nothing to calibrate with, or too much",
            expected="one of --reviewed PREDICTIONS or --boxes FEW to learn from, or --reset",
            remedy="See `wsol calibrate --help`.",
        )
    if reset:
        _reset(run, json_file, is_dry=dry_run)
        return
    check_outputs({"--json": json_file})
    from wsol.commands import calibrate as command
    from wsol.reports.calibration_table import calibration_table
    from wsol.reports.table import print_table
    from wsol.storage.folders import write_json

    result = command.calibrate(
        run, boxes, reviewed=reviewed, images=images, dry_run=dry_run, device=device, precision=precision
    )
    report_lines("not used", result.left_out, "`wsol check` says more")
    report_lines("wrong in the boxes", result.mistakes, "`wsol check` says more")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, result.as_json())
    print_table(calibration_table(result))
    print_result(
        f"Nothing is written, {run} stays as it is (--dry-run)."
        if dry_run
        else (
            f"Written: {run / FILE}. Boxes and scores that were predicted before stay as they are: run `wsol predict`"
            " again, into a new folder."
        )
    )


def _reset(run: Path, json_file: Path | None, *, is_dry: bool) -> None:
    from wsol.runs.calibration import FILE, reset_calibration
    from wsol.runs.run import Run
    from wsol.storage.locks import held

    if json_file is not None:
        raise WsolError(
            "--json has nothing to say of a --reset: it is the report on drawn boxes", remedy="Leave it out."
        )
    Run.open(run)  # so that a misspelt run is told
    if not (run / FILE).exists():
        print_result(f"{run} is not calibrated: nothing to remove")
    elif is_dry:
        print_result(f"{run / FILE} would be removed; it stays (--dry-run).")
    else:
        with held(run, "wsol calibrate", "name another run"):
            reset_calibration(run)
        print_result("calibration removed")
