"""`wsol check`, `report`, `compare`, `doctor` and `demo`: pages and tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wsol.cli.common import Columns, Device, Flag, ImageFiles, Images, JsonFile, NetworkPrecision, check_outputs
from wsol.config.image import Decoding
from wsol.config.options import RunConfig
from wsol.runtime.terminal import print_line, print_result


def check(
    data: Path,
    *,
    images: Images = None,
    columns: Columns = None,
    image: ImageFiles = None,
    json_file: JsonFile = None,
    page: Path | None = None,
    strict: Flag = False,
) -> None:
    """Check a data set before training: broken, unusual, duplicate and unlabelled images, small classes, mistakes in
    the ground truth.

    Parameters
    ----------
    data
        Any data set that `wsol fit` or `wsol evaluate` accepts.
    json_file
        Also write all findings to this file.
    page
        Also write an HTML page that shows the images concerned; it works offline.
    strict
        Exit with code 1 if there is a warning or an error.
    """
    check_outputs({"--json": json_file, "--page": page})
    from wsol.checks.run import check as check_data
    from wsol.checks.table import print_findings

    findings = check_data(data, images=images, columns=columns, image=image or Decoding())
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
        print_line("exit code 0; with --strict it would be 1")


def report(
    run: Path,
    data: Path,
    *,
    out: Path | None = None,
    images: Images = None,
    protocol: str = "original,spol,wsol-v1,wsol-v2",
    max_images: int = 1000,
    device: Device = "auto",
    precision: NetworkPrecision = "auto",
) -> None:
    """Write one HTML page about a run, to read and to share: metrics, curves, and the prediction for every image, worst
    first.

    Parameters
    ----------
    run
        A finished run.
    data
        Any data set that `wsol fit` accepts; its test split, if it has one. If there are annotated boxes or masks, the
        run is evaluated too.
    out
        Folder for index.html, which works offline. Default: RUN/report. An older report in it is replaced.
    protocol
        Evaluation protocols, separated by commas.
    max_images
        Maximum number of images shown, spread evenly over the data set.
    """
    from wsol.reports.write_report import report as write_report

    page = write_report(
        run, data, out=out, images=images, protocol=protocol, max_images=max_images, device=device, precision=precision
    )
    print_result(page)


def compare(
    runs_and_data: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Path,
    images: Images = None,
    protocol: str = "original,wsol-v2",
    max_images: int = 30,
    json_file: JsonFile = None,
    device: Device = "auto",
    precision: NetworkPrecision = "auto",
) -> None:
    """Compare runs on the same test images: one HTML page with their metrics, the differences from the first run with
    intervals (paired bootstrap), and for each image the map, mask and box of every run.

    `wsol compare RUN RUN [RUN ...] DATA --out OUT`

    Parameters
    ----------
    runs_and_data
        Two or more finished runs, and last a data set with annotated boxes. The other runs are compared with the first.
    out
        Folder for index.html, which works offline. An older comparison in it is replaced.
    protocol
        Evaluation protocols, separated by commas.
    max_images
        Maximum number of images shown, spread evenly over the data set.
    json_file
        Also write the metrics and the differences to this file.
    """
    check_outputs({"--out": out / "index.html", "--json": json_file})
    *runs, data = runs_and_data
    from wsol.comparisons.compare import compare as compare_runs
    from wsol.comparisons.tables import differences_table, for_terminal, metrics_table
    from wsol.reports.table import print_table

    comparison = compare_runs(
        runs,
        data,
        out,
        images=images,
        protocol=protocol,
        max_images=max_images,
        device=device,
        precision=precision,
    )
    if json_file is not None:
        from wsol.storage.folders import write_json

        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, comparison.as_json())
    print_table(for_terminal(metrics_table(comparison)))
    print_table(for_terminal(differences_table(comparison)))
    print_result(comparison.page)


def doctor(
    *,
    run: Path = Path(),
    backbone: str = RunConfig().backbone,
    weights: Path | None = None,
    offline: Flag = False,
    json_file: JsonFile = None,
) -> None:
    """Test this machine: a small job for every component that a run needs. Each line says ok, warn or fail, and how to
    fix it. The exit code is 1 if a test fails.

    Parameters
    ----------
    run
        Folder for a run; its disk is tested.
    backbone
        Name of the timm model that you want to use.
    weights
        File with the ImageNet weights of the backbone.
    offline
        Do not contact the Hugging Face hub.
    json_file
        Also write the lines to this file.
    """
    from wsol.doctor.checks import all_checks, examine
    from wsol.doctor.table import print_doctor
    from wsol.doctor.worker import Worker
    from wsol.runtime.progress import Progress

    check_outputs({"--json": json_file})
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


def demo(out: Path = Path("wsol-demo"), *, seed: int = 0) -> None:
    """Generate a small synthetic data set, train and evaluate on it, and show the results. No data needed; takes
    minutes.

    Parameters
    ----------
    out
        Folder for data, run and report. The same command continues an interrupted demo.
    seed
        Seed of the images and the training.
    """
    from wsol.demo.run import demo as run_demo
    from wsol.reports.table import print_table

    result = run_demo(out, seed=seed)
    print_table(result.table)
    print_result(f"images: {result.strip}\npage:   {result.page}")
