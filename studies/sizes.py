"""What becomes of objects of 1 % and of 0.1 % of a large image as the network's input grows.

    python studies/sizes.py --runs runs/sizes

Generated surfaces of 1080 x 1440 pixels (`wsol.demo.surfaces`, seed 2, contrast 0.25) with defects of one size: 48 good
images and 16 of each of three kinds for training, 36 and 12 for the test. Instant mode with good images, by its input
size. The same command continues an interrupted study.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surfaces import COLUMNS

from wsol import RunConfig, evaluate, fit
from wsol.demo.surfaces import GOOD, write_surface_set
from wsol.storage.folders import new_folder, write_json, write_manifest, write_text

HERE = Path(__file__).parent
TRAIN, TEST, IMAGE_HW = 16, 12, (1080, 1440)
AREAS, SPREAD = (0.01, 0.001), 1.25
"""Areas of the objects as fractions of the image, and the factor by which they vary to both sides."""
SIZES_PX = (320, 448, 640, 960, 1280)


def measure(area: float, size_px: int, runs: Path) -> dict[str, float]:
    """Write the set if it is absent, fit and evaluate at one input size."""
    data = runs / f"{area:g}"
    if not data.exists():
        with new_folder(data) as scratch:
            areas = (area / SPREAD, area * SPREAD)
            write_surface_set(
                scratch, train_per_class=TRAIN, test_per_class=TEST, areas=areas, seed=2, image_hw=IMAGE_HW
            )
            write_manifest(scratch, "sizes", {"area": area}, {}, {})
    run = runs / f"{area:g}-{size_px}"
    values = {"method": "instant", "classifier": "none", "precision": "fp32", "no_object": GOOD}
    fit(data, run, RunConfig.model_validate(values | {"instant": {"resize_px": size_px}}), quiet=True)
    result = evaluate(run, data, no_object=GOOD, quiet=True).as_json()[0]
    return {name: one["value"] for name, one in result["metrics"].items()}


def main() -> None:
    """Measure every size of objects at every size of the input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/sizes"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "sizes.md")
    given = parser.parse_args()
    lines = [
        f"| area of the object | input | object's side in it | {' | '.join(COLUMNS.values())} |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    found = []
    for area in AREAS:
        for size_px in SIZES_PX:
            figures = measure(area, size_px, given.runs)
            found.append({"area": area, "resize_px": size_px, "figures": figures})
            cells = (f"{figures[name]:.0f}" for name in COLUMNS)
            lines.append(f"| {100 * area:g} % | {size_px} px | {size_px * area**0.5:.0f} px | {' | '.join(cells)} |")
            write_json(given.out.with_suffix(".json"), found)
            write_text(given.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
