"""From stage 1's maps to masks without boxes: which way gives the best boxes of the training pictures.

    python studies/masks.py DATA --run RUN

Nothing is trained. The maps of a finished stage 1 become masks in every way that is listed, and the largest component of each is held
against the true boxes of training pictures, which no recipe sees. The test pictures are not touched.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsol import open_data
from wsol.boxes import Boxes, iou
from wsol.config import Box
from wsol.data.pictures import Pictures, in_order
from wsol.edges import CAM_SHARES, Seeds, otsu_seeds, redrawn, upsampled
from wsol.engine import choose_engine
from wsol.inference import normalised_class_maps, score_maps
from wsol.maps import find_objects
from wsol.metrics.bootstrap import rate
from wsol.models.checkpoint import load_mffnet

HERE = Path(__file__).parent
LEVELS = (0.3, 0.5, 0.7)
THRESHOLDS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)

Way = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a map (a share of its peak) and the picture to a mask."""


def otsu(power: float) -> Way:
    """The split of a power of the map (Otsu 1979)."""

    def way(share: np.ndarray, picture: np.ndarray) -> np.ndarray:
        values = upsampled(share).clip(0, 1) ** power
        return values > otsu_seeds(values).middle

    return way


def grabcut(foreground: float, background: float) -> Way:
    """The split of the root, redrawn along edges; surely foreground and background beyond these shares of the threshold."""

    def way(share: np.ndarray, picture: np.ndarray) -> np.ndarray:
        root = upsampled(share).clip(0, 1) ** 0.5
        middle = otsu_seeds(root).middle
        return redrawn(root, picture, Seeds(foreground * middle, middle, background * middle))

    return way


def fixed(threshold: float) -> Way:
    """One threshold for all pictures."""
    return lambda share, picture: upsampled(share) > threshold


WAYS: dict[str, Way] = {
    **{f"above {threshold:g} of the peak": fixed(threshold) for threshold in THRESHOLDS},
    "Otsu, of the map": otsu(1),
    "Otsu, of its square root": otsu(1 / 2),
    "Otsu, of its cube root": otsu(1 / 3),
    **{
        f"GrabCut, seeds {foreground:g} and {background:g}": grabcut(foreground, background)
        for foreground in (1.3, CAM_SHARES.foreground, 99)
        for background in (0.1, 0.3, CAM_SHARES.background, 0.7)
    },
}


def fits(data_root: Path, run: Path, every: int) -> dict[str, list[float]]:
    """For each way the IoU of every picture's box with the true one."""
    data = open_data(data_root)
    samples, truth = data.train[::every], data.read_truth()
    network, card = load_mffnet(run / "cam")
    engine = choose_engine("auto", "fp32")
    engine.place(network)
    pictures = Pictures([sample.path for sample in samples], card.resize_px)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for batch in pictures.batches(in_order(len(samples), 32)):
        chosen = [samples[i] for i in batch.indices.tolist()]
        labels = torch.tensor([sample.label for sample in chosen])
        shares = normalised_class_maps(score_maps(network, card, batch.pixels, engine), labels).cpu().numpy()
        for sample, share, pixels, size in zip(chosen, shares, batch.pixels, batch.image_hw.tolist(), strict=True):
            picture = pixels.permute(1, 2, 0).numpy()
            for name, way in WAYS.items():
                mask = way(share, picture).astype(np.float32)
                objects = find_objects(mask, tuple(size), Box())
                fit = iou(Boxes.of([objects[0].xyxy]), truth[sample.image_id].boxes).max() if objects else 0.0
                found[name].append(round(float(fit), 4))
    return found


def main() -> None:
    """Measure, and write studies/masks_table.md and studies/masks.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="a run with a finished stage 1")
    parser.add_argument("--every", type=int, default=3, help="only every so many-th training picture")
    arguments = parser.parse_args()
    found = fits(arguments.data, arguments.run, arguments.every)
    (HERE / "masks.json").write_text(json.dumps(found) + "\n")
    (HERE / "masks_table.md").write_text(table({name: np.array(values) for name, values in found.items()}))


def table(found: dict[str, np.ndarray]) -> str:
    """Markdown: how often a box is right at each IoU."""
    n = len(next(iter(found.values())))
    heads = [f"IoU {level}" for level in LEVELS]
    lines = [
        f"Protocol `original`, {n} training pictures, in percent, 95 % intervals.\n",
        f"| mask | {' | '.join(heads)} | mean of the three | mean IoU |",
        "|---|" + "---|" * (len(heads) + 2),
    ]
    for name, values in found.items():
        right = [rate(values >= level) for level in LEVELS]
        shown = " | ".join(f"{one.value:.1f} ({one.low:.1f} to {one.high:.1f})" for one in right)
        lines.append(f"| {name} | {shown} | {np.mean([one.value for one in right]):.1f} | {100 * values.mean():.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
