"""One run and one fixed map under all four protocols, to show how far the protocols differ.

    python studies/protocols.py DATA --run runs/full

`--run` is a run of `wsol fit DATA` with default values; it is created if it does not exist, or continued with its own
values. The table is written to studies/protocols_table.md, the numbers to studies/protocols.json, the curves of stage 3
to studies/protocols_curve.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from wsol.data.open import open_ground_truth

HERE = Path(__file__).parent
PROTOCOLS = "original,spol,wsol-v1,wsol-v2"
COLUMNS = (
    "n",
    "threshold",
    "best at 0.5",
    "IoU 0.5 at the threshold",
    "IoU 0.3 at the best",
    "IoU 0.5 at the best",
    "IoU 0.7 at the best",
    "Top-1",
    "Top-5",
    "MaxBoxAccV2",
    "mean box IoU",
)


def wsol(*words: object) -> None:
    """Run a wsol command."""
    subprocess.run([sys.executable, "-m", "wsol", *map(str, words)], check=True)


def write_gaussians(data: Path, folder: Path) -> None:
    """Write the same map for every image: a central Gaussian, 60 of 224 pixels wide."""
    places = np.arange(224) - 111.5
    heatmap = np.exp(-(places[:, None] ** 2 + places**2) / (2 * 60**2)).astype(np.float32)
    heatmap = (heatmap - heatmap.min()) / np.ptp(heatmap)
    for sample in open_ground_truth(data).test:
        path = folder / f"{sample.image_id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, heatmap)


def evaluated(data: Path, run: Path) -> dict[str, list[dict]]:  # type: ignore[type-arg]
    """Results of each system under each protocol."""
    out = run / "protocols"
    results = {}
    for name, which in (("SPOL, stage 3's masks", "seg"), ("stage 1's maps", "cam")):
        written = ("--json", out / f"{which}.json", "--curve", out / f"{which}.png")
        wsol("evaluate", run, data, "--which", which, "--protocol", PROTOCOLS, *written)
        results[name] = json.loads((out / f"{which}.json").read_text())
    write_gaussians(data, out / "gaussian")
    common = ("--heatmaps", out / "gaussian", "--truth", data, "--protocol", PROTOCOLS, "--json", out / "gaussian.json")
    wsol("evaluate", *common, "--threshold", "0.5")  # for `original`; `spol` has its own
    results["a Gaussian in the middle"] = json.loads((out / "gaussian.json").read_text())
    return results


def table(results: dict[str, list[dict]]) -> str:  # type: ignore[type-arg]
    """Markdown, a line per system and protocol."""
    lines = ["| system | protocol | " + " | ".join(COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    for system, rows in results.items():
        for one in rows:
            metrics = one["metrics"]
            cells = [
                str(one["n"]),
                "best" if one["threshold"] is None else f"{one['threshold']:.2f}",
                f"{one['best_threshold']:.2f}",
                cell(metrics, "gt_known"),
                cell(metrics, "box_acc_30"),
                cell(metrics, "gt_known_best_threshold", "box_acc_50"),
                cell(metrics, "box_acc_70"),
                cell(metrics, "top1_loc"),
                cell(metrics, "top5_loc"),
                cell(metrics, "max_box_acc_v2"),
                cell(metrics, "mean_box_iou"),
            ]
            lines.append(f"| {system} | `{one['protocol']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(metrics: dict[str, dict[str, float]], *names: str) -> str:
    """The first available of some metrics, with its interval."""
    found = next((metrics[name] for name in names if name in metrics), None)
    return "" if found is None else f"{found['value']:.1f} ({found['low']:.1f} to {found['high']:.1f})"


def main() -> None:
    """Train what is missing, and evaluate everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, default=Path("runs/full"))
    given = parser.parse_args()
    wsol("fit", given.data, "--run", given.run)
    results = evaluated(given.data, given.run)
    (HERE / "protocols.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "protocols_table.md").write_text(table(results))
    shutil.copyfile(given.run / "protocols" / "seg.png", HERE / "protocols_curve.png")


if __name__ == "__main__":
    main()
