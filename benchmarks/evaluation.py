"""Speed of evaluating all thresholds at once compared with one after the other, and the cost of 50,000 maps.

    python benchmarks/evaluation.py                                  # ratios on one core
    python benchmarks/evaluation.py --folder runs/fake --workers 2   # also makes a list as long as ImageNet's
    python benchmarks/evaluation.py --heatmaps DIR                   # ratios on your own maps, too

The plain sweep is the usual one: 1,000 thresholds, `findContours` at each, IoU of every box with every annotated box.
Both run in this process on one core, in turns; the fastest of several repetitions counts. The IoUs of the boxes are
compared as well.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol.data.ground_truth import ImageTruth
from wsol.geometry.boxes import Boxes, iou
from wsol.metrics.evaluator import Evaluator, ImageResult
from wsol.metrics.frames import map_in
from wsol.metrics.protocols import PROTOCOLS
from wsol.results.heatmaps import read_heatmap

IMAGES, BOXES = 50_000, 80_477
"""Numbers of images and boxes in wsolevaluation's list of ImageNet's validation split."""
TRUTH = ImageTruth(Boxes.of([(120.0, 80.0, 390.0, 330.0)]), (375, 500))
SQUARED_TRUTH = Boxes(np.trunc(TRUTH.boxes.xyxy * 224 / np.array([500, 375, 500, 375])) + np.array([0, 0, 1, 1]))
Map = NDArray[np.float32]


def plain_sweep(heatmap: Map, *, any_contour: bool) -> list[float]:
    """The best IoU at each of 1,000 thresholds, one after the other; the IoUs themselves all at once, as wsolevaluation
    does.
    """
    levels = (map_in("square", heatmap, None) * 255).astype(np.uint8)
    peak = np.max(levels)
    boxes: list[tuple[int, int, int, int]] = []
    starts = []
    for threshold in np.arange(0, 1, 0.001):
        _, binary = cv2.threshold(levels, int(threshold * peak), 255, cv2.THRESH_BINARY)
        contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        contours = contours if any_contour else [max(contours, key=cv2.contourArea)]
        starts.append(len(boxes))
        for x, y, w, h in map(cv2.boundingRect, contours):
            boxes.append((x, y, min(x + w, 223) + 1, min(y + h, 223) + 1))
    fits = iou(Boxes(np.array(boxes, dtype=float)), SQUARED_TRUTH).max(axis=1)
    return np.maximum.reduceat(fits, starts).tolist()


def maps_of_kinds(folder: Path | None) -> Iterator[tuple[str, list[Map]]]:
    """Maps of each kind; the two in the middle resemble a network's."""
    random = np.random.default_rng(0)
    places = np.arange(224) - 111.5
    gaussian = np.exp(-(places[:, None] ** 2 + places**2) / (2 * 60**2))
    yield "Gaussian, s = 60", [((gaussian - gaussian.min()) / np.ptp(gaussian)).astype(np.float32)] * 3
    yield "7 x 7, grown to 224", [random.random((7, 7), dtype=np.float32) ** 2 for _ in range(6)]
    yield "14 x 14, grown to 224", [random.random((14, 14), dtype=np.float32) ** 2 for _ in range(6)]
    yield "28 x 28, every cell random", [random.random((28, 28), dtype=np.float32) for _ in range(3)]
    if folder is not None:
        yield f"{folder.name}/", [read_heatmap(path) for path in sorted(folder.rglob("*.npy"))[::20][:40]]


def best_seconds(job: Callable[[], object], repetitions: int) -> float:
    """Minimum of several times."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        job()
        times.append(time.perf_counter() - started)
    return min(times)


def print_ratios(folder: Path | None) -> None:
    """Print one row per kind of map."""
    cv2.setNumThreads(1)
    print("| maps | protocol | plain sweep, ms a map | all at once, ms a map | times faster |\n|---|---|---|---|---|")
    for kind, maps in maps_of_kinds(folder):
        for name in ("wsol-v1", "wsol-v2"):
            evaluator = Evaluator([PROTOCOLS[name]], {name: None})
            outputs = [ImageResult(str(i), 0, (375, 500), one) for i, one in enumerate(maps)]
            for result, one in zip(outputs, maps, strict=True):
                row = evaluator(result, TRUTH)[name]
                fits = row.sweep[(np.arange(0, 1, 0.001) * row.peak).astype(int)]
                expected = np.array(plain_sweep(one, any_contour=name == "wsol-v2"), dtype=np.float32)
                assert fits.tolist() == expected.tolist(), "the two disagree"
            is_any = name == "wsol-v2"
            plain = best_seconds(lambda: [plain_sweep(one, any_contour=is_any) for one in maps], 2)  # noqa: B023
            ours = best_seconds(lambda: [evaluator(result, TRUTH) for result in outputs], 5)  # noqa: B023
            print(
                f"| {kind} | {name} | {1000 * plain / len(maps):.1f} | {1000 * ours / len(maps):.2f} |"
                f" {plain / ours:.0f} |",
                flush=True,
            )


def write_list(folder: Path, images: int, boxes: int) -> None:
    """Write a ground-truth list in wsolevaluation's layout, and a 28 x 28 map for each image."""
    random = np.random.default_rng(0)
    (folder / "truth").mkdir(parents=True)
    ids = [f"val2/{i % 1000}/{i:06}.jpeg" for i in range(images)]
    of_box = np.sort(np.concatenate([np.arange(images), random.integers(0, images, boxes - images)]))
    low = random.integers(0, 250, (boxes, 2))
    high = np.minimum(low + random.integers(20, 250, (boxes, 2)), [499, 374])
    tables = {
        "image_ids": ids,
        "class_labels": [f"{name},{i % 1000}" for i, name in enumerate(ids)],
        "image_sizes": [f"{name},500,375" for name in ids],
        "localization": [f"{ids[i]},{a[0]},{a[1]},{b[0]},{b[1]}" for i, a, b in zip(of_box, low, high, strict=True)],
    }
    for table, lines in tables.items():
        (folder / "truth" / f"{table}.txt").write_text("\n".join(lines) + "\n")
    for name in ids:
        path = folder / "maps" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, cv2.resize(random.random((7, 7), dtype=np.float32) ** 2, (28, 28), interpolation=cv2.INTER_CUBIC))


def print_long_list(folder: Path, images: int, boxes: int, workers: int) -> None:
    """Run the command on a long list; print seconds and the peak memory of its largest process."""
    if not folder.exists():
        write_list(folder, images, boxes)
    command = [sys.executable, "-m", "wsol", "evaluate", "--heatmaps", folder / "maps", "--truth", folder / "truth"]
    started = time.perf_counter()
    subprocess.run([*command, "--protocol", "wsol-v1,wsol-v2", "--workers", str(workers)], check=True)
    seconds = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(
        f"{images} maps, {boxes} boxes, wsol-v1 and wsol-v2, {workers} workers: {seconds:.0f} s"
        f" ({1000 * seconds / images:.1f} ms a map), peak memory {peak_gb:.2f} GB"
    )


def main() -> None:
    """Print the ratios, and evaluate the long list if `--folder` is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heatmaps", type=Path, help="a folder of .npy maps")
    parser.add_argument("--folder", type=Path, help="folder of the fake list; made if it does not exist")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--boxes", type=int, default=BOXES)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    print_ratios(given.heatmaps)
    if given.folder is not None:
        print_long_list(given.folder, given.images, given.boxes, given.workers)


if __name__ == "__main__":
    main()
