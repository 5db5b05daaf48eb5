"""The golden table of wsolevaluation's evaluator on CUB's test split, to four decimals, through the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsol.cli.main import main

SIDE = 224
PLACES = np.arange(SIDE) - 111.5


@pytest.fixture(scope="module")
def ground_truth() -> Path:
    """5,794 images of CUB's test split with a box each, as clovaai/wsolevaluation lists them."""
    folder = Path(__file__).parents[1].parent / "shared/data/wsol_metadata/CUB/test"
    if not folder.is_dir():
        pytest.skip(f"{folder} absent")
    return folder


def gaussian(spread: float) -> NDArray[np.float64]:
    heatmap = np.exp(-(PLACES[:, None] ** 2 + PLACES**2) / (2 * spread**2))
    return np.asarray((heatmap - heatmap.min()) / np.ptp(heatmap))


def centred_square(side: int) -> NDArray[np.float64]:
    inside = np.arange(SIDE) - (SIDE - side) // 2
    is_inside = (inside >= 0) & (inside < side)
    return (is_inside[:, None] & is_inside).astype(float)


@pytest.mark.pipeline
@pytest.mark.parametrize(
    ("heatmap", "at_30", "at_50", "at_70", "v2"),
    [
        pytest.param(gaussian(60), 93.9075, 59.5961, 17.0003, 56.8347, id="Gaussian, s = 60"),
        pytest.param(gaussian(112), 93.9075, 59.5961, 16.9658, 56.8232, id="Gaussian, s = 112"),
        pytest.param(np.ones((SIDE, SIDE)), 53.9524, 18.9506, 4.5564, 25.8198, id="all ones"),
        pytest.param(centred_square(157), 86.2444, 55.8509, 16.2237, 52.7730, id="centred square, side 157"),
        pytest.param(np.zeros((SIDE, SIDE)), 0, 0, 0, 0, id="all zeros"),
    ],
)
def test_the_same_map_for_every_image_of_cub(
    ground_truth: Path,
    tmp_path: Path,
    heatmap: NDArray[np.float64],
    at_30: float,
    at_50: float,
    at_70: float,
    v2: float,
) -> None:
    np.save(tmp_path / "map.npy", heatmap)
    for image_id in (ground_truth / "image_ids.txt").read_text().split():
        name = tmp_path / "maps" / f"{image_id}.npy"
        name.parent.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "map.npy", name)
    out = tmp_path / "m.json"
    words = [
        "--heatmaps",
        tmp_path / "maps",
        "--truth",
        ground_truth,
        "--protocol",
        "wsol-v2",
        "--workers",
        "2",
        "--json",
        out,
    ]
    main(["evaluate", *map(str, words), "--threshold-step", "0.01"])
    (judged,) = json.loads(out.read_text())
    found = [round(judged["metrics"][f"box_acc_{level}"]["value"], 4) for level in (30, 50, 70)]
    assert (judged["protocol"], judged["n"]) == ("wsol-v2", 5794)
    assert [*found, round(judged["metrics"]["max_box_acc_v2"]["value"], 4)] == [at_30, at_50, at_70, v2]
