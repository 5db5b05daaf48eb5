"""Review the least confident predictions as somebody would who draws every box right; for studies, where true boxes are known.

    python studies/simulated_review.py OUT DATA --most 40

A box of IoU 0.8 or more with the true one is accepted; else the true box takes its place, and a wrong class the true one. The
decisions go into the journal that `wsol review` writes, and `wsol export --reviewed` reads.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from wsol.boxes import Boxes, iou
from wsol.data.opening import open_truth
from wsol.journal import Journal
from wsol.predictions import open_predictions
from wsol.review.desk import Desk, Wish

GOOD_IOU = 0.8


def review(out: Path, truth: Path, most: int | None) -> Counter[str]:
    """Decide about the `most` least confident pictures (all by default); returns how many of each verdict there are."""
    data = open_truth(truth)
    true = data.read_truth()
    samples = {sample.path.resolve(): sample for sample in (*data.train, *data.test)}
    verdicts: Counter[str] = Counter()
    with Journal(out) as journal:
        desk = Desk(open_predictions(out), journal)
        for index in desk.order[:most]:
            item = desk.items[index]
            sample = samples[(desk.image_root / item.image).resolve()]
            drawn = true[sample.image_id].boxes.xyxy
            fits = iou(Boxes.of(list(item.boxes)), Boxes(drawn)).max(initial=0.0) if len(item.boxes) == 1 else 0.0
            boxes = item.boxes if fits >= GOOD_IOU else tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in drawn.tolist())
            base = desk.picture(index)["version"]
            wish = Wish(index, base, False, boxes, data.class_names[sample.label], "simulated", f"simulated-{index}")
            verdicts[desk.decide(wish).verdict] += 1
    return verdicts


def main() -> None:
    """Decide, and say how often a box had to be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--most", type=int)
    given = parser.parse_args()
    print(dict(review(given.predictions, given.truth, given.most)))


if __name__ == "__main__":
    main()
