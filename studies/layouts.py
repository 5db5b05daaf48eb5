"""Which layouts of data sets are read, and what `wsol check`, `wsol fit --dry-run` and the ground truth say of each.

    python studies/layouts.py

Each is written by the generator that its tests use (`tests/fake_data`): a few images of random pixels.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from fake_data import coco, csv_table, cub, cvat, fiftyone, imagenet, labelstudio, published, tables, voc, yolo  # noqa: E402
from fake_data import wsolevaluation as metadata  # noqa: E402
from fake_data.images import write_image  # noqa: E402

from wsol.checks.run import check_data  # noqa: E402
from wsol.data.open import open_ground_truth  # noqa: E402
from wsol.errors import WsolError  # noqa: E402
from wsol.runtime.progress import Progress  # noqa: E402
from wsol.storage.folders import write_text  # noqa: E402
from wsol.text import number_of  # noqa: E402

BIRDS = ("owl/1.jpg", "owl/2.jpg", "hawk/3.jpg")


def class_folders(root: Path) -> None:
    """A folder a class."""
    for name in BIRDS:
        write_image(root / name)


def split_folders(root: Path) -> None:
    """The same in the folders of a split."""
    for split in ("Training", "Testing"):
        class_folders(root / split)


def pascal(root: Path, lists: bool = True) -> None:
    """PASCAL VOC, with or without its lists."""
    objects = {"1": [("owl", 1, 2, 20, 24)], "2": [("hawk", 1, 2, 20, 24)], "3": [("owl", 3, 3, 9, 9)]}
    voc.write_voc(root, objects, {"train": ["1", "2"], "val": ["3"]} if lists else None)


def one_hot(root: Path) -> None:
    """A column of 0 and 1 for each class, as Roboflow exports them."""
    tables.write_one_hot(root)


def several_labels(root: Path) -> None:
    """Several labels in a cell."""
    rows = [("1.jpg", "owl"), ("2.jpg", "hawk"), ("3.jpg", "owl|hawk")]
    csv_table.write_images(root, rows)
    csv_table.write_table(root / "labels.csv", rows, ("path", "label"))


def lists_of_wsolevaluation(root: Path) -> None:
    """The lists of clovaai/wsolevaluation."""
    metadata.write_boxes(root, {"owl/1.jpg": 1, "hawk/1.jpg": 0}, {"owl/1.jpg": [(1, 2, 3, 4)]})


def imagenet_1k(root: Path) -> None:
    """ImageNet-1K with the validation images in one folder."""
    imagenet.write_train(root)
    imagenet.write_val(root / "val", ["n01440764"])
    imagenet.write_xmls(root / "Annotations/CLS-LOC/val", {1: [("n01440764", 1, 2, 3, 4)]})


LAYOUTS: dict[str, Callable[[Path], object]] = {
    "class folders": class_folders,
    "class folders in Training and Testing": split_folders,
    "CSV: path,label,x0,y0,x1,y1": csv_table.write_csv_set,
    "CSV: `owl|hawk` in a cell": several_labels,
    "CSV: a column for each class (Roboflow)": one_hot,
    "Kaggle: labels.csv beside train/, ids": tables.write_dog_breeds,
    "Kaggle: train.csv and train_images/": partial(
        tables.write_kaggle,
        rows=[("a1", "owl"), ("a2", "hawk"), ("a3", "owl")],
        columns=("image_id", "label"),
        images="train_images",
    ),
    "Hugging Face's imagefolder": tables.write_imagefolder,
    "COCO as published": coco.write_published_coco,
    "COCO of Roboflow": coco.write_roboflow_coco,
    "COCO, one file": coco.write_single_coco,
    "PASCAL VOC": pascal,
    "PASCAL VOC without lists": partial(pascal, lists=False),
    "YOLO of Ultralytics": yolo.write_yolo,
    "YOLO of Roboflow": yolo.write_roboflow_yolo,
    "YOLO of LabelImg": yolo.write_labelimg,
    "YOLO of Darknet": yolo.write_darknet,
    "CVAT for images": cvat.write_cvat,
    "Label Studio, JSON": labelstudio.write_labelstudio,
    "FiftyOne, detections": fiftyone.write_fiftyone,
    "CUB-200-2011": cub.write_cub,
    "ImageNet-1K": imagenet_1k,
    "wsolevaluation": lists_of_wsolevaluation,
    "Oxford-IIIT Pet": published.write_pets,
    "Stanford Dogs": published.write_stanford_dogs,
    "Tiny ImageNet": published.write_tiny_imagenet,
    "Caltech-101": published.write_caltech,
}


def row(write: Callable[[Path], object], root: Path) -> tuple[str, ...]:
    """The reader, what it says of the classes and images, the findings of a check, the result of a dry run, boxes."""
    write(root)
    data = open_ground_truth(root, multi_label=True)
    counts = data.describe().removeprefix(f"{data.kind} {root}: ")
    findings = check_data(data, Progress(quiet=True)).found
    found = ", ".join(f"{one.kind} {len(one.items)}" for one in findings if one.severity == "error") or "no error"
    command = [sys.executable, "-m", "wsol", "fit", str(root), "--run", str(root.parent / "run"), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True)
    dry = "trains" if done.returncode == 0 else " ".join(done.stderr.split()).replace(str(root), "DATA")
    try:
        ground_truth = data.read_ground_truth()
        boxes = number_of(sum(len(one.boxes) for one in ground_truth.by_id.values()), "box")
        boxes += " and masks" if any(one.read_mask for one in ground_truth.by_id.values()) else ""
    except WsolError:
        boxes = "none"
    return data.kind, counts, found, dry, boxes


def main() -> None:
    """Write every layout, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "layouts.md")
    given = parser.parse_args()
    heads = ("layout", "reader", "what it says", "`wsol check`", "`wsol fit --dry-run`", "ground truth")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, write in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "data"
            root.mkdir()
            cells = (name.replace("|", "\\|"), *row(write, root))
        lines.append(f"| {' | '.join(cells)} |")
    write_text(given.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
