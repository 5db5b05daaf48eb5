"""`wsol check`, `report`, `doctor` and `demo`: pages and tools."""

from __future__ import annotations

import sys
from pathlib import Path

from wsol.cli.common import Flag, Images, JsonFile, check_outputs
from wsol.config.base import Precision
from wsol.config.options import RunConfig
from wsol.runtime.terminal import print_line, print_result


def check(
    data: Path, *, images: Images = None, json_file: JsonFile = None, page: Path | None = None, strict: Flag = False
) -> None:
    """Look at a data set before training on it: broken, odd, duplicate and unlabelled images, small classes, mistakes
    in the truth.

    Parameters
    ----------
    data
        Whatever `wsol fit` or `wsol evaluate` takes as data or truth.
    json_file
        Also write everything here.
    page
        Also write an HTML page here that shows the images found; it needs no network.
    strict
        Exit 1 if anything is worse than an info.
    """
    check_outputs({"--json": json_file, "--page": page})
    from wsol.checks.run import check as find
    from wsol.checks.table import print_findings

    findings = find(data, images=images)
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
        print_line("exit code 0: with --strict it is 1 where something should be fixed")


def report(
    run: Path,
    data: Path,
    *,
    out: Path | None = None,
    images: Images = None,
    protocol: str = "original,spol,wsol-v1,wsol-v2",
    max_images: int = 1000,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Write one HTML page to look at and to pass on: numbers, curves, and what the run makes of every image, worst
    first.

    Parameters
    ----------
    run
        A finished run.
    data
        Labelled images, whatever `wsol fit` takes; those of the test split where there is one. Where they have true
        boxes, the run is judged too.
    out
        Folder for index.html, which needs no network; RUN/report by default. An older report in it is replaced.
    protocol
        Those that the run is judged under, separated by commas.
    max_images
        At most so many are shown, spread evenly over all.
    """
    from wsol.reports.write_report import report as write

    page = write(
        run, data, out=out, images=images, protocol=protocol, max_images=max_images, device=device, precision=precision
    )
    print_result(page)


def doctor(
    *,
    run: Path = Path(),
    backbone: str = RunConfig().backbone,
    weights: Path | None = None,
    offline: Flag = False,
    json_file: JsonFile = None,
) -> None:
    """Try this machine: a tiny job with every part that a run needs, each ok, warn or fail, and what mends it. Exit 1
    if any fails.

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
    """Generate a small synthetic data set, run everything on it, and show what came out. Needs nothing; takes minutes.

    Parameters
    ----------
    out
        Folder for data, run and report. The same command continues an interrupted demo.
    seed
        Another seed, other images.
    """
    from wsol.demo.run import demo as run_demo
    from wsol.reports.table import print_table

    result = run_demo(out, seed=seed)
    print_table(result.table)
    print_result(f"images: {result.strip}\npage:   {result.page}")
