"""Whole pipelines on real photographs. Minutes, so behind a marker."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from quick import wsol

pytestmark = pytest.mark.pipeline

SIDES = [
    *("--instant.resize-px", "224", "--instant.sample", "60"),
    *("--seg.resize-px", "128", "--seg.crop-px", "112", "--seg.batch-size", "8"),
    *("--classify.resize-px", "128", "--classify.crop-px", "112", "--classify.batch-size", "16"),
]
SHORT = [
    *SIDES,
    *("--seg.steps", "50", "--classify.steps", "20", "--precision", "fp32"),
]


def write_part(cub30: Path, root: Path) -> Path:
    """CUB-200-2011 as published, of the first ten classes."""
    root.mkdir()
    (root / "images").symlink_to(cub30 / "images")
    classes = [line.split() for line in (cub30 / "image_class_labels.txt").read_text().splitlines()]
    images = {image for image, label in classes if int(label) <= 10}
    for table in cub30.glob("*.txt"):
        kept = {str(label) for label in range(1, 11)} if table.name == "classes.txt" else images
        lines = table.read_text().splitlines(keepends=True)
        (root / table.name).write_text("".join(line for line in lines if line.split()[0] in kept))
    return root


@pytest.fixture(scope="module")
def part(cub30: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photographs of ten classes."""
    return write_part(cub30, tmp_path_factory.mktemp("data") / "CUB_200_2011")


@pytest.fixture(scope="module")
def birds(cub30: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run over them, their boxes poisoned: whoever trains does not look."""
    root = tmp_path_factory.mktemp("birds")
    poisoned = write_part(cub30, root / "CUB_200_2011")
    chance = random.Random(0)
    rows = [line.split()[0] for line in (poisoned / "bounding_boxes.txt").read_text().splitlines()]
    (poisoned / "bounding_boxes.txt").write_text(
        "".join(f"{row} {chance.random() * 99} nan -7 {chance.random()}\n" for row in rows)
    )
    wsol("fit", poisoned, "--run", root / "run", *SHORT)
    return root / "run"


def test_real_photographs_become_boxes_better_than_chance_whatever_their_boxes_were_while_training(
    cub30: Path, part: Path, birds: Path, tmp_path: Path
) -> None:
    wsol("evaluate", birds, part, "--json", tmp_path / "m.json")
    (judged,) = json.loads((tmp_path / "m.json").read_text())
    assert judged["n"] == 243 and "mask_iou" not in judged["metrics"]
    assert judged["metrics"]["gt_known_best_threshold"]["value"] > 70
    rates = [judged["metrics"][name]["value"] for name in ("top1_loc", "top5_loc", "gt_known")]
    assert rates == sorted(rates)
    wsol("predict", birds, cub30 / "images" / "017.Cardinal", "--out", tmp_path / "out")
    wsol("export", tmp_path / "out", "--format", "coco", "--out", tmp_path / "coco")
    assert len(json.loads((tmp_path / "coco" / "instances.json").read_text())["images"]) == len(
        list((cub30 / "images" / "017.Cardinal").iterdir())
    )
