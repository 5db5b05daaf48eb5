"""The demo as a new user runs it, and the commands of README and docs on its results. Takes minutes, so it is behind
a marker."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from quick import wsol

pytestmark = pytest.mark.pipeline

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the README's first command ran, and its output."""
    folder = tmp_path_factory.mktemp("newcomer")
    return folder, wsol("demo", cwd=folder)


def test_the_demo_ends_with_a_table_a_strip_and_a_page(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    assert "synthetic" in printed and "protocol original" in printed
    rates = {
        row[0]: float(row[1])
        for row in re.findall(r"│ (centre box|plain CAM|cues, no training|wsol) +│ +([\d.]+) │", printed)
    }
    assert set(rates) == {"centre box", "plain CAM", "cues, no training", "wsol"}
    assert rates["wsol"] > max(rates["centre box"], rates["plain CAM"])
    page = (folder / "wsol-demo" / "index.html").read_text()
    assert "synthetic" in page and "http://" not in page and "https://" not in page
    assert (folder / "wsol-demo" / "strip.png").stat().st_size > 10_000


def test_a_repeated_demo_ends_at_once(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    assert wsol("demo", cwd=folder).splitlines()[-2:] == printed.splitlines()[-2:]


def test_the_readmes_python_prints_what_the_readme_says(demo: tuple[Path, str]) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    code, shown = re.search(r"```python\n(.*?)```\s*```text\n(.*?)```", readme, re.S).groups()
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=demo[0], capture_output=True, text=True, check=True
    ).stdout
    numbers = [[float(x) for x in re.findall(r"\d+\.?\d*", text)] for text in (printed, shown)]
    words = [re.sub(r"[\d.]+", "#", text).split() for text in (printed, shown)]
    assert words[0] == words[1]
    # Results vary between CPUs because of floating-point rounding: the box may move by a few pixels.
    assert numbers[0] == pytest.approx(numbers[1], abs=20)


def test_the_commands_of_readme_and_docs_run(demo: tuple[Path, str]) -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"<!-- run by tests/demo/test_demo.py -->\n```sh\n(.*?)```", page.read_text(), re.S)
    ]
    assert len(blocks) == 3
    for line in "".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "wsol"
            wsol(*words[1:], cwd=demo[0])


def test_the_onnx_pages_python_reads_the_file_that_the_demos_run_becomes(demo: tuple[Path, str]) -> None:
    page = (REPOSITORY / "docs" / "onnx.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    run = demo[0] / "wsol-demo" / "run"
    wsol("export-model", run, "--format", "onnx", "--check")
    printed = subprocess.run([sys.executable, "-c", code], cwd=run, capture_output=True, text=True, check=True).stdout
    learned = json.loads((run / "seg" / "threshold.json").read_text())["threshold"]
    assert "'fish'" in printed and f"'threshold': {learned}," in printed and printed.split()[-1] == "256"


def test_a_run_is_calibrated_by_a_random_sample_as_the_docs_say(demo: tuple[Path, str]) -> None:
    page = (REPOSITORY / "docs" / "calibration.md").read_text()
    (block,) = re.findall(r"<!-- run in short by tests/demo/test_demo.py -->\n```sh\n(.*?)```", page, re.S)
    for line in block.splitlines():
        _, command, *words = shlex.split(line, comments=True)
        if command == "review":  # instead of a person at the page
            script = [
                sys.executable,
                REPOSITORY / "studies" / "simulated_review.py",
                words[0],
                "wsol-demo/data",
                *words[1:],
            ]
            subprocess.run(script, cwd=demo[0], check=True, capture_output=True)
            continue
        printed = wsol(command, *words, cwd=demo[0])
        if "--reviewed" in words:
            assert re.search(r"\d+ of the 20 images drawn at random are right", " ".join(printed.split()))


def test_a_detector_learns_from_the_reviewed_predictions_as_the_docs_say(demo: tuple[Path, str]) -> None:
    page = (REPOSITORY / "docs" / "detector.md").read_text()
    blocks = re.findall(r"<!-- run in short by tests/demo/test_demo.py -->\n```sh\n(.*?)```", page, re.S)
    assert len(blocks) == 4
    predict, *rest = "".join(blocks).splitlines()
    review = "python studies/simulated_review.py runs/proposed wsol-demo/data --most 48"
    for line in (predict, review, *rest):  # instead of a person at the page
        program, *words = shlex.split(line)
        if program == "wsol":
            wsol(*words, cwd=demo[0])
            continue
        short = ["--epochs", "1"] if words[1] == "train" else []
        command = [sys.executable, REPOSITORY / words[0], *words[1:], *short]
        done = subprocess.run(command, cwd=demo[0], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (demo[0] / "runs" / "found.jpg").stat().st_size > 10_000
