"""Choices of a run without boxes and with a few boxes: threshold, score and calibration, compared with alternatives.

    python studies/choices.py --set SET RUN [RUN ...] --set SET RUN [RUN ...] --out studies/results/choices.md

RUNs are finished runs of the recipe `wsol` on SET, one for each seed. A SET is what `wsol evaluate` takes
(`TRUTH=IMAGES` if the images are elsewhere): its test images, or all images if there is no split. Protocol `original`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from wsol import WsolError
from wsol.config.options import Box
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.data.open import open_ground_truth
from wsol.geometry.boxes import Boxes, iou
from wsol.geometry.contrast import SIZE_PX, Colours, contrast
from wsol.geometry.image_threshold import brought
from wsol.geometry.objects import find_objects, resized
from wsol.geometry.scores import agreement, stability
from wsol.geometry.threshold_sweep import largest_component, layers_at
from wsol.inference.torch_networks import load_networks
from wsol.methods.instant import otsu
from wsol.methods.spol.learn_threshold import THRESHOLDS
from wsol.metrics.localization import CORRECT_IOU
from wsol.metrics.ranking import score_auc
from wsol.runs.box_threshold import read_threshold
from wsol.runs.calibration import chosen_threshold
from wsol.runs.run import Run
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import write_json, write_text

FEW, DRAWS, WORST = (5, 10, 20, 50), 500, 5
"""Numbers of annotated boxes, draws of each number, and the percentile of the gains that is reported as worst."""
TIGHT_IOU = 0.7
OWN = "**each image's own (the default)**"
SCORE = "**map and contrast (the score)**"

Fits = Float[np.ndarray, "n thresholds"]


@dataclass(frozen=True)
class Results:
    """Outputs of a run for the images of a set."""

    same: Fits
    """IoU with the best annotated box at each of `THRESHOLDS`, the same for all images; 0 without a predicted box."""
    own: Fits
    """The same for maps that are adapted to each image's own threshold."""
    otsu: Float[np.ndarray, " n"]
    """The same at Otsu's threshold of each map."""
    scores: dict[str, Float[np.ndarray, " n"]]
    """Scores of the predicted boxes, by name."""


def results_of(run: Path, words: str) -> Results:
    """Run the networks on the images with an annotated box."""
    root, _, images = words.partition("=")
    data = open_ground_truth(Path(root), Path(images) if images else None)
    ground_truth = data.read_ground_truth()
    samples = [one for one in data.test if one.image_id in ground_truth and len(ground_truth[one.image_id].boxes)]
    networks = load_networks(Run.open(run), choose_engine("cpu", "fp32"), is_folded=True)
    raw, threshold = replace(networks, image_threshold=None), threshold_index(run)
    same, own, of_otsu, scores = [], [], [], []
    images_of = ImageLoader([one.path for one in samples], networks.size_px)
    for batch in images_of.batches(in_order(len(samples), BATCH_SIZE)):
        said = raw.outputs(batch.pixels)
        assert said.heatmaps is not None and said.colours is not None
        shifted = brought(networks.image_threshold, said.heatmaps, said.colours)
        splits = otsu(torch.from_numpy(said.heatmaps)).tolist()
        for k, (i, (height, width)) in enumerate(zip(batch.indices.tolist(), batch.image_hw.tolist(), strict=True)):
            true, size = ground_truth[samples[i].image_id].boxes, (height, width)
            same.append(_fits(said.heatmaps[k], size, true, THRESHOLDS))
            own.append(_fits(shifted[k], size, true, THRESHOLDS))
            of_otsu.append(_fits(said.heatmaps[k], size, true, np.array(splits[k : k + 1]))[0])
            scores.append(_scores(shifted[k], size, float(THRESHOLDS[threshold]), said.colours[k]))
    by_name = {name: np.array([one[name] for one in scores]) for name in scores[0]}
    return Results(np.stack(same), np.stack(own), np.array(of_otsu), by_name)


def threshold_index(run: Path) -> int:
    """Index of the run's learned threshold in `THRESHOLDS`."""
    learned = read_threshold(run / "seg")
    if learned is None or Run.open(run).image_threshold is None:
        raise WsolError(f"{run} has no learned threshold", expected="a finished run of the recipe wsol")
    return _nearest(learned.threshold)


def _nearest(threshold: float) -> int:
    return int(np.abs(THRESHOLDS - threshold).argmin())


def _fits(heatmap: np.ndarray, image_hw: tuple[int, int], true: Boxes, thresholds: np.ndarray) -> np.ndarray:
    boxes = Boxes(largest_component(layers_at(resized(heatmap, image_hw), thresholds)))
    found = iou(boxes, true).max(axis=1)
    return np.pad(found, (0, len(thresholds) - len(found)))  # higher thresholds leave nothing


def _scores(heatmap: np.ndarray, image_hw: tuple[int, int], threshold: float, colours: Colours) -> dict[str, float]:
    """Candidate scores of the largest object; 0 if there is none."""
    names = (
        SCORE,
        "map alone: root of stability times agreement",
        "stability",
        "agreement",
        "contrast",
        "mean probability inside",
    )
    found = find_objects(heatmap, image_hw, Box(threshold=threshold), colours)
    if not found:
        return dict.fromkeys(names, 0.0)
    fine = resized(heatmap, (SIZE_PX, SIZE_PX))
    inside = resized(found[0].mask.astype(np.float32), (SIZE_PX, SIZE_PX)) >= 0.5
    if not inside.any():
        inside = fine >= fine.max()
    steady, agreed = stability(fine, inside), agreement(fine, inside)
    values = (
        found[0].score,
        (steady * agreed) ** 0.5,
        steady,
        agreed,
        contrast(inside, colours),
        float(fine[inside].mean()),
    )
    return dict(zip(names, values, strict=True))


def rules_of(run: Path, seen: Results) -> dict[str, Float[np.ndarray, " n"]]:
    """IoU of each image by rule; the last two rules choose with the annotated boxes."""
    learned = read_threshold(run / "seg")
    assert learned is not None
    return {
        OWN: seen.own[:, threshold_index(run)],
        "one for all, midway": seen.same[:, _nearest(learned.threshold)],
        "one for all, where boxes fit the pseudo masks": seen.same[:, _nearest(learned.box_threshold)],
        "one for all, where masks fit the pseudo masks": seen.same[:, _nearest(learned.mask_threshold)],
        "one for all, 0.5": seen.same[:, _nearest(0.5)],
        "Otsu's of each map": seen.otsu,
        "one for all, the best by the true boxes": _best(seen.same),
        "each image's own, brought to the best by the true boxes": _best(seen.own),
    }


def _best(fits: Fits) -> Float[np.ndarray, " n"]:
    return np.asarray(fits[:, (fits >= CORRECT_IOU).mean(axis=0).argmax()])


def spearman(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Rank correlation (Spearman 1904), in percent; equal values share the mean of their ranks."""
    return 100 * float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, ranks, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - counts / 2)[ranks])


def gains(fits: Fits, own: int, count: int) -> dict[str, list[float]]:
    """Gain in mean IoU on the other images for each draw of some boxes, by the rule that chooses the threshold."""
    random, found = np.random.default_rng(0), {"calibrate": [], "the best of the boxes": []}
    for _ in range(DRAWS):
        drawn = random.permutation(len(fits)) < count
        chosen = (
            chosen_threshold(fits[drawn], THRESHOLDS, float(THRESHOLDS[own])),
            int(fits[drawn].mean(axis=0).argmax()),
        )
        for name, index in zip(found, chosen, strict=True):
            found[name].append(100 * float((fits[~drawn, index] - fits[~drawn, own]).mean()))
    return found


def measured(runs: Sequence[Path], words: str) -> dict[str, Any]:
    """All numbers of the runs on one set."""
    each = [results_of(run, words) for run in runs]
    rules = [rules_of(run, seen) for run, seen in zip(runs, each, strict=True)]
    pooled = np.concatenate([one[OWN] for one in rules])
    scores = {name: np.concatenate([seen.scores[name] for seen in each]) for name in each[0].scores}
    indices = [threshold_index(run) for run in runs]
    return {
        "n": len(each[0].otsu),
        "runs": len(runs),
        "thresholds": [float(THRESHOLDS[index]) for index in indices],
        "rules": {
            name: {
                "right": [100 * float((one[name] >= CORRECT_IOU).mean()) for one in rules],
                "mean_iou": [100 * float(one[name].mean()) for one in rules],
            }
            for name in rules[0]
        },
        "scores": {
            name: {
                "auc_50": score_auc(values, pooled >= CORRECT_IOU),
                "auc_70": score_auc(values, pooled >= TIGHT_IOU),
                "spearman": spearman(values, pooled),
            }
            for name, values in scores.items()
        },
        "calibration": {
            count: _drawn([gains(seen.own, index, count) for seen, index in zip(each, indices, strict=True)])
            for count in FEW
            if 2 * count <= len(each[0].otsu)
        },
    }


def _drawn(found: Sequence[dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    together = {rule: np.concatenate([one[rule] for one in found]) for rule in found[0]}
    return {
        rule: {"mean": float(values.mean()), "worst": float(np.percentile(values, WORST))}
        for rule, values in together.items()
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown table with one column per set."""
    sets = list(found.values())
    heads = [f"{name}, n = {one['n']}, {one['runs']} seeds" for name, one in found.items()]
    lines = [
        "Right at IoU 0.5 and mean box IoU, in percent, means over seeds. Protocol `original`.\n",
        *_head("threshold", heads),
    ]
    for name in sets[0]["rules"]:
        cells = [
            f"{np.mean(one['rules'][name]['right']):.1f}, {np.mean(one['rules'][name]['mean_iou']):.1f}" for one in sets
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        (
            "\nAUC of the score at IoU 0.5 and at 0.7, and Spearman's correlation of score and IoU, in percent, seeds"
            " pooled; in brackets 95 % over images.\n"
        ),
        *_head("score", heads),
    ]
    for name in sets[0]["scores"]:
        cells = [_ranked(one["scores"][name], has_interval=name == SCORE) for one in sets]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        (
            f"\nPoints of mean box IoU that a few boxes gain on the other images over {DRAWS} draws a run, without"
            f" `calibrate`'s veto by leave-one-out; in brackets what {WORST} % of the draws fall below.\n"
        ),
        *_head("boxes, rule", heads),
    ]
    for count in FEW:
        for rule in ("calibrate", "the best of the boxes"):
            gained = [one["calibration"].get(count, {}).get(rule) for one in sets]
            cells = ["" if one is None else f"{one['mean']:+.1f} ({one['worst']:+.1f})" for one in gained]
            lines.append(f"| {count}, {rule} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _head(first: str, heads: Sequence[str]) -> list[str]:
    return [f"| {first} | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]


def _ranked(one: dict[str, Any], *, has_interval: bool) -> str:
    areas = [
        "" if area is None else f"{area.value:.1f}" + (f" ({area.low:.0f} to {area.high:.0f})" if has_interval else "")
        for area in (one["auc_50"], one["auc_70"])
    ]
    return f"{', '.join(areas)}, {one['spearman']:.1f}"


def main() -> None:
    """Measure, and write the table with the numbers beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", action="append", required=True, metavar=("SET", "RUN"), dest="sets")
    parser.add_argument("--out", type=Path, required=True, help="the table; numbers go into a .json beside it")
    given = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    try:
        for source, *runs in given.sets:
            root = Path(source.partition("=")[0])
            name = (root.parent if root.is_file() else root).name
            found[name] = measured([*map(Path, runs)], source)
            print(name, found[name]["rules"][OWN], flush=True)
    except WsolError as error:
        sys.exit(f"error: {error}")
    write_text(given.out, table(found))
    write_json(given.out.with_suffix(".json"), found)


if __name__ == "__main__":
    main()
