"""Defects on generated surfaces: what is found as defects become smaller and fainter, with and without good images.

    python studies/surfaces.py --runs runs/surfaces

Four textures; three kinds of defects (spot, scratch, dent); 60 good and 20 images of each kind for training, 48 good
and 16 of each kind for the test. The same command continues an interrupted study. The table in studies/results/ is
written after each run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from wsol import RunConfig, evaluate, evaluate_results, fit
from wsol.data.images import images_under
from wsol.demo.surfaces import GOOD, write_surface_set
from wsol.methods.rare_map import rescaled
from wsol.storage.folders import new_folder, write_json, write_manifest, write_text

HERE = Path(__file__).parent
TRAIN, TEST = 20, 16
BLUR_PX = 4
"""Standard deviation of the blur of grey values, near the size of the smallest defects."""


class Surfaces(NamedTuple):
    """A generated set."""

    areas: tuple[float, float]
    """Smallest and largest area of a defect as fractions of the image."""
    contrast: float
    """Change of the grey value inside a defect, whose range is 1."""

    @property
    def name(self) -> str:
        """In words."""
        low, high = (f"{100 * area:g}" for area in self.areas)
        return f"{low} to {high} % of the image, contrast {self.contrast:g}"


SETS = (
    Surfaces((0.02, 0.2), 0.25),
    Surfaces((0.002, 0.02), 0.5),
    Surfaces((0.002, 0.02), 0.25),
    Surfaces((0.002, 0.02), 0.12),
    Surfaces((0.002, 0.02), 0.06),
    Surfaces((0.0005, 0.002), 0.25),
)
"""The third is the middle; the others change its area or its contrast. A texture's own grey values vary by 0.09."""
_INSTANT = {"method": "instant", "classifier": "none", "precision": "fp32"}
ROWS: dict[str, dict[str, Any] | None] = {
    "no network: grey values far from the image's median": None,
    "instant, common component": {**_INSTANT, "instant": {"map": "common"}},
    "instant, rare, no image known to be good": {**_INSTANT, "instant": {"map": "rare"}},
    "instant, rare, with good images": {**_INSTANT, "no_object": GOOD},
    "the same, images of 640 px": {**_INSTANT, "no_object": GOOD, "instant": {"resize_px": 640}},
}
COLUMNS = {
    "pointing_game": "peak inside",
    "gt_known_30": "IoU 0.3",
    "gt_known": "IoU 0.5",
    "mask_iou": "mask IoU",
    "empty_correct": "good: nothing found",
    "image_auroc": "AUROC of images",
}


def write_grey_maps(data: Path, folder: Path) -> Path:
    """Write a map of each test image: the distance of its blurred grey values from their median, with the threshold of
    the map of what is rare.
    """
    for path in images_under(data / "test"):
        grey = cv2.GaussianBlur(cv2.imread(f"{path}", cv2.IMREAD_GRAYSCALE), (0, 0), BLUR_PX).astype(np.float32)
        distances = np.abs(grey - np.median(grey))
        target = folder / path.relative_to(data).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, rescaled(torch.from_numpy(distances)[None], torch.tensor(0.0))[0].numpy())
    return folder


def measure(surfaces: Surfaces, values: dict[str, Any] | None, runs: Path) -> dict[str, Any]:
    """Write the set if it is absent, fit and evaluate; without values, evaluate maps of grey values."""
    folder = runs / "-".join(f"{value:g}" for value in (*surfaces.areas, surfaces.contrast))
    data = folder / "data"
    if not data.exists():
        with new_folder(data) as scratch:
            write_surface_set(
                scratch,
                train_per_class=TRAIN,
                test_per_class=TEST,
                areas=surfaces.areas,
                contrast=surfaces.contrast,
                seed=1,
            )
            write_manifest(scratch, "surfaces", surfaces._asdict(), {}, {})
    if values is None:
        maps = write_grey_maps(data, folder / "grey")
        evaluation = evaluate_results(
            data, heatmaps=maps, protocol="original", threshold=0.5, no_object=GOOD, quiet=True
        )
        return {name: one["value"] for name, one in evaluation.as_json()[0]["metrics"].items()}
    run = folder / "-".join("".join(c if c.isalnum() else " " for c in json.dumps(values)).split())
    fit(data, run, RunConfig.model_validate(values), quiet=True)
    result = evaluate(run, data, no_object=GOOD, quiet=True).as_json()[0]
    return {name: one["value"] for name, one in result["metrics"].items()}


def table(found: list[dict[str, Any]]) -> str:
    """Markdown table: one line per set and row."""
    lines = [f"| defects | method | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for one in found:
        cells = (one["figures"].get(name) for name in COLUMNS)
        lines.append(
            f"| {one['set']} | {one['row']} | {' | '.join('' if cell is None else f'{cell:.0f}' for cell in cells)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every row on every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/surfaces"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "surfaces.md")
    given = parser.parse_args()
    found = []
    for surfaces in SETS:
        for row, values in ROWS.items():
            found.append({"set": surfaces.name, "row": row, "figures": measure(surfaces, values, given.runs)})
            write_json(given.out.with_suffix(".json"), found)
            write_text(given.out, table(found))
            print(found[-1], flush=True)


if __name__ == "__main__":
    main()
