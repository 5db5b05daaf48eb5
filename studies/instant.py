"""Maps that need no training, compared on images with annotated boxes.

    python studies/instant.py SET [SET ...] --out studies/results/instant.md

A SET is what `wsol evaluate` takes (`TRUTH=IMAGES` if the images are elsewhere). If it has a split, the training images
with boxes are used, otherwise the test images; no map uses labels or boxes. Each row is the default of `--method
instant`, or differs from it by what its name says. Protocol `original`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsol import WsolError
from wsol.config.options import Box, RunConfig
from wsol.config.recipes import resolve
from wsol.data.ground_truth import GroundTruth
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.data.open import open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.geometry.boxes import Boxes, centre_box, iou
from wsol.geometry.contrast import colours_of
from wsol.geometry.image_threshold import AROUND_OTSU, brought
from wsol.geometry.objects import find_objects, resized
from wsol.geometry.threshold_sweep import largest_component, layers_at
from wsol.methods import instant
from wsol.methods.ddt import Moments, first_component
from wsol.methods.spol.learn_threshold import THRESHOLDS
from wsol.metrics.bootstrap import rate
from wsol.metrics.localization import CORRECT_IOU
from wsol.models.backbone import pretrained_state
from wsol.models.forward import prepared
from wsol.models.outputs import fraction_of_peak, spread
from wsol.runtime.engine import Engine
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import write_json, write_text

Maps = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Combine the common components of roots and features, and the norm, as fractions of their peaks, to maps."""

ROWS: dict[str, Maps] = {
    "norm (SCDA)": lambda roots, plain, norm: norm,
    "component of the features (DDT), its root": lambda roots, plain, norm: plain.sqrt(),
    "component of the roots": lambda roots, plain, norm: roots,
    "mean of the component's root and the norm": lambda roots, plain, norm: (plain.sqrt() + norm) / 2,
    "component of the roots times norm, root": lambda roots, plain, norm: (roots * norm).sqrt(),
}
OWN = "**the same, each image's own threshold around Otsu's (instant)**"


CENTRE_BOX = "centre box, half of the image"
"""No map at all: the simplest baseline."""
CENTRE_SHARE = 0.5**0.5


@dataclass(frozen=True)
class Kind:
    """One set of images, and their common components."""

    name: str
    data: DataSet
    ground_truth: GroundTruth
    samples: Sequence[Sample]


def opened(words: str, every: int, first: int) -> Kind:
    """A set from the command line: every n-th of its images, from `first` on."""
    root, _, images = words.partition("=")
    data = open_ground_truth(Path(root), Path(images) if images else None)
    ground_truth = data.read_ground_truth()
    boxed = [one for one in data.train if one.image_id in ground_truth] or [
        one for one in data.test if one.image_id in ground_truth
    ]
    which = "all" if not data.has_split else "training" if boxed[0] in data.train else "test"
    name = (data.root.parent if data.root.is_file() else data.root).name
    return Kind(f"{name}, {which} images", data, ground_truth, boxed[first::every])


class Seer:
    """The network of instant mode, to compute features."""

    def __init__(self, config: RunConfig, data: DataSet, engine: Engine) -> None:
        self.model_config, self.engine = instant.instant_config(data, config), engine
        state = dict(pretrained_state(config.backbone, config.weights))
        self.features = engine.place(instant.rectified_backbone(self.model_config, state)).eval()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """The features of a batch."""
        found: Tensor = self.features.rectified(prepared(pixels, self.model_config, self.engine))
        return found.float()


def plain_moments(features: Tensor) -> Moments:
    """As `instant.moments_of_roots`, of the features themselves."""
    return instant.moments_of_roots(features**2)


def maps_of(
    seer: Seer, kind: Kind, sample: int
) -> tuple[dict[str, list[np.ndarray]], list[tuple[int, int]], list[int]]:
    """Maps of all images for each row, with the sizes and indices of the images."""
    images = ImageLoader([one.path for one in kind.samples], seer.model_config.resize_px)
    chosen = instant.evenly_spaced(len(kind.samples), sample)
    orders = [[chosen[i] for i in rows] for rows in in_order(len(chosen), BATCH_SIZE)]
    sums: list[Moments | None] = [None, None]
    for batch in images.batches(orders):
        features = seer(torch.from_numpy(batch.pixels))
        for at, moments in enumerate((instant.moments_of_roots, plain_moments)):
            before, own = sums[at], moments(features)
            sums[at] = own if before is None else before + own
    components = [first_component(one) for one in sums if one is not None]
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*ROWS, OWN)}
    sizes, numbers = [], []
    for batch in images.batches(in_order(len(kind.samples), BATCH_SIZE)):
        features = seer(torch.from_numpy(batch.pixels))
        roots, plain = (
            fraction_of_peak(torch.einsum("bchw,c->bhw", one, torch.from_numpy(xi).float()) - float(xi @ mean))
            for one, (mean, xi) in zip((features.sqrt(), features), components, strict=True)
        )
        for name, join in ROWS.items():
            joined = join(roots, plain, spread(features.norm(dim=1)))
            finer = interpolate(joined[:, None], scale_factor=instant.UPSAMPLING, mode="bilinear")[:, 0]
            found[name] += list(instant.split_at_half(fraction_of_peak(finer)).numpy())
        last = np.stack(found[name][-len(batch.pixels) :])
        found[OWN] += list(brought(AROUND_OTSU, last, map(colours_of, batch.pixels)))
        sizes += [(int(height), int(width)) for height, width in batch.image_hw]
        numbers += batch.indices.tolist()
    return found, sizes, numbers


def evaluated(maps: list[np.ndarray], sizes: list[tuple[int, int]], annotated: list[Boxes]) -> dict[str, Any]:
    """GT-known and mean box IoU at Otsu's threshold of each map, and at the best one for all."""
    own, swept = [], []
    for heatmap, image_hw, ground_truth in zip(maps, sizes, annotated, strict=True):
        objects = find_objects(heatmap, image_hw, Box(threshold=0.5))
        own.append(float(iou(Boxes.of([objects[0].xyxy]), ground_truth).max()) if objects else 0.0)
        boxes = Boxes(largest_component(layers_at(resized(heatmap, image_hw), THRESHOLDS)))
        fits = iou(boxes, ground_truth).max(axis=1)
        swept.append(np.pad(fits, (0, len(THRESHOLDS) - len(fits))))
    fits = np.array(own)
    right = rate(fits >= CORRECT_IOU)
    return {
        "n": len(fits),
        "gt_known": right.value,
        "low": right.low,
        "high": right.high,
        "mean_box_iou": 100 * float(fits.mean()),
        "best": 100 * float((np.stack(swept) >= CORRECT_IOU).mean(axis=0).max()),
    }


def evaluated_centre(sizes: list[tuple[int, int]], annotated: list[Boxes]) -> dict[str, Any]:
    """The same for one box for all images, without a threshold."""
    boxes = (Boxes.of([centre_box(image_hw, CENTRE_SHARE)]) for image_hw in sizes)
    fits = np.array([float(iou(box, ground_truth).max()) for box, ground_truth in zip(boxes, annotated, strict=True)])
    right = rate(fits >= CORRECT_IOU)
    return {
        "n": len(fits),
        "gt_known": right.value,
        "low": right.low,
        "high": right.high,
        "mean_box_iou": 100 * float(fits.mean()),
        "best": right.value,
    }


def table_of(found: dict[str, dict[str, dict[str, Any]]], what: str, names: Sequence[str]) -> str:
    """Markdown: a row for each name, a column for each set."""
    counts = {name: next(iter(rows.values()))["n"] for name, rows in found.items()}
    heads = " | ".join(f"{name}, n = {count}" for name, count in counts.items())
    lines = [
        (
            "GT-known (protocol `original`) at each map's own threshold with its 95 % interval, mean box IoU there, and"
            " GT-known at the best threshold for all."
        ),
        "",
        f"| {what} | {heads} |",
        "|---|" + "---|" * len(found),
    ]
    lines += [f"| {row} | {' | '.join(_cell(rows[row]) for rows in found.values())} |" for row in names]
    return "\n".join(lines) + "\n"


def _cell(one: dict[str, Any]) -> str:
    return (
        f"{one['gt_known']:.1f} ({one['low']:.1f} to {one['high']:.1f}), {one['mean_box_iou']:.1f}, {one['best']:.1f}"
    )


def main() -> None:
    """Measure, and write the table with the numbers beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the table; numbers go into a .json beside it")
    parser.add_argument("--every", type=int, default=1, help="use every n-th image")
    parser.add_argument("--first", type=int, default=0, help="index of the first image used, from 0")
    parser.add_argument("--sample", type=int, default=200, help="number of images for the common component")
    given = parser.parse_args()
    config = resolve(RunConfig(method="instant", device="cpu", precision="fp32"))
    engine = choose_engine("cpu", "fp32")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    try:
        for kind in (opened(words, given.every, given.first) for words in given.sets):
            maps, sizes, numbers = maps_of(Seer(config, kind.data, engine), kind, given.sample)
            annotated = [kind.ground_truth[kind.samples[i].image_id].boxes for i in numbers]
            found[kind.name] = {CENTRE_BOX: evaluated_centre(sizes, annotated)} | {
                name: evaluated(rows, sizes, annotated) for name, rows in maps.items()
            }
            print(kind.name, {name: round(one["gt_known"], 1) for name, one in found[kind.name].items()}, flush=True)
    except WsolError as error:
        sys.exit(f"error: {error}")
    write_text(given.out, table_of(found, "map", (CENTRE_BOX, *ROWS, OWN)))
    write_json(given.out.with_suffix(".json"), found)


if __name__ == "__main__":
    main()
