"""Tables of images as competitions and hubs publish them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fake_data.csv_table import write_table
from fake_data.images import write_image

DOGS = {"0a1b": "beagle", "0c2d": "boxer", "0e3f": "beagle"}


def write_images_of(folder: Path, names: Iterable[str]) -> None:
    """Images by name."""
    for name in names:
        write_image(folder / name)


def write_dog_breeds(root: Path) -> Path:
    """Kaggle's dog-breed-identification: ids of train/ in labels.csv, test/ without labels, a sample submission."""
    write_table(root / "labels.csv", DOGS.items(), ("id", "breed"))
    write_table(root / "sample_submission.csv", [("ffff", 0.5, 0.5)], ("id", "beagle", "boxer"))
    write_images_of(root / "train", (f"{name}.jpg" for name in DOGS))
    write_images_of(root / "test", ["ffff.jpg"])
    return root


def write_kaggle(
    root: Path, rows: Sequence[Sequence[object]], columns: Sequence[str], images: str, suffix: str = ".jpg"
) -> Path:
    """`train.csv` with ids beside a folder of images, and `test.csv` without labels beside another."""
    write_table(root / "train.csv", rows, columns)
    write_table(root / "test.csv", [("t1",), ("t2",)], columns[:1])
    write_table(root / "sample_submission.csv", [("t1", rows[0][1])], columns[:2])
    write_images_of(root / images, (f"{row[0]}{suffix}" for row in rows))
    write_images_of(root / images.replace("train", "test"), ("t1.jpg", "t2.jpg"))
    return root


def write_imagefolder(root: Path, splits: Sequence[str] = ("train", "test")) -> Path:
    """Hugging Face's imagefolder: metadata.csv beside the images of each split."""
    for split in splits:
        rows = [(f"{number}.png", name) for number, name in enumerate(("owl", "hawk"))]
        write_table(root / split / "metadata.csv", rows, ("file_name", "label"))
        write_images_of(root / split, (name for name, _ in rows))
    return root


def write_one_hot(root: Path, splits: Sequence[str] = ("train", "valid")) -> Path:
    """Roboflow's multi-label export: `_classes.csv` beside the images of each split, a column for each class."""
    for split in splits:
        rows = [(f"{split}1.jpg", 1, 0), (f"{split}2.jpg", 0, 1), (f"{split}3.jpg", 1, 1)]
        write_table(root / split / "_classes.csv", rows, ("filename", " owl", " hawk"))
        write_images_of(root / split, (name for name, *_ in rows))
    return root
