"""What a run chooses without boxes, and with a few: its threshold, its score, its calibration, held against others that were tried.

    python studies/choices.py DATA RUN [RUN ...] --out studies/results/choices.md

RUNs are finished runs of the recipe `wsol` on DATA, one for each seed. They are judged on training pictures with true boxes, which no recipe sees
and which stage 3 saw without them; the test pictures are not touched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from wsol import Localizer, WsolError, open_data
from wsol.box_threshold import THRESHOLDS, Fits, best_of, read_threshold
from wsol.boxes import Boxes, iou
from wsol.calibration import chosen_threshold
from wsol.config import Box
from wsol.data.opening import open_truth
from wsol.data.pictures import Pictures, in_order
from wsol.data.samples import DataSet
from wsol.data.truth import GroundTruth
from wsol.folders import write_json, write_text
from wsol.maps import find_objects, resized
from wsol.metrics.localization import CORRECT_IOU
from wsol.metrics.ranking import score_auc
from wsol.metrics.sweep import largest_component, layers_at
from wsol.opinions import BATCH_SIZE
from wsol.progress import Progress
from wsol.pseudo_store import PseudoStore
from wsol.run_config import load_config
from wsol.scores import SIDE_PX, agreement, stability
from wsol.stages import learn_threshold

FEW, DRAWS, WORST = (5, 10, 20, 50), 500, 5
"""How many boxes a user has drawn, how often that is tried, and the percentile of the gains that counts as the worst."""
NEIGHBOURS = 5
"""Boxes are steady where they are alike at thresholds so many hundredths lower and higher."""


@dataclass(frozen=True)
class Seen:
    """What a run says of the training pictures."""

    fits: Float[np.ndarray, "n thresholds"]
    """IoU of the box at each of `THRESHOLDS` with the true one; 0 without a box."""
    steadiness: Float[np.ndarray, "n thresholds"]
    scores: dict[str, Float[np.ndarray, " n"]]
    """By name, of the box at the run's own threshold."""
    own: int
    """Where the run's own threshold stands, to a hundredth."""


def seen_by(run: Path, data: DataSet, truth: GroundTruth, every: int) -> Seen:
    """Show a run every so many-th training picture that has a true box."""
    localizer = Localizer.load(run, device="cpu", precision="fp32")
    samples = [one for one in data.train if one.image_id in truth][::every]
    own = int(np.abs(THRESHOLDS - localizer.box.threshold).argmin())
    fits, steadiness, scores = [], [], []
    for batch in Pictures([one.path for one in samples], localizer.side_px).batches(in_order(len(samples), BATCH_SIZE)):
        maps = localizer.heatmaps(batch.pixels)
        for i, heatmap, (height, width) in zip(batch.indices.tolist(), maps, batch.image_hw.tolist(), strict=True):
            boxes = Boxes(largest_component(layers_at(resized(heatmap, (height, width)), THRESHOLDS)))
            fits.append(_padded(iou(boxes, truth[samples[i].image_id].boxes).max(axis=1)))
            steadiness.append(_steady(boxes))
            scores.append(_scores(heatmap, (height, width), float(THRESHOLDS[own])))
    by_name = {name: np.array([one[name] for one in scores]) for name in scores[0]}
    return Seen(np.stack(fits), np.stack(steadiness), by_name, own)


def _padded(values: np.ndarray) -> np.ndarray:
    """0 at thresholds above which nothing is left."""
    return np.pad(values, (0, len(THRESHOLDS) - len(values)))


def _steady(boxes: Boxes) -> np.ndarray:
    alike = np.zeros(len(THRESHOLDS))
    overlaps = iou(boxes, boxes)
    for i in range(NEIGHBOURS, len(boxes) - NEIGHBOURS):
        alike[i] = overlaps[i - NEIGHBOURS, i + NEIGHBOURS]
    return alike


def _scores(heatmap: np.ndarray, image_hw: tuple[int, int], threshold: float) -> dict[str, float]:
    """Ways to tell how sure the largest object is; 0 where there is none."""
    found = find_objects(heatmap, image_hw, Box(threshold=threshold))
    names = (
        "stability times agreement (the score)",
        "stability",
        "agreement",
        "mean probability inside",
        "highest probability",
    )
    if not found:
        return dict.fromkeys(names, 0.0)
    fine = resized(heatmap, (SIDE_PX, SIDE_PX))
    inside = resized(found[0].mask.astype(np.float32), (SIDE_PX, SIDE_PX)) >= 0.5
    if not inside.any():
        inside = fine >= fine.max()
    steady, agreed = stability(fine, inside), agreement(fine, inside)
    return dict(
        zip(names, (found[0].score, steady, agreed, float(fine[inside].mean()), float(fine.max())), strict=True)
    )


def thresholds_of(run: Path, data: DataSet, seen: Seen) -> dict[str, float]:
    """By rule, the threshold that a run would have; all but the last two without true boxes."""
    learned = read_threshold(run / "seg")
    assert learned is not None
    config, store = load_config(run), PseudoStore(run / "pseudo")
    engine = Localizer.load(run, device="cpu", precision="fp32").engine
    boxes, masks = learn_threshold._fits(data, run / "seg", store, store.usable(), config, engine, Progress(quiet=True))
    means = seen.fits.mean(axis=0)
    return {
        "midway (the default)": learned.threshold,
        "where boxes fit the pseudo masks": learned.box_threshold,
        "where masks fit the pseudo masks": learned.mask_threshold,
        "midway of medians in place of means": (_of_median(boxes) + _of_median(masks)) / 2,
        "midway, of the half whose fits are best": (_of_half(boxes) + _of_half(masks)) / 2,
        "where boxes move least": float(THRESHOLDS[seen.steadiness.mean(axis=0).argmax()]),
        "0.5, the sigmoid's middle": 0.5,
        "of the highest mean IoU, by the true boxes": float(THRESHOLDS[means.argmax()]),
        "of the most right boxes, by the true boxes": float(
            THRESHOLDS[(seen.fits >= CORRECT_IOU).mean(axis=0).argmax()]
        ),
    }


def _of_median(rows: list[Fits]) -> float:
    return float(THRESHOLDS[np.median(rows, axis=0).argmax()])


def _of_half(rows: list[Fits]) -> float:
    best = np.max(rows, axis=1)
    return best_of([row for row, fit in zip(rows, best, strict=True) if fit >= np.median(best)]).threshold


def gains(fits: Float[np.ndarray, "n thresholds"], own: int, count: int) -> dict[str, list[float]]:
    """Points of mean IoU on the other pictures, for each draw of so many boxes, by what chooses the threshold."""
    random, found = np.random.default_rng(0), {"calibrate": [], "the best of the boxes": []}
    for _ in range(DRAWS):
        drawn = random.permutation(len(fits)) < count
        chosen = (
            chosen_threshold(fits[drawn], THRESHOLDS, float(THRESHOLDS[own])),
            int(fits[drawn].mean(axis=0).argmax()),
        )
        for name, place in zip(found, chosen, strict=True):
            found[name].append(100 * float((fits[~drawn, place] - fits[~drawn, own]).mean()))
    return found


def measured(run: Path, data: DataSet, truth: GroundTruth, every: int) -> dict[str, Any]:
    """All figures of a run."""
    seen = seen_by(run, data, truth, every)
    rules = {}
    for name, threshold in thresholds_of(run, data, seen).items():
        fits = seen.fits[:, int(np.abs(THRESHOLDS - threshold).argmin())]
        rules[name] = {
            "threshold": threshold,
            "right": 100 * float((fits >= CORRECT_IOU).mean()),
            "mean_iou": 100 * float(fits.mean()),
        }
    is_right = seen.fits[:, seen.own] >= CORRECT_IOU
    aucs = {name: score_auc(values, is_right) for name, values in seen.scores.items()}
    starts = {
        "its own threshold": seen.own,
        "0.5": int(np.abs(THRESHOLDS - 0.5).argmin()),
        "0.8": int(np.abs(THRESHOLDS - 0.8).argmin()),
    }
    return {
        "n": len(seen.fits),
        "thresholds": rules,
        "aucs": {name: None if rate is None else rate.value for name, rate in aucs.items()},
        "calibration": {
            start: {count: gains(seen.fits, place, count) for count in FEW if 2 * count <= len(seen.fits)}
            for start, place in starts.items()
        },
    }


def table(found: Sequence[dict[str, Any]], described: str) -> str:
    """Markdown: means and standard deviations over runs."""
    first = found[0]
    lines = [f"Protocol `original`; {described}; {len(found)} runs, {first['n']} training pictures with true boxes. In percent, mean and standard deviation over runs.\n"]  # fmt: skip
    lines += ["| threshold | | right at IoU 0.5 | mean box IoU |", "|---|---|---|---|"]
    for name in first["thresholds"]:
        each = [one["thresholds"][name] for one in found]
        places = ", ".join(f"{one['threshold']:.2f}" for one in each)
        lines.append(
            f"| {name} | {places} | {_spread([one['right'] for one in each])} | {_spread([one['mean_iou'] for one in each])} |"
        )
    lines += ["\n| score | AUC at IoU 0.5 |", "|---|---|"]
    for name in first["aucs"]:
        values = [one["aucs"][name] for one in found]
        lines.append(f"| {name} | {'' if None in values else _spread(values)} |")
    lines += [f"\nPoints of mean box IoU that the rule of `wsol calibrate` gains on the other pictures, without its veto by leave-one-out, over {DRAWS} draws of so many boxes a run; in brackets what 5 % of the draws fall below.\n"]  # fmt: skip
    counts = list(next(iter(first["calibration"].values())))
    lines += [f"| from | by | {' | '.join(f'{count} boxes' for count in counts)} |", "|---|---|" + "---|" * len(counts)]
    for start, by_count in first["calibration"].items():
        for rule in by_count[counts[0]]:
            values = [np.concatenate([one["calibration"][start][count][rule] for one in found]) for count in counts]
            cells = [f"{one.mean():+.1f} ({np.percentile(one, WORST):+.1f})" for one in values]
            lines.append(f"| {start} | {rule} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def main() -> None:
    """Measure, and write the table with the numbers beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the table; numbers go into a .json beside it")
    parser.add_argument("--truth", type=Path, help="true boxes of training pictures, where the data set has none")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th training picture")
    given = parser.parse_args()
    try:
        data = open_data(given.data)
        truth = (open_truth(given.truth, given.data) if given.truth else data).read_truth()
        if not any(one.image_id in truth for one in data.train):
            raise WsolError(
                f"no training picture of {given.data} has a true box: expected some, to judge with. Class folders tell those of test pictures; name their table with --truth."
            )
        found = [measured(run, data, truth, given.every) for run in given.runs]
    except WsolError as error:
        sys.exit(f"error: {error}")
    write_text(given.out, table(found, data.describe().replace(f" {data.root}", "")))
    means = [{**one, "calibration": {start: {count: {rule: float(np.mean(values)) for rule, values in rules.items()} for count, rules in by_count.items()} for start, by_count in one["calibration"].items()}} for one in found]  # fmt: skip
    write_json(given.out.with_suffix(".json"), means)


if __name__ == "__main__":
    main()
