"""CUB-200-2011 as published, with three classes of two training pictures and a test picture each."""

from __future__ import annotations

from pathlib import Path

from fake_data.images import write_picture

CLASSES = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "004.Groove_billed_Ani")
TABLES = ("images", "image_class_labels", "train_test_split", "classes", "bounding_boxes")


def write_cub(root: Path) -> Path:
    """Write the tables and pictures of 60 rows and 80 columns; picture n has the line `n i.0 2.0 30.0 (40 + n).0` for a box."""
    tables: dict[str, list[str]] = {name: [] for name in TABLES}
    for label, name in enumerate(CLASSES, start=1):
        tables["classes"].append(f"{label} {name}")
        for picture in range(1, 4):
            number = len(tables["images"]) + 1
            file = f"{name}/{name[4:]}_{picture:04}_{number}.jpg"
            write_picture(root / "images" / file, (60, 80))
            tables["images"].append(f"{number} {file}")
            tables["image_class_labels"].append(f"{number} {label}")
            tables["train_test_split"].append(f"{number} {int(picture < 3)}")
            tables["bounding_boxes"].append(f"{number} {picture}.0 2.0 30.0 {40 + number}.0")
    for table, lines in tables.items():
        (root / f"{table}.txt").write_text("\n".join(lines) + "\n")
    return root
