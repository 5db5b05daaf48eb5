"""Part the training pictures of a data set, so that choices are made without a look at its test pictures.

    python studies/hold_out.py DATA hold_out.csv

Writes a CSV table with the training pictures alone: of each class every third as `test` with its boxes, the others as `train`. Use it as
`wsol fit hold_out.csv --images FOLDER`, FOLDER being where the data set has its pictures.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from pathlib import Path

from wsol import open_data
from wsol.data.samples import DataSet
from wsol.folders import write_text
from wsol.images import image_hw

COLUMNS = ("path", "label", "split", "x0", "y0", "x1", "y1", "width", "height")


def rows(data: DataSet, every: int) -> list[tuple[object, ...]]:
    """One row per training picture, or per true box of those that are held out."""
    truth, seen = data.read_truth(), Counter[int]()
    found: list[tuple[object, ...]] = []
    for sample in data.train:
        seen[sample.label] += 1
        named = (sample.image_id, data.class_names[sample.label])
        if seen[sample.label] % every or sample.image_id not in truth:
            found.append((*named, "train", *[""] * 6))
            continue
        height, width = image_hw(sample.path)
        found += [(*named, "test", *box.tolist(), width, height) for box in truth[sample.image_id].boxes.xyxy]
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=3, help="hold out one picture of so many")
    given = parser.parse_args()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows(open_data(given.data), given.every)])
    write_text(given.out, text.getvalue())


if __name__ == "__main__":
    main()
