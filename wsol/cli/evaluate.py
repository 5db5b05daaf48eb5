"""`wsol evaluate` and `wsol calibrate`: the commands that need annotated boxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from wsol.cli.common import Columns, Device, Flag, Images, JsonFile, NetworkPrecision, check_outputs, report_lines
from wsol.errors import WsolError
from wsol.runtime.processes import part
from wsol.runtime.terminal import print_line, print_result, visible

if TYPE_CHECKING:
    from wsol.metrics.evaluation import Evaluation


@dataclass(frozen=True)
class OtherResults:
    """The results of another system, instead of a run."""

    truth: Annotated[
        Path | None,
        Parameter(
            help=(
                "Ground truth for the results of another system: a data set with boxes or masks. If it contains the"
                " image sizes, the images themselves are not needed."
            )
        ),
    ] = None
    heatmaps: Annotated[
        Path | None,
        Parameter(
            help=(
                "Heatmaps of another system: a folder with one .npy file per image, named after its image id, with or"
                " without the suffix of the image."
            )
        ),
    ] = None
    boxes: Annotated[
        Path | None,
        Parameter(
            help=(
                "Boxes of another system: COCO results, a CSV table (path,x0,y0,x1,y1), a folder written by `wsol"
                " predict`, or one written by `wsol export` as coco or csv."
            )
        ),
    ] = None
    classes: Annotated[
        Path | None,
        Parameter(
            help=(
                "Predicted classes of another system, for Top-1 and Top-5 Loc: a CSV table (path,first,second,...), or"
                " a folder written by `wsol predict`."
            )
        ),
    ] = None
    workers: Annotated[int, Parameter(help="Number of threads that evaluate the heatmaps of another system.")] = 1


@dataclass(frozen=True)
class RunOptions:
    """Which part of a run is evaluated, and where it is computed."""

    which: Annotated[
        Literal["seg", "cam", "cues"],
        Parameter(
            help=(
                "What is evaluated: the masks of stage 3 (`seg`), the cues that its pseudo masks were made from"
                " (`cues`), or the class activation maps of stage 1 (`cam`)."
            )
        ),
    ] = "seg"
    save_heatmaps: Annotated[
        Path | None, Parameter(help="Also write the heatmaps of the run into this folder, in the format of --heatmaps.")
    ] = None
    device: Device = "auto"
    precision: NetworkPrecision = "auto"


@dataclass(frozen=True)
class ProtocolOptions:
    """The protocols and their thresholds."""

    protocol: Annotated[
        str | None,
        Parameter(
            help=(
                "original, spol, wsol-v1, wsol-v2, or several separated by commas. Default: original; wsol-v1,wsol-v2"
                " with --heatmaps."
            )
        ),
    ] = None
    threshold: Annotated[
        float | None,
        Parameter(help="Pixels above this value belong to the mask (protocol original). Default: that of the run."),
    ] = None
    threshold_step: Annotated[
        float, Parameter(help="Distance between the thresholds that wsol-v1 and wsol-v2 try.")
    ] = 0.001
    no_object: Annotated[
        str | None,
        Parameter(
            help=(
                "Classes whose images contain no object, separated by commas. Boxes found in them are counted; other"
                " metrics leave them out. Default: those of the run."
            )
        ),
    ] = None
    empty: Annotated[
        Literal["wrong", "left-out"],
        Parameter(
            help="Protocol spol: count an image without a contour as wrong, or leave it out as the published code does."
        ),
    ] = "wrong"
    images: Images = None
    columns: Columns = None


@dataclass(frozen=True)
class OutputOptions:
    """What is printed and written besides the tables."""

    per_class: Annotated[
        bool, Parameter(negative="", help="Also print a table per class, and write rows per class to the CSV file.")
    ] = False
    json_file: Annotated[
        Path | None,
        Parameter(name="--json", help="Also write the metrics to this file: a list with one object per protocol."),
    ] = None
    csv_file: Annotated[
        Path | None,
        Parameter(name="--csv", help="Also write the metrics to this file: one line per protocol, class and metric."),
    ] = None
    curve: Annotated[
        Path | None,
        Parameter(
            help=(
                "Also plot the accuracy against the threshold (.png, .svg or .pdf); its values go to a .csv of the same"
                " name."
            )
        ),
    ] = None
    problems: Annotated[
        Path | None,
        Parameter(
            help=(
                "Also write to this file the images that were not evaluated, the mistakes in the ground truth, and the"
                " notes."
            )
        ),
    ] = None

    def check(self) -> None:
        """Refuse output files that cannot be written, before any work."""
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
    run_options: Annotated[RunOptions | None, Parameter(name="*")] = None,
    others: Annotated[OtherResults | None, Parameter(name="*")] = None,
    protocol_options: Annotated[ProtocolOptions | None, Parameter(name="*")] = None,
    outputs: Annotated[OutputOptions | None, Parameter(name="*")] = None,
) -> None:
    """Evaluate a run, or the results of any system, on test images with annotated boxes or masks.

    `wsol evaluate RUN DATA` evaluates a run. `wsol evaluate --heatmaps DIR --truth TRUTH`, or `--boxes FILE` instead of
    `--heatmaps DIR`, evaluates another system.

    Parameters
    ----------
    run
        A finished run.
    data
        A data set with annotated boxes or masks; its test split, if it has one.
    """
    run_options, others = run_options or RunOptions(), others or OtherResults()
    protocol_options, outputs = protocol_options or ProtocolOptions(), outputs or OutputOptions()
    outputs.check()
    _check_input(run, data, others)
    _check_combination(run, run_options, others, outputs)
    options = asdict(protocol_options)
    if run is not None and data is not None:
        from wsol.commands.evaluate import evaluate as evaluate_a_run

        options["protocol"] = protocol_options.protocol or "original"
        evaluation = evaluate_a_run(run, data, **options | asdict(run_options))
    else:
        from wsol.commands.evaluate_results import evaluate_results

        assert others.truth is not None
        evaluation = evaluate_results(**asdict(others) | options)
    if part().is_first:
        _show(evaluation, outputs)


def _check_input(run: Path | None, data: Path | None, others: OtherResults) -> None:
    has_run, has_results = (run is not None, data is not None), (others.heatmaps is not None, others.boxes is not None)
    if all(has_run) and not any((others.truth, *has_results)):
        return
    if not any(has_run) and others.truth is not None and sum(has_results) == 1:
        return
    raise WsolError(
        "`wsol evaluate` needs predictions and ground truth",
        expected="either RUN DATA, or --heatmaps DIR --truth TRUTH, or --boxes FILE --truth TRUTH",
        remedy="See `wsol evaluate --help`.",
    )


def _check_combination(run: Path | None, run_options: RunOptions, others: OtherResults, outputs: OutputOptions) -> None:
    if others.boxes is not None and outputs.curve is not None:
        raise WsolError("--curve needs heatmaps", got="boxes", remedy="Leave it out, or evaluate --heatmaps.")
    if run is not None and others.classes is not None:
        raise WsolError("--classes is for the results of other systems", got="a run", remedy="Leave it out.")
    if run is None and run_options.save_heatmaps is not None:
        raise WsolError(
            "--save-heatmaps writes the heatmaps of a run", expected="RUN DATA", remedy="Leave it out, or name a run."
        )


def _show(evaluation: Evaluation, outputs: OutputOptions) -> None:
    from wsol.reports.curve import write_curve
    from wsol.reports.table import evaluation_table, per_class_table, print_table
    from wsol.storage.folders import write_json, write_text

    # Before the tables: printing them may end the command, as in `wsol evaluate ... | head`.
    for file in (outputs.json_file, outputs.csv_file, outputs.problems):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
    if outputs.json_file is not None:
        write_json(outputs.json_file, evaluation.as_json())
    if outputs.csv_file is not None:
        write_text(outputs.csv_file, evaluation.as_csv(per_class=outputs.per_class))
    if outputs.problems is not None:
        lines = (*evaluation.notes, *evaluation.left_out, *evaluation.mistakes)
        write_text(outputs.problems, "".join(f"{visible(str(line))}\n" for line in lines))
    try:
        if outputs.curve is not None:
            write_curve(outputs.curve, evaluation)
    finally:  # the tables are printed even if the curve cannot be drawn
        _print_problems(evaluation, outputs.problems)
        for name in evaluation.results:
            print_table(evaluation_table(evaluation, name))
            if outputs.per_class:
                print_table(per_class_table(evaluation, name))


def _print_problems(evaluation: Evaluation, problems: Path | None) -> None:
    """Print to standard error the first images that were not evaluated and the first mistakes in the ground truth."""
    from wsol.data.ground_truth import count_kinds

    more = "see the file" if problems is not None else "`--problems FILE` lists all"
    report_lines("note", evaluation.notes, more)
    report_lines("not evaluated", evaluation.left_out, more)
    report_lines("wrong in the ground truth", evaluation.mistakes, more)
    if evaluation.mistakes:
        kinds = ", ".join(f"{n} x {kind}" for kind, n in count_kinds(evaluation.mistakes).items())
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
    device: Device = "auto",
    precision: NetworkPrecision = "auto",
) -> None:
    """Learn the box threshold, and the probability behind a score, from 5 to 50 annotated images. `predict` and
    `evaluate` then use both.

    With --reviewed, the command also estimates how many of all predictions are right, with a confidence interval.

    Parameters
    ----------
    run
        A finished run.
    reviewed
        A folder written by `wsol predict` and reviewed with `wsol review PREDICTIONS --sample 20`; only the images of
        that sample are used. Take other images than those you evaluate on.
    boxes
        Instead of --reviewed, images with annotated boxes: a CSV table (path,x0,y0,x1,y1), or any data set that `wsol
        evaluate` accepts. Take other images than those you evaluate on.
    json_file
        Also write the result to this file.
    dry_run
        Print the result without changing the run.
    reset
        Remove the calibration of the run.
    """
    from wsol.runs.calibration import CALIBRATION_FILE

    if (boxes is not None) + (reviewed is not None) + reset != 1:
        raise WsolError(
            "`wsol calibrate` needs exactly one source",
            expected="--reviewed PREDICTIONS, --boxes FEW or --reset",
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
    report_lines("not used", result.left_out, "see `wsol check`")
    report_lines("wrong in the boxes", result.mistakes, "see `wsol check`")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, result.as_json())
    print_table(calibration_table(result))
    print_result(
        f"Nothing was written (--dry-run); {run} is unchanged."
        if dry_run
        else (
            f"Written: {run / CALIBRATION_FILE}. Existing predictions do not change: run `wsol predict`"
            " again, into a new folder."
        )
    )


def _reset(run: Path, json_file: Path | None, *, is_dry: bool) -> None:
    from wsol.runs.calibration import CALIBRATION_FILE, reset_calibration
    from wsol.runs.run import Run
    from wsol.storage.locks import held

    if json_file is not None:
        raise WsolError(
            "--json and --reset exclude each other: a reset has no result to write", remedy="Leave one of them out."
        )
    Run.open(run)  # reports a misspelt path
    if not (run / CALIBRATION_FILE).exists():
        print_result(f"{run} is not calibrated: nothing to remove")
    elif is_dry:
        print_result(f"{run / CALIBRATION_FILE} would be removed; nothing was changed (--dry-run).")
    else:
        with held(run, "wsol calibrate", "name another run"):
            reset_calibration(run)
        print_result("calibration removed")
