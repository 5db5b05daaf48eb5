"""Split the training images of a data set, so that choices are made without its test images.

    python studies/hold_out.py DATA hold_out.csv
    python studies/hold_out.py DATA small.csv --classes 5 --keep 10     # a small set, as many users have

Writes a CSV table of the training images: every third image of each class as `test` with its boxes, the others as
`train`. Use it as `wsol fit hold_out.csv --images FOLDER`, where FOLDER holds the images of the data set. With
`--keep`, only the first images of each class are used for training; the others are left out.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from pathlib import Path

from wsol import WsolError, open_data
from wsol.data.images import image_hw
from wsol.data.samples import DataSet
from wsol.storage.folders import write_text

COLUMNS = ("path", "label", "split", "x0", "y0", "x1", "y1", "width", "height")


def rows(data: DataSet, every: int, keep: int | None = None, classes: int | None = None) -> list[tuple[object, ...]]:
    """One row per training image, at most `keep` of each of the first `classes`, or per true box of those that are held
    out.

    Raises:
        WsolError: none of those to be held out has a true box.
    """
    ground_truth, seen, kept = data.read_ground_truth(), Counter[int](), Counter[int]()
    found: list[tuple[object, ...]] = []
    for sample in data.train:
        if classes is not None and sample.label >= classes:
            continue
        seen[sample.label] += 1
        named = (sample.image_id, data.class_names[sample.label])
        if seen[sample.label] % every or sample.image_id not in ground_truth:
            kept[sample.label] += 1
            if keep is None or kept[sample.label] <= keep:
                found.append((*named, "train", *[""] * 6))
            continue
        height, width = image_hw(sample.path)
        found += [(*named, "test", *box.tolist(), width, height) for box in ground_truth[sample.image_id].boxes.xyxy]
    # A table without test rows would be read as one without a split, and evaluated on its training images.
    if all(row[2] == "train" for row in found):
        raise WsolError(
            f"nothing to hold out of {data.root} ({data.kind}): expected true boxes of training images, and at least"
            f" {every} images in a class, got none. Class folders tell boxes of test images only; use a CSV table with"
            " boxes, or a smaller --every."
        )
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=3, help="hold out one of this many images")
    parser.add_argument("--keep", type=int, help="largest number of training images of a class")
    parser.add_argument("--classes", type=int, help="use only this many classes, the first ones")
    parser.add_argument("--images", type=Path, help="folder of the images, if it is not the usual one of the data set")
    given = parser.parse_args()
    if given.every < 2:  # with 1, no training image would be left
        parser.error(f"--every must be at least 2, got {given.every}. It holds out one image of so many.")
    try:
        found = rows(open_data(given.data, given.images), given.every, given.keep, given.classes)
    except WsolError as error:
        parser.exit(2, f"error: {error}\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *found])
    write_text(given.out, text.getvalue())


if __name__ == "__main__":
    main()
