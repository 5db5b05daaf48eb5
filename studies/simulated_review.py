"""Simulate a review in which every box is corrected to the annotated one, for studies on data sets with boxes.

    python studies/simulated_review.py OUT DATA --most 40      # lowest scores first
    python studies/simulated_review.py OUT DATA --sample 20    # random, as `wsol review OUT --sample 20`

DATA is class folders with boxes.csv, as the demo writes them. A box with an IoU of 0.8 or more with the annotated one
is accepted; in a sample, every box is replaced. Otherwise the annotated box replaces it, and the folder's class
replaces a wrong class. The decisions are written to the journal of `wsol review`, which `wsol export --reviewed` reads.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

from wsol.geometry.boxes import Boxes, Xyxy, iou
from wsol.predictions.records import open_predictions
from wsol.predictions.review_journal import Journal
from wsol.predictions.review_sample import draw, write_sample
from wsol.review.session import DecisionRequest, ReviewSession

GOOD_IOU = 0.8


def annotated_boxes(data: Path) -> dict[Path, list[Xyxy]]:
    """Read the boxes of all images, training images included, from the boxes.csv of class folders."""
    found: dict[Path, list[Xyxy]] = {}
    with (data / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            x0, y0, x1, y1 = (float(row[edge]) for edge in ("x0", "y0", "x1", "y1"))
            found.setdefault((data / row["path"]).resolve(), []).append((x0, y0, x1, y1))
    return found


def review(out: Path, data: Path, most: int | None, sample: int | None = None) -> Counter[str]:
    """Decide about the `most` lowest-scored images (default: all) or a random sample; return verdict counts."""
    annotated = annotated_boxes(data)
    verdicts: Counter[str] = Counter()
    with Journal(out) as journal:
        opened = open_predictions(out)
        drawn = None if sample is None else draw((one.image for one in opened), sample)
        if drawn is not None:
            write_sample(out, drawn)
        session = ReviewSession(opened, journal, drawn)
        for index in session.order[:most]:
            item = session.items[index]
            path = (session.image_root / item.image).resolve()
            best_iou = iou(Boxes.of(list(item.boxes)), Boxes.of(annotated[path])).max(initial=0.0)
            is_accepted = drawn is None and best_iou >= GOOD_IOU and len(item.boxes) == 1
            boxes = item.boxes if is_accepted else tuple(annotated[path])
            base = session.image(index)["version"]
            class_name = path.parent.name if session.class_names else None
            request = DecisionRequest(index, base, False, boxes, class_name, "simulated", f"simulated-{index}")
            verdicts[session.decide(request).verdict] += 1
    return verdicts


def main() -> None:
    """Decide about the images, and print the number of each verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--most", type=int)
    parser.add_argument("--sample", type=int)
    given = parser.parse_args()
    print(dict(review(given.predictions, given.ground_truth, given.most, given.sample)))


if __name__ == "__main__":
    main()
