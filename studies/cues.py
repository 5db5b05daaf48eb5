"""Choice of the salient region for the pseudo mask: each cue alone and left out, on images with annotated boxes.

    python studies/cues.py SET [SET ...] --out studies/results/cues.md

A SET is what `wsol evaluate` takes (`TRUTH=IMAGES` if the images are elsewhere); if it has a split, its training images
with boxes are used. `SET@3` uses every third of them. The cues are made as in `wsol make-pseudo`, from these images and
their labels; boxes are used for evaluation only. Protocol `original`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from instant import Kind, evaluated, opened, table_of
from torch import Tensor

from wsol import WsolError
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.geometry.contrast import Colours, colours_of
from wsol.geometry.image_threshold import AROUND_OTSU, brought
from wsol.methods.instant import split_at_half
from wsol.methods.spol import cues
from wsol.models.outputs import fraction_of_peak
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import write_json, write_text

Plane = np.ndarray
Rule = Callable[[Plane, Plane, Plane], Plane]
"""Combine salience, evidence and likeness of an image to a map with threshold 0.5."""


OWN = "**evidence and likeness, each image's own threshold (the default)**"


def zeros(plane: Plane) -> Plane:
    """A constant cue, to switch one off."""
    return np.zeros_like(plane)


def class_map(salience: Plane, evidence: Plane, likeness: Plane) -> Plane:
    """The evidence alone, without salience, split by Otsu's threshold as salience is."""
    share: Tensor = fraction_of_peak(torch.from_numpy(evidence)[None])
    return np.asarray(split_at_half(share)[0])


RULES: dict[str, Rule] = {
    "the class map by itself (evidence, no salience)": class_map,
    "the largest salient part (no label)": lambda salience, evidence, likeness: cues.keep_best_part(
        salience, zeros(salience), zeros(salience)
    ),
    "the part with the most evidence": lambda salience, evidence, likeness: cues.keep_best_part(
        salience, evidence, zeros(salience)
    ),
    "the part that is likest to chosen ones": lambda salience, evidence, likeness: cues.keep_best_part(
        salience, zeros(salience), likeness
    ),
    "evidence and likeness": cues.keep_best_part,
}


def seen(kind: Kind, run: Path) -> tuple[list[tuple[Plane, ...]], list[Colours], list[tuple[int, int]], list[int]]:
    """The cues of all images, their colours, their sizes, and their numbers."""
    config = resolve(RunConfig(device="cpu", precision="fp32"))
    data = replace(kind.data, train=tuple(kind.samples), test=())
    cues.fit(data, run, config, Progress(quiet=True))
    engine = choose_engine("cpu", "fp32")
    model = cues.load(run, engine)
    images = ImageLoader([one.path for one in kind.samples], model.model_config.resize_px)
    found: list[tuple[Plane, ...]] = []
    colours: list[Colours] = []
    sizes, numbers = [], []
    for batch in images.batches(in_order(len(kind.samples), BATCH_SIZE)):
        labels = torch.tensor([kind.samples[i].label for i in batch.indices.tolist()])
        found += cues.image_cues(model, torch.from_numpy(batch.pixels), labels, engine)
        colours += map(colours_of, batch.pixels)
        sizes += [(int(height), int(width)) for height, width in batch.image_hw]
        numbers += batch.indices.tolist()
    return found, colours, sizes, numbers


def main() -> None:
    """Measure, and write the table with the numbers beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the table; numbers go into a .json beside it")
    given = parser.parse_args()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    try:
        for words in given.sets:
            source, _, every = words.partition("@")
            kind = opened(source, int(every or 1), 0)
            with tempfile.TemporaryDirectory() as scratch:
                planes, colours, sizes, numbers = seen(kind, Path(scratch) / "run")
            annotated = [kind.ground_truth[kind.samples[i].image_id].boxes for i in numbers]
            found[kind.name] = {
                name: evaluated([rule(*one) for one in planes], sizes, annotated) for name, rule in RULES.items()
            }
            own = brought(AROUND_OTSU, np.stack([cues.keep_best_part(*one) for one in planes]), colours)
            found[kind.name][OWN] = evaluated([*own], sizes, annotated)
            print(kind.name, {name: round(one["gt_known"], 1) for name, one in found[kind.name].items()}, flush=True)
    except WsolError as error:
        sys.exit(f"error: {error}")
    write_text(given.out, table_of(found, "rule", [*RULES, OWN]))
    write_json(given.out.with_suffix(".json"), found)


if __name__ == "__main__":
    main()
