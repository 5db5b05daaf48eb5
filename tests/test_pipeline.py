"""Whole pipelines: on real photographs, and the demo as a newcomer runs it. Minutes, so behind a marker."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.pipeline

REPOSITORY = Path(__file__).parents[1]
# One thread suits tiny networks side by side; here one whole network has all cores to itself.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
SHORT = [
    *("--cam.steps", "220", "--cam.batch-size", "8", "--cam.resize-px", "128", "--cam.crop-px", "112"),
    *("--seg.steps", "120", "--seg.batch-size", "8", "--seg.resize-px", "128", "--seg.crop-px", "112"),
    *(
        "--classify.steps",
        "20",
        "--classify.batch-size",
        "16",
        "--classify.resize-px",
        "128",
        "--classify.crop-px",
        "112",
    ),
]


def wsol(*words: object, cwd: Path | None = None) -> str:
    """A command in a process of its own; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "wsol", *map(str, words)], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def hashes(run: Path) -> list[str]:
    return [
        hashlib.sha256((run / part / "model.safetensors").read_bytes()).hexdigest()
        for part in ("cam", "seg", "classifier")
    ]


@pytest.fixture(scope="module")
def birds(cub30: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run over the real photographs."""
    run = tmp_path_factory.mktemp("birds") / "run"
    wsol("fit", cub30, "--run", run, *SHORT)
    return run


def test_real_photographs_become_boxes_better_than_chance(cub30: Path, birds: Path, tmp_path: Path) -> None:
    wsol("evaluate", birds, cub30, "--json", tmp_path / "m.json")
    (judged,) = json.loads((tmp_path / "m.json").read_text())
    assert judged["n"] == 801 and "mask_iou" not in judged["metrics"]
    assert judged["metrics"]["gt_known_best_threshold"]["value"] > 35
    rates = [judged["metrics"][name]["value"] for name in ("top1_loc", "top5_loc", "gt_known")]
    assert rates == sorted(rates)
    wsol("predict", birds, cub30 / "images" / "017.Cardinal", "--out", tmp_path / "out")
    wsol("export", tmp_path / "out", "--format", "coco", "--out", tmp_path / "coco")
    assert len(json.loads((tmp_path / "coco" / "instances.json").read_text())["images"]) == len(
        list((cub30 / "images" / "017.Cardinal").iterdir())
    )


def test_poisoned_boxes_leave_the_weights_of_a_real_run_bit_identical(cub30: Path, birds: Path, tmp_path: Path) -> None:
    poisoned = tmp_path / "CUB_200_2011"
    poisoned.mkdir()
    (poisoned / "images").symlink_to(cub30 / "images")
    for table in cub30.glob("*.txt"):
        (poisoned / table.name).write_bytes(table.read_bytes())
    chance = random.Random(0)
    rows = [line.split()[0] for line in (cub30 / "bounding_boxes.txt").read_text().splitlines()]
    (poisoned / "bounding_boxes.txt").write_text(
        "".join(f"{row} {chance.random() * 99} nan -7 {chance.random()}\n" for row in rows)
    )
    wsol("fit", poisoned, "--run", tmp_path / "run", *SHORT)
    assert hashes(tmp_path / "run") == hashes(birds)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which a newcomer gave the README's first command, and what it printed."""
    place = tmp_path_factory.mktemp("newcomer")
    return place, wsol("demo", cwd=place)


def test_the_demo_ends_with_a_table_a_strip_and_a_page(demo: tuple[Path, str]) -> None:
    place, printed = demo
    assert "synthetic" in printed and "protocol original" in printed
    rates = {
        row[0]: float(row[1])
        for row in re.findall(r"│ (centre box|plain CAM|stage 1 \(MFF-Net\)|SPOL) +│ +([\d.]+) │", printed)
    }
    assert set(rates) == {"centre box", "plain CAM", "stage 1 (MFF-Net)", "SPOL"}
    assert rates["SPOL"] > max(rates["centre box"], rates["plain CAM"])
    page = (place / "wsol-demo" / "index.html").read_text()
    assert "synthetic" in page and "http://" not in page and "https://" not in page
    assert (place / "wsol-demo" / "strip.png").stat().st_size > 10_000


def test_the_demo_again_is_finished_at_once(demo: tuple[Path, str]) -> None:
    place, printed = demo
    assert wsol("demo", cwd=place).splitlines()[-2:] == printed.splitlines()[-2:]


def test_the_readmes_python_prints_what_the_readme_says(demo: tuple[Path, str]) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    code, shown = re.search(r"```python\n(.*?)```\s*```text\n(.*?)```", readme, re.S).groups()  # type: ignore[union-attr]
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=demo[0], capture_output=True, text=True, check=True
    ).stdout
    numbers = [[float(x) for x in re.findall(r"\d+\.?\d*", text)] for text in (printed, shown)]
    words = [re.sub(r"[\d.]+", "#", text).split() for text in (printed, shown)]
    assert words[0] == words[1]
    # Another processor rounds otherwise, and training amplifies it: the box may move by a few pixels.
    assert numbers[0] == pytest.approx(numbers[1], abs=20)


def test_the_commands_of_readme_and_docs_run(demo: tuple[Path, str]) -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"<!-- run by tests/test_pipeline.py -->\n```sh\n(.*?)```", page.read_text(), re.S)
    ]
    assert len(blocks) == 3
    for line in "".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "wsol"
            wsol(*words[1:], cwd=demo[0])
