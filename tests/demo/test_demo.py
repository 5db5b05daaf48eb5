"""The demo as a new user runs it, on half the images in half the steps, and the commands of README and docs on its
results. Takes minutes, so it is behind a marker."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wsol.cli.main import main

pytestmark = pytest.mark.pipeline

REPOSITORY = Path(__file__).parents[2]


# Each image has a seed of its own: those that are drawn are those of the whole demo.
HALF_A_DEMO = """
from functools import partial
from wsol.cli.main import main
from wsol.demo import run
run.TRAIN_PER_CLASS, run.TEST_PER_CLASS, run.Seg = 12, 3, partial(run.Seg, steps=70)
main(["demo"])
"""


def half_a_demo(place: Path) -> str:
    """`wsol demo` in a process of its own; what it prints."""
    done = subprocess.run([sys.executable, "-c", HALF_A_DEMO], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed_in(place: Path, do: Callable[[], object]) -> str:
    """What it prints in this process, that folder being the working one."""
    with contextlib.chdir(place), contextlib.redirect_stdout(io.StringIO()) as printed:
        do()
    return printed.getvalue()


def wsol(*words: str, cwd: Path) -> str:
    """A command of the product."""
    return printed_in(cwd, lambda: main(list(words)))


def script(path: Path, *words: str, cwd: Path) -> str:
    """A program of the repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *words])
        return printed_in(cwd, lambda: runpy.run_path(str(path), run_name="__main__"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the README's first command ran, and its output."""
    folder = tmp_path_factory.mktemp("newcomer")
    return folder, half_a_demo(folder)


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
    assert half_a_demo(folder).splitlines()[-2:] == printed.splitlines()[-2:]


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
    wsol("export-model", str(run), "--format", "onnx", "--check", cwd=run)
    printed = subprocess.run([sys.executable, "-c", code], cwd=run, capture_output=True, text=True, check=True).stdout
    learned = json.loads((run / "seg" / "threshold.json").read_text())["threshold"]
    assert "'fish'" in printed and f"'threshold': {learned}," in printed and printed.split()[-1] == "256"


def test_a_run_is_calibrated_by_a_random_sample_as_the_docs_say(demo: tuple[Path, str]) -> None:
    page = (REPOSITORY / "docs" / "calibration.md").read_text()
    (block,) = re.findall(r"<!-- run in short by tests/demo/test_demo.py -->\n```sh\n(.*?)```", page, re.S)
    for line in block.splitlines():
        _, command, *words = shlex.split(line, comments=True)
        if command == "review":  # instead of a person at the page
            script(REPOSITORY / "studies/simulated_review.py", words[0], "wsol-demo/data", *words[1:], cwd=demo[0])
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
        script(REPOSITORY / words[0], *words[1:], *short, cwd=demo[0])
    assert (demo[0] / "runs" / "found.jpg").stat().st_size > 10_000
