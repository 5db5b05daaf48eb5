"""Tables 2 to 4 of Wei et al. 2021 on a part of CUB: fusion, components, segmentation, recipes.

    python studies/ablation.py DATA --runs runs/ablation

Each row is a few `wsol` commands. A row that has its result is kept, an interrupted one goes on, so the command can be
killed and given again. The table is written to studies/ablation_table.md, the numbers to studies/ablation.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

# Cut from the paper's 32 epochs to fit two CPU cores in an hour; small batches, so that 900 pictures give enough steps.
COMMON = [
    "--backbone",
    "tf_efficientnet_lite0",
    "--classifier",
    "cam",
    "--seed",
    "0",
    "--cam.epochs",
    "6",
    "--cam.batch-size",
    "16",
]
SEG = ["--seg.epochs", "4", "--seg.batch-size", "16"]


@dataclass(frozen=True)
class Row:
    """A line of the table: what is judged, how it was made, and what the paper reports for it."""

    name: str
    which: str
    options: tuple[str, ...]
    paper: float | None
    cam_of: str | None = None
    """The row whose stage 1 this one starts from."""


def fusion(operator: str, levels: int, paper: float) -> Row:
    """A cell of Table 2. Its best cell (88.30) is Table 3's row without attention (88.52): so attention is off."""
    options = ("--recipe", "paper", "--cam.fusion", operator, "--cam.levels", str(levels), "--cam.no-attention")
    return Row(f"{operator} {levels}", "cam", options, paper)


PAPER, RELEASED = ("--recipe", "paper"), ("--recipe", "released")
ROWS = [
    Row("MFF-Net (paper)", "cam", PAPER, 92.25),
    Row("SPOL (paper)", "seg", PAPER, 96.46, "MFF-Net (paper)"),
    Row("MFF-Net (released)", "cam", RELEASED, None),
    Row("SPOL (released)", "seg", RELEASED, 96.46, "MFF-Net (released)"),
    fusion("multiply", 1, 55.76),
    fusion("multiply", 3, 88.30),
    fusion("add", 3, 55.00),
    fusion("concat", 3, 53.40),
    Row("MFF-Net without auxiliary loss", "cam", (*PAPER, "--cam.auxiliary", "none"), 89.45),
    Row("SPOL without Gaussian", "seg", (*PAPER, "--pseudo.gaussian", "none"), 95.41, "MFF-Net (paper)"),
    Row("SPOL without thresholding", "seg", (*PAPER, "--pseudo.no-thresholding"), 73.97, "MFF-Net (paper)"),
    fusion("multiply", 2, 79.05),
    fusion("multiply", 4, 84.04),
    fusion("add", 2, 55.19),
    fusion("concat", 2, 53.14),
    fusion("add", 4, 55.10),
    fusion("concat", 4, 53.32),
]


def wsol(*words: str) -> None:
    """One command of the product."""
    subprocess.run([sys.executable, "-m", "wsol", *words], check=True)


def folder_of(name: str, runs: Path) -> Path:
    """The run of a row."""
    return runs / name.replace(" ", "-").replace("(", "").replace(")", "")


def make(row: Row, data: Path, runs: Path) -> dict[str, object]:
    """Train and judge a row, or read what an earlier call left."""
    folder = folder_of(row.name, runs)
    result = folder / "result.json"
    if not result.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = [*row.options, *COMMON, *SEG]
        if row.cam_of is None:
            wsol("train-cam", str(data), "--run", str(folder), *options)
        else:
            shutil.copytree(folder_of(row.cam_of, runs) / "cam", folder / "cam", dirs_exist_ok=True)
            wsol("make-pseudo", str(data), "--run", str(folder), *options)
            wsol("train-seg", str(data), "--run", str(folder), *options)
        wsol("evaluate", str(folder), str(data), "--which", row.which, "--json", str(result))
    judged = json.loads(result.read_text())[0]
    return {"row": row.name, "paper": row.paper, **judged}


def table(results: list[dict]) -> str:  # type: ignore[type-arg]
    """Markdown, the protocol's name in its head."""
    lines = [
        "| row | GT-known at the best threshold (95 %) | best threshold | at the default | default | mean IoU | paper, GT-known |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        best, own, mean = (one["metrics"][name] for name in ("gt_known_best_threshold", "gt_known", "mean_box_iou"))
        paper = "" if one["paper"] is None else f"{one['paper']:.2f}"
        lines.append(
            f"| {one['row']} | {best['value']:.1f} ({best['low']:.1f} to {best['high']:.1f}) | {one['best_threshold']:.2f} | "
            f"{own['value']:.1f} | {one['threshold']:.2f} | {mean['value']:.1f} | {paper} |"
        )
    return f"Protocol `{results[0]['protocol']}`, n = {results[0]['n']}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Make every row that is missing, and the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--finished", action="store_true", help="only the rows that have their result")
    arguments = parser.parse_args()
    results = []
    for row in ROWS:
        if arguments.finished and not (folder_of(row.name, arguments.runs) / "result.json").exists():
            continue
        results.append(make(row, arguments.data, arguments.runs))
        (HERE / "ablation.json").write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "ablation_table.md").write_text(table(results))


if __name__ == "__main__":
    main()
