"""CSV tables as users write them, and their images of 30 rows and 40 columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from fake_data.images import write_image

HW = (30, 40)
BOX_COLUMNS = ("path", "label", "x0", "y0", "x1", "y1")
ROWS = (
    ("1.jpg", "owl", 1, 2, 11.5, 10),
    ("2.jpg", "hawk", 3, 4, 20, 30),
    ("2.jpg", "hawk", 21, 4, 40, 30),
    ("night/3.jpg", "owl", "", "", "", ""),
)
"""An owl, two hawks in an image, and an owl without a box."""


def write_table(path: Path, rows: Iterable[Sequence[object]], columns: Sequence[str] = BOX_COLUMNS) -> Path:
    """Write a table, its folders included, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def write_images(folder: Path, rows: Iterable[Sequence[object]]) -> None:
    """The images that rows name in their first cell."""
    for row in rows:
        write_image(folder / str(row[0]), HW)


def write_csv_set(root: Path, images: str = "images", name: str = "labels.csv") -> Path:
    """`ROWS` as root/labels.csv, with the images in a folder below root ("" for root itself)."""
    write_table(root / name, ROWS)
    write_images(root / images, ROWS)
    return root
