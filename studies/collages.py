"""A set of images with several labels: one to three photographs of different classes side by side.

    python studies/collages.py OUT --set ANIMALS [--images FOLDER] --set CUB_200_2011 --one-class bird

OUT becomes `labels.csv`, with a line for each true box and its class, beside `train` and `test`. Photographs of the
training split are in training collages alone; of a set without a split, every third is in test collages. A set that is
followed by `--one-class NAME` has one class, NAME. Collages have straight borders between their photographs, which is
easier than nature for whoever looks for borders.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from wsol import open_data
from wsol.storage.folders import write_text

HEIGHT_PX, WIDTH_PX = 320, 420
COUNTS, CHANCES = (1, 2, 3), (0.35, 0.45, 0.2)
"""Number of photographs in a collage, and the probability of each."""
JITTER = 0.15
"""How far a border moves from equal parts, as a fraction of the collage."""

TEST_EVERY = 3

Photograph = tuple[Path, np.ndarray]
"""Path and true boxes (boxes, 4)."""
Pool = dict[str, list[Photograph]]
"""Photographs of each class."""


def add_photographs(pools: dict[str, Pool], data: Path, images: Path | None, class_name: str | None) -> None:
    """Add the photographs with true boxes of both splits of a data set.

    Args:
        pools: by split; changed.
        data: the data set.
        images: the folder of its images, if it is not the usual one.
        class_name: of all its images; None for the classes of the set.
    """
    opened = open_data(data, images)
    ground_truth = opened.read_ground_truth()
    train, test = opened.train, opened.test
    if not opened.has_split:
        test = train[TEST_EVERY - 1 :: TEST_EVERY]
        train = tuple(sample for number, sample in enumerate(train, start=1) if number % TEST_EVERY)
    for split, samples in (("train", train), ("test", test)):
        for sample in samples:
            if sample.image_id in ground_truth:
                name = class_name or opened.class_names[sample.label]
                boxes = ground_truth[sample.image_id].boxes.xyxy
                pools[split].setdefault(name, []).append((sample.path, boxes))


def collage(photographs: Sequence[Photograph], rng: np.random.Generator) -> tuple[Image.Image, list[np.ndarray]]:
    """Photographs side by side or one below another, and the true boxes of each in the collage."""
    parts = len(photographs)
    is_row = rng.random() < 0.5
    inner = np.arange(1, parts) / parts + rng.uniform(-JITTER, JITTER, parts - 1)
    borders = np.round(np.array([0, *inner, 1]) * (WIDTH_PX if is_row else HEIGHT_PX)).astype(int)
    canvas, placed = Image.new("RGB", (WIDTH_PX, HEIGHT_PX)), []
    for (path, boxes), start, end in zip(photographs, borders[:-1], borders[1:], strict=True):
        x0, y0, width, height = (start, 0, end - start, HEIGHT_PX) if is_row else (0, start, WIDTH_PX, end - start)
        photograph = Image.open(path).convert("RGB")
        canvas.paste(photograph.resize((width, height)), (x0, y0))
        scale = np.array([width / photograph.width, height / photograph.height] * 2)
        placed.append(boxes * scale + (x0, y0, x0, y0))
    return canvas, placed


def write(pools: dict[str, Pool], out: Path, counts: dict[str, int], seed: int) -> None:
    """Write all collages and their boxes."""
    rng, text = np.random.default_rng(seed), io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "label", "split", "x0", "y0", "x1", "y1"))
    for split, count in counts.items():
        (out / split).mkdir(parents=True)
        for number in range(count):
            names = rng.choice(sorted(pools[split]), rng.choice(COUNTS, p=CHANCES), replace=False)
            chosen = [pools[split][name][rng.integers(len(pools[split][name]))] for name in names]
            image, placed = collage(chosen, rng)
            path = f"{split}/{number:04}.jpg"
            image.save(out / path, quality=92)
            for name, boxes in zip(names, placed, strict=True):
                table.writerows((path, name, split, *(f"{edge:.1f}" for edge in box)) for box in boxes)
    write_text(out / "labels.csv", text.getvalue())


class _AddSet(argparse.Action):
    """Sets in order, each with the options that follow it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: object,
        option_string: str | None = None,
    ) -> None:
        if self.dest == "set":
            namespace.sets.append({"data": value, "images": None, "class_name": None})
        elif namespace.sets:
            namespace.sets[-1][self.dest] = value
        else:
            parser.error(f"{option_string} belongs to a set: expected --set before it")


def main() -> None:
    """Write the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", type=Path, action=_AddSet, required=True, help="a data set; may be repeated")
    parser.add_argument("--images", type=Path, action=_AddSet, help="folder of the images of the set before")
    parser.add_argument("--one-class", dest="class_name", action=_AddSet, help="the only class of the set before")
    parser.add_argument("--train", type=int, default=360, help="training images")
    parser.add_argument("--test", type=int, default=240, help="test images")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(sets=[])
    given = parser.parse_args()
    if given.out.exists():
        parser.exit(2, f"error: {given.out} exists: expected a new folder. Choose another, or remove it.\n")
    pools: dict[str, Pool] = {"train": {}, "test": {}}
    for one in given.sets:
        add_photographs(pools, **one)
    write(pools, given.out, {"train": given.train, "test": given.test}, given.seed)


if __name__ == "__main__":
    main()
