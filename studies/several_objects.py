"""Images with several objects: the largest alone, all of them, and touching ones split.

    python studies/several_objects.py --runs runs/several

Drawn images with one to six creatures in turn (`wsol.demo.drawing`, 8 classes, 12 training and 12 test images each) and
instant mode. What was chosen, was chosen on seed 1; the table is of seed 2. The same command continues an interrupted
study.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol import Localizer, RunConfig, fit, open_data
from wsol.config.options import Box
from wsol.data.images import read_image, square
from wsol.demo.drawing import write_demo_set
from wsol.geometry.boxes import Boxes, tight_box
from wsol.geometry.objects import DetectedObject, find_objects, resized
from wsol.metrics.several_objects import Detections, counts_of_objects, matched, rates_of_objects
from wsol.storage.folders import new_folder, write_json, write_manifest, write_text

HERE = Path(__file__).parent
SEEDS = {"chosen on": 1, "reported": 2}
MOST, PER_CLASS = 6, 12
MIN_AREAS = (0.005, 0.01, 0.02)
SPLIT_AT = (0.5, 0.7)
"""Height of a distance transform's peak from which an object of its own grows, as a fraction of the highest."""

Heatmap = NDArray[np.float32]
Found = list[DetectedObject]


def watershed(found: Found, fraction: float) -> Found:
    """Split each object by a watershed from the peaks of its distance transform (Vincent & Soille 1991)."""
    return [part for one in found for part in _parts(one, fraction)]


def _parts(one: DetectedObject, fraction: float) -> Found:
    inside = one.mask.astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    count, markers = cv2.connectedComponents((distance > fraction * distance.max()).astype(np.uint8))
    if count <= 2:
        return [one]
    markers[inside == 0] = count
    relief = (255 * (1 - distance / distance.max())).astype(np.uint8)
    labels = cv2.watershed(cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), markers.astype(np.int32))
    boxes = [(tight_box(mask), mask) for mask in (labels == label for label in range(1, count))]
    return [DetectedObject(box, mask, one.score) for box, mask in boxes if box is not None]


def rows() -> dict[str, Callable[[Heatmap, tuple[int, int], float], Found]]:
    """Each way to find objects in a heatmap, by name."""
    ways: dict[str, Callable[[Heatmap, tuple[int, int], float], Found]] = {
        "the largest alone": lambda heatmap, hw, threshold: find_objects(heatmap, hw, Box(threshold=threshold))
    }
    for area in MIN_AREAS:

        def every(heatmap: Heatmap, hw: tuple[int, int], threshold: float, area: float = area) -> Found:
            return find_objects(heatmap, hw, Box(threshold=threshold, objects="all", min_area=area))

        ways[f"all of at least {100 * area:g} %"] = every
        for fraction in SPLIT_AT:
            ways[f"all of at least {100 * area:g} %, split at {fraction:g}"] = (
                lambda heatmap, hw, threshold, every=every, fraction=fraction: watershed(
                    every(heatmap, hw, threshold), fraction
                )
            )
    return ways


def measure(seed: int, runs: Path) -> dict[str, dict[str, float]]:
    """Write the set if it is absent, fit, and evaluate every row on the same heatmaps."""
    data = runs / f"data-{seed}"
    if not data.exists():
        with new_folder(data) as scratch:
            counts = {"train_per_class": PER_CLASS, "test_per_class": PER_CLASS, "most_objects": MOST}
            write_demo_set(scratch, **counts, seed=seed)
            write_manifest(scratch, "several objects", counts, {}, {})
    run = fit(data, runs / f"run-{seed}", RunConfig(method="instant", classifier="none", precision="fp32"), quiet=True)
    localizer, opened = Localizer.load(run, precision="fp32"), open_data(data)
    ground_truth = opened.read_ground_truth()
    found: dict[str, list[Detections]] = {name: [] for name in rows()}
    for sample in opened.test:
        annotated = ground_truth[sample.image_id]
        heatmap, image_hw = heatmap_of(localizer, sample.path)
        for name, way in rows().items():
            objects = way(heatmap, image_hw, localizer.box.threshold)
            scores = np.array([one.score for one in objects])
            found[name].append(matched(Boxes.of([one.xyxy for one in objects]), scores, annotated.boxes))
    return {name: figures_of(images) for name, images in found.items()}


def heatmap_of(localizer: Localizer, path: Path) -> tuple[Heatmap, tuple[int, int]]:
    """The heatmap of an image at its own size, and that size."""
    pixels = read_image(path)
    squashed = square(Image.fromarray(pixels), localizer.size_px).transpose(2, 0, 1)
    heatmaps = localizer.outputs(np.ascontiguousarray(squashed)[None]).heatmaps
    assert heatmaps is not None
    return resized(heatmaps[0], pixels.shape[:2]), pixels.shape[:2]


def figures_of(images: list[Detections]) -> dict[str, float]:
    """Every figure in percent."""
    means = {name: 100 * float(np.nanmean(values)) for name, values in counts_of_objects(images).items()}
    return {name: rate.value for name, rate in rates_of_objects(images).items()} | means


def main() -> None:
    """Measure every row on both seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/several"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "several_objects.md")
    given = parser.parse_args()
    found = {use: measure(seed, given.runs) for use, seed in SEEDS.items()}
    columns = ["ap_50", "recall_50", "corloc", "count_right", "count_within_one"]
    heads = ["AP at IoU 0.5", "recall", "CorLoc", "number right", "within one"]
    lines = [f"| objects | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{figures[column]:.1f}' for column in columns)} |"
        for name, figures in found["reported"].items()
    ]
    write_json(given.out.with_suffix(".json"), found)
    write_text(given.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
