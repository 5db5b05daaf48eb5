"""YOLO as Ultralytics documents it, as Roboflow, LabelImg and Darknet write it; images have 30 rows and 40 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fake_data.images import write_image

HW = (30, 40)
BOX = "0.25 0.5 0.3 0.4"
"""A box 4,9,16,21."""
POLYGON = "0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6"
"""The corners of the box 4,6,20,18."""
TRAIN = {"1.jpg": f"0 {BOX}\n", "2.jpg": f"1 {BOX}\n1 {POLYGON}\n", "night/3.jpg": f"1 {POLYGON}\n"}
VAL = {"4.jpg": f"1 {BOX}\n"}
NAMES = "names: [hawk, owl]\n"


def write_pairs(images: Path, labels: Path, rows_of: Mapping[str, str | None]) -> None:
    """Images and their label files by the names of the images; no label file for None."""
    for name, rows in rows_of.items():
        write_image(images / name, HW)
        if rows is not None:
            file = (labels / name).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rows)


def write_yolo(root: Path, names: str = NAMES, splits: str = "train: images/train\nval: images/val\n") -> Path:
    """As documented: data.yaml, images/{train,val} and labels/{train,val}."""
    for split, rows_of in (("train", TRAIN), ("val", VAL)):
        write_pairs(root / "images" / split, root / "labels" / split, rows_of)
    (root / "data.yaml").write_text(f"path: ../datasets/birds  # where it was\n{splits}{names}")
    return root


def write_roboflow_yolo(root: Path) -> Path:
    """{train,valid}/{images,labels}; the paths of data.yaml begin one folder above, and `test` is not there."""
    for split, rows_of in (("train", TRAIN), ("valid", VAL)):
        write_pairs(root / split / "images", root / split / "labels", rows_of)
    splits = "".join(f"{key}: ../{folder}/images\n" for key, folder in (("train", "train"), ("val", "valid")))
    (root / "data.yaml").write_text(
        f"{splits}test: ../test/images\n\nnc: 2\nnames: ['hawk', 'owl']\nroboflow:\n  x: 1\n"
    )
    (root / "README.roboflow.txt").write_text("0")
    return root


def write_labelimg(root: Path, is_flat: bool = False) -> Path:
    """classes.txt among the label files: in `labels` beside `images`, or all in one folder."""
    labels = root if is_flat else root / "labels"
    write_pairs(root if is_flat else root / "images", labels, TRAIN)
    (labels / "classes.txt").write_text("hawk\nowl\n")
    return root


def write_darknet(root: Path) -> Path:
    """obj.data, obj.names and train.txt, as CVAT and Datumaro export YOLO 1.1."""
    write_pairs(root / "obj_train_data", root / "obj_train_data", TRAIN)
    (root / "obj.names").write_text("hawk\nowl\n")
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    (root / "train.txt").write_text("".join(f"data/obj_train_data/{name}\n" for name in TRAIN))
    return root
